import type { Handle, PeerId } from "../../ids/ids.ts";

/** Daemons placed by count: managers and metadata servers. */
export type CountedDaemon = "mgr" | "mds";

export interface DaemonFacts {
  readonly members: readonly {
    readonly peer: PeerId;
    readonly handle: Handle;
    readonly alive: boolean;
    /** It has been away for longer than the grace time: what it runs counts no more. */
    readonly lost: boolean;
  }[];
  /** Monitors in the monmap, in seating order: daemons go there first. */
  readonly monitors: readonly Handle[];
  /** What is decided already, done or open. */
  readonly placed: readonly { readonly type: CountedDaemon; readonly handle: Handle }[];
  /** Highest number of each type. */
  readonly limit: Readonly<Record<CountedDaemon, number>>;
}

export interface DaemonStep {
  readonly type: CountedDaemon;
  readonly peer: PeerId;
  readonly handle: Handle;
  readonly reason: string;
}

/** Managers and metadata servers still to be placed: up to the limit of each, on monitor hosts first. */
export function planDaemons(facts: DaemonFacts): DaemonStep[] {
  const steps: DaemonStep[] = [];
  const order = [
    ...facts.members.filter((member) => facts.monitors.includes(member.handle)),
    ...facts.members.filter((member) => !facts.monitors.includes(member.handle)),
  ];
  for (const type of ["mgr", "mds"] as const) {
    const have = facts.placed.filter((daemon) => daemon.type === type).map((daemon) => daemon.handle);
    const free = order.filter((member) => member.alive && !have.includes(member.handle));
    const lost = have.filter((handle) => facts.members.some((one) => one.handle === handle && one.lost));
    const missing = Math.max(
      0,
      Math.min(facts.limit[type], facts.members.length) - have.length + lost.length,
    );
    for (const member of free.slice(0, missing)) {
      steps.push({
        type,
        peer: member.peer,
        handle: member.handle,
        reason: `${facts.limit[type]} of ${type} are wanted at most, ${have.length} are placed${lost.length === 0 ? "" : `, of which ${lost.map((handle) => `that of ${handle}`).join(" and ")} is lost`}`,
      });
    }
  }
  return steps;
}
