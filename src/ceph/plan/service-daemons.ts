import type { Handle, PeerId } from "../../ids/ids.ts";

/** Daemons placed by count: managers and metadata servers. */
export type CountedDaemon = "mgr" | "mds";

/** Where people want one, and where they want none; whoever is named in neither is for the planner to choose. */
export interface CountedWish {
  readonly targets: readonly PeerId[];
  readonly off: readonly PeerId[];
}

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
  /** Default: nobody has said anything. */
  readonly wishes?: Readonly<Record<CountedDaemon, CountedWish>>;
}

const nothingSaid: CountedWish = { targets: [], off: [] };

export interface DaemonStep {
  readonly type: CountedDaemon;
  readonly peer: PeerId;
  readonly handle: Handle;
  readonly reason: string;
}

/**
 * Managers and metadata servers still to be placed: where people want them, and up to the limit of each, on monitor
 * hosts first.
 */
export function planDaemons(facts: DaemonFacts): DaemonStep[] {
  const steps: DaemonStep[] = [];
  for (const type of ["mgr", "mds"] as const) {
    const { targets, off } = wishOf(facts, type);
    const members = facts.members.filter(({ away, peer }) => !away && !off.includes(peer));
    const isFirst = (member: (typeof members)[number]): boolean =>
      member.preferred || facts.monitors.includes(member.handle);
    const isTarget = ({ peer }: { readonly peer: PeerId }): boolean => targets.includes(peer);
    const order = [...members.filter(isFirst), ...members.filter((member) => !isFirst(member))]
      .sort((a, b) => Number(b.preferred) - Number(a.preferred))
      .sort((a, b) => Number(isTarget(b)) - Number(isTarget(a)));
    const have = facts.placed
      .filter((daemon) => daemon.type === type && !givesUp(facts, daemon))
      .map((daemon) => daemon.handle);
    const free = order.filter((member) => member.alive && !have.includes(member.handle));
    const lost = have.filter((handle) => facts.members.some((one) => one.handle === handle && one.lost));
    const missing = Math.max(0, Math.min(facts.limit[type], members.length) - have.length + lost.length);
    const wanted = Math.max(missing, free.filter(isTarget).length);
    for (const member of free.slice(0, wanted)) {
      const reason = isTarget(member)
        ? `${type} is wanted on ${member.handle}`
        : `${facts.limit[type]} of ${type} are wanted at most, ${have.length} are placed${lost.length === 0 ? "" : `, of which ${lost.map((handle) => `that of ${handle}`).join(" and ")} is lost`}`;
      steps.push({ type, peer: member.peer, handle: member.handle, reason });
    }
  }
  return steps;
}

/**
 * Those that are to go: of a host that gives them up once as many as are wanted run elsewhere, of one where none is
 * wanted once another runs, and those that are too many because others are wanted by name.
 */
export function surplusDaemons(facts: DaemonFacts): Pick<DaemonStep, "type" | "handle" | "reason">[] {
  const running = (type: CountedDaemon): Handle[] =>
    facts.placed.flatMap((one) =>
      one.type === type &&
      !one.open &&
      !givesUp(facts, one) &&
      facts.members.some(({ handle, alive }) => handle === one.handle && alive)
        ? [one.handle]
        : [],
    );
  return facts.placed.flatMap(({ type, handle, open }) => {
    if (open) return [];
    const others = running(type).filter((one) => one !== handle);
    if (isAway(facts, handle)) {
      if (others.length < facts.limit[type]) return [];
      return [{ type, handle, reason: `${handle} gives it up: ${others.length} others run` }];
    }
    if (isOff(facts, type, handle)) {
      return others.length === 0 ? [] : [{ type, handle, reason: `no ${type} is wanted on ${handle}` }];
    }
    const { targets } = wishOf(facts, type);
    const named = facts.members.flatMap((one) => (targets.includes(one.peer) ? [one.handle] : []));
    if (named.length === 0 || named.includes(handle)) return [];
    const chosen = running(type).filter((one) => !named.includes(one));
    const room = Math.max(0, facts.limit[type] - running(type).filter((one) => named.includes(one)).length);
    if (!chosen.slice(room).includes(handle)) return [];
    return [{ type, handle, reason: `enough of ${type} run on hosts that were named` }];
  });
}

function wishOf({ wishes }: DaemonFacts, type: CountedDaemon): CountedWish {
  return wishes?.[type] ?? nothingSaid;
}

function isAway({ members }: DaemonFacts, handle: Handle): boolean {
  return members.some((one) => one.handle === handle && one.away);
}

function isOff(facts: DaemonFacts, type: CountedDaemon, handle: Handle): boolean {
  const { off } = wishOf(facts, type);
  return facts.members.some((one) => one.handle === handle && off.includes(one.peer));
}

function givesUp(
  facts: DaemonFacts,
  { type, handle }: { readonly type: CountedDaemon; readonly handle: Handle },
): boolean {
  return isAway(facts, handle) || isOff(facts, type, handle);
}
