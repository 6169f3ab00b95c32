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
    /** What it runs is for others to run, where there are enough of them. */
    readonly away: boolean;
    /** It comes first. */
    readonly preferred: boolean;
  }[];
  /** Monitors in the monmap, in seating order: daemons go there first. */
  readonly monitors: readonly Handle[];
  /** What is decided already, done or open. */
  readonly placed: readonly {
    readonly type: CountedDaemon;
    readonly handle: Handle;
    readonly open: boolean;
  }[];
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
  const members = facts.members.filter(({ away }) => !away);
  const isFirst = (member: (typeof members)[number]): boolean =>
    member.preferred || facts.monitors.includes(member.handle);
  const order = [...members.filter(isFirst), ...members.filter((member) => !isFirst(member))].sort(
    (a, b) => Number(b.preferred) - Number(a.preferred),
  );
  for (const type of ["mgr", "mds"] as const) {
    const have = facts.placed
      .filter((daemon) => daemon.type === type && !isAway(facts, daemon.handle))
      .map((daemon) => daemon.handle);
    const free = order.filter((member) => member.alive && !have.includes(member.handle));
    const lost = have.filter((handle) => facts.members.some((one) => one.handle === handle && one.lost));
    const missing = Math.max(0, Math.min(facts.limit[type], members.length) - have.length + lost.length);
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

/** Those of a host that is to give them up: once as many as are wanted run elsewhere. */
export function surplusDaemons(facts: DaemonFacts): Pick<DaemonStep, "type" | "handle" | "reason">[] {
  return facts.placed.flatMap(({ type, handle, open }) => {
    if (open || !isAway(facts, handle)) return [];
    const others = facts.placed.filter(
      (one) =>
        one.type === type &&
        !one.open &&
        facts.members.some(({ handle: host, alive, away }) => host === one.handle && alive && !away),
    );
    if (others.length < facts.limit[type]) return [];
    return [{ type, handle, reason: `${handle} gives it up: ${others.length} others run` }];
  });
}

function isAway({ members }: DaemonFacts, handle: Handle): boolean {
  return members.some((one) => one.handle === handle && one.away);
}
