import type { Handle, PeerId } from "../../ids/ids.ts";

/** What the seat planner knows of one member. */
export interface SeatMember {
  readonly peer: PeerId;
  readonly handle: Handle;
  readonly zone: string | null;
  readonly alive: boolean;
  /** Number of the admitting decision: older members are preferred. */
  readonly admitted: number;
  /** It is to leave the cluster: `moving` while it works, `dead` when it is gone for good. */
  readonly leaving: Leaving | null;
  /** Its seats are to go to others, or others' seats to it. */
  readonly seats: SeatWish | null;
  /** It has been away for longer than the grace time: its seats are for others to take. */
  readonly lost: boolean;
  /** It has been there for long enough to take the place of one that is lost. */
  readonly steady: boolean;
}

export type Leaving = "moving" | "dead";
export type SeatWish = "away" | "preferred";

export interface SeatFacts {
  /** The holder of the lease: it cannot take its own vote away. */
  readonly self: PeerId;
  readonly members: readonly SeatMember[];
  /** Voters of etcd; a learner is not one yet. */
  readonly voters: readonly PeerId[];
  /** Monitors in Ceph's monmap; null while Ceph is not there or does not answer. */
  readonly monitors: readonly Handle[] | null;
  /** Monitors in quorum. */
  readonly monitorsInQuorum: readonly Handle[];
  /** Monitors that have been out of quorum for longer than the grace time. */
  readonly monitorsLost: readonly Handle[];
}

export interface SeatStep {
  /** A seat that is given, or (`…-out`) taken away. */
  readonly kind: "voter" | "monitor" | "voter-out" | "monitor-out";
  readonly peer: PeerId;
  readonly handle: Handle;
  readonly reason: string;
}

export interface SeatPlan {
  /** Seats wanted for this many members. */
  readonly target: number;
  /** The one next change, or null. */
  readonly next: SeatStep | null;
  /** A monitor for one that has its vote, or is about to get it, to be given while votes are still given. */
  readonly beside: SeatStep | null;
  /** Why there is, or is not, a next change. */
  readonly reasons: readonly string[];
  /** The holder of the lease is to lose its vote: another must hold the lease first. */
  readonly handOver: boolean;
}

/** Why monitors are not planned while nothing is known of them. */
export const monitorsSilent = "Ceph's monitors do not answer yet";

/** Seats of voters and monitors for a number of members: 1 for one or two, 3 from three, 5 from seven. */
export function seatTarget(members: number): number {
  if (members >= 7) return 5;
  return members >= 3 ? 3 : 1;
}

/** Whether it may get a seat, and keep one while others have theirs. */
const mayHaveSeat = ({ leaving, seats }: SeatMember): boolean => leaving === null && seats !== "away";

/**
 * Candidates in order of preference: who is asked for, zones that hold no seat yet, then the longest admitted.
 * Each choice counts for the next.
 */
function spread(
  candidates: readonly SeatMember[],
  seated: readonly SeatMember[],
  count: number,
): SeatMember[] {
  const chosen: SeatMember[] = [];
  const left = [...candidates];
  while (chosen.length < count && left.length > 0) {
    const taken = [...seated, ...chosen];
    const crowding = (member: SeatMember): number =>
      member.zone === null ? 0 : taken.filter((other) => other.zone === member.zone).length;
    left.sort(
      (a, b) =>
        Number(b.seats === "preferred") - Number(a.seats === "preferred") ||
        crowding(a) - crowding(b) ||
        Number(b.steady) - Number(a.steady) ||
        a.admitted - b.admitted ||
        (a.peer < b.peer ? -1 : 1),
    );
    const best = left.shift();
    if (best) chosen.push(best);
  }
  return chosen;
}

/**
 * The next single change of the voters or the monitors. Both come from one plan (monitors sit where voters sit).
 * The seats of the dead go first, because they cost tolerance as long as they count. Then seats are given: votes, and
 * monitors to those who have theirs or get it next; growing starts only when enough members are alive to reach an odd
 * count, because an even count tolerates nothing more. One that is lost gives its seat up when another can take it, one
 * at a time. Seats of those who leave or give theirs up, and seats too many, are taken last and in reverse order. No
 * step leaves fewer than a majority of the remaining seats alive.
 */
export function planSeats(facts: SeatFacts): SeatPlan {
  const staying = facts.members.filter((member) => member.leaving === null);
  const target = seatTarget(staying.length);
  const reasons: string[] = [];
  for (const { handle, alive, leaving } of facts.members) {
    if (leaving === "dead" && alive) reasons.push(`${handle} was to be removed as dead, but it is alive`);
  }
  const seatsNow = (next: SeatStep | null, beside: SeatStep | null = null): SeatPlan => ({
    target,
    next,
    beside,
    reasons,
    handOver: false,
  });
  const buried = takeFromDead(facts, reasons);
  if (buried) return seatsNow(buried);

  const entitled = staying.filter(mayHaveSeat);
  const seated = entitled.filter((member) => facts.voters.includes(member.peer));
  const free = entitled.filter((member) => member.alive && !facts.voters.includes(member.peer));
  if (seated.length < target) {
    const coming = comingVoters(seated, free, target, reasons);
    const [first] = coming;
    if (first) {
      const { peer, handle } = first;
      const reason = `${staying.length} members want ${target} voters, there are ${seated.length}`;
      const beside = monitorBeside(facts, entitled, staying.length, coming, target);
      return seatsNow({ kind: "voter", peer, handle, reason }, beside);
    }
  } else {
    const step = takeVoteFromLost(facts, seated, free, reasons);
    if (step) return seatsNow(step);
  }
  if (facts.monitors === null) {
    reasons.push(monitorsSilent);
    return seatsNow(null);
  }
  const monitors =
    growMonitors(facts, entitled, staying.length, facts.monitors, target, reasons) ??
    takeLostMonitor(facts, entitled, facts.monitors, target, reasons) ??
    shrinkMonitors(facts, facts.monitors, target, reasons);
  if (monitors) return seatsNow(monitors);
  const voter = voterTooMany(facts, facts.monitors, target, reasons);
  if (voter?.peer === facts.self) {
    reasons.push("the holder of the lease loses its vote once another holds the lease");
    return { ...seatsNow(null), handOver: true };
  }
  if (!voter && reasons.length === 0) reasons.push(`${target} voters and monitors are seated`);
  return seatsNow(voter);
}

const isMajority = (alive: number, seats: number): boolean => alive * 2 > seats;

/** Whether those who are left without this seat can decide: a majority of them is there. */
function decideWithout(facts: SeatFacts, kind: "voter" | "monitor", { peer, handle }: SeatMember): boolean {
  if (kind === "monitor") {
    const left = (facts.monitors ?? []).filter((name) => name !== handle);
    return isMajority(left.filter((name) => facts.monitorsInQuorum.includes(name)).length, left.length);
  }
  const left = facts.voters.filter((voter) => voter !== peer);
  const alive = facts.members.filter((member) => member.alive && left.includes(member.peer));
  return isMajority(alive.length, left.length);
}

function takeFromDead(facts: SeatFacts, reasons: string[]): SeatStep | null {
  const dead = facts.members.filter(({ leaving, alive }) => leaving === "dead" && !alive);
  for (const member of dead) {
    const { peer, handle } = member;
    const reason = `${handle} is dead and leaves the cluster`;
    const seats = [
      { kind: "monitor", has: facts.monitors?.includes(handle) ?? false },
      { kind: "voter", has: facts.voters.includes(peer) },
    ] as const;
    for (const { kind, has } of seats) {
      if (!has) continue;
      if (decideWithout(facts, kind, member)) return { kind: `${kind}-out`, peer, handle, reason };
      reasons.push(`the ${kind}s left without ${handle} would be no majority`);
    }
  }
  return null;
}

/** The vote of one that is lost, once another member can have it. */
function takeVoteFromLost(
  facts: SeatFacts,
  seated: readonly SeatMember[],
  free: readonly SeatMember[],
  reasons: string[],
): SeatStep | null {
  for (const member of seated.filter(({ lost, alive }) => lost && !alive)) {
    const { peer, handle } = member;
    if (!free.some(({ steady }) => steady)) {
      reasons.push(`${handle} is lost, and no other member is there to take its vote`);
    } else if (!decideWithout(facts, "voter", member)) {
      reasons.push(`the voters left without ${handle} would be no majority`);
    } else {
      return { kind: "voter-out", peer, handle, reason: `${handle} is lost: its vote goes to another` };
    }
  }
  return null;
}

/**
 * The seat of a monitor that is lost: its host's vote went to another, which gets a monitor, too; or its host is
 * there and has the vote, and makes it anew.
 */
function takeLostMonitor(
  facts: SeatFacts,
  entitled: readonly SeatMember[],
  monitors: readonly Handle[],
  target: number,
  reasons: string[],
): SeatStep | null {
  if (monitors.length > target) return null;
  const isVoter = ({ peer }: SeatMember): boolean => facts.voters.includes(peer);
  for (const member of entitled) {
    const { peer, handle, alive } = member;
    if (!monitors.includes(handle) || !facts.monitorsLost.includes(handle)) continue;
    if (facts.monitorsInQuorum.includes(handle)) continue;
    const heir = entitled.find(
      (one) => isVoter(one) && one.alive && (one.peer === peer || !monitors.includes(one.handle)),
    );
    if (heir === undefined) {
      reasons.push(`the monitor ${handle} is lost, and no voter without one is there to take its place`);
    } else if (!decideWithout(facts, "monitor", member)) {
      reasons.push(`the monitors left without ${handle} would be no majority`);
    } else {
      const place = alive && isVoter(member) ? "it is made anew" : `${heir.handle} gets one in its place`;
      return { kind: "monitor-out", peer, handle, reason: `the monitor ${handle} is lost: ${place}` };
    }
  }
  return null;
}

/** Those who get a vote next, up to the next odd count; none while there are fewer than that. */
function comingVoters(
  seated: readonly SeatMember[],
  free: readonly SeatMember[],
  target: number,
  reasons: string[],
): readonly SeatMember[] {
  const needed = missing(seated.length, target);
  const chosen = spread(free, seated, needed);
  if (chosen.length === needed) return chosen;
  reasons.push(`${needed} more voters are wanted, ${chosen.length} members without a seat are alive`);
  return [];
}

/** How many seats lead to the next odd count. */
function missing(count: number, target: number): number {
  const nextOdd = count % 2 === 0 ? count + 1 : count + 2;
  return Math.min(nextOdd, target) - count;
}

/**
 * etcd takes no further member for five seconds after a change. Ceph need not wait for that: a member whose vote is
 * decided may get its monitor before the vote. One that dies in between has a monitor like any other that is lost; one
 * whose etcd never starts keeps it.
 */
function monitorBeside(
  facts: SeatFacts,
  entitled: readonly SeatMember[],
  members: number,
  coming: readonly SeatMember[],
  target: number,
): SeatStep | null {
  if (facts.monitors === null) return null;
  return growMonitors(facts, entitled, members, facts.monitors, target, [], coming);
}

function growMonitors(
  facts: SeatFacts,
  entitled: readonly SeatMember[],
  members: number,
  monitors: readonly Handle[],
  target: number,
  reasons: string[],
  coming: readonly SeatMember[] = [],
): SeatStep | null {
  // One that an operator made by hand is nobody's: it counts and is left alone.
  const kept = monitors.filter(
    (name) => !facts.members.some((member) => member.handle === name && !mayHaveSeat(member)),
  );
  if (kept.length >= target) return null;
  const waiting = entitled.filter(
    (member) =>
      (facts.voters.includes(member.peer) || coming.includes(member)) &&
      !monitors.includes(member.handle) &&
      member.alive,
  );
  const seated = entitled.filter((member) => monitors.includes(member.handle));
  const needed = missing(kept.length, target);
  const chosen = spread(waiting, seated, needed);
  const first = chosen[0];
  if (!first || chosen.length < needed) {
    reasons.push(`${needed} more monitors are wanted, ${chosen.length} voters without one are alive`);
    return null;
  }
  const down = monitors.filter(
    (name) => !facts.monitorsInQuorum.includes(name) && !facts.monitorsLost.includes(name),
  );
  if (down.length > 0) {
    reasons.push(`no monitor is added while ${down.join(", ")} is out of quorum`);
    return null;
  }
  // A newcomer that fails must not cost the quorum: it would not be made, and nothing else be decided meanwhile.
  const there = facts.monitorsInQuorum.length;
  if (monitors.length > 1 && !isMajority(there, monitors.length + 1)) {
    reasons.push(`no monitor is added while ${there} of ${monitors.length} are in quorum`);
    return null;
  }
  const reason = `${members} members want ${target} monitors, there are ${kept.length}`;
  return { kind: "monitor", peer: first.peer, handle: first.handle, reason };
}

function shrinkMonitors(
  facts: SeatFacts,
  monitors: readonly Handle[],
  target: number,
  reasons: string[],
): SeatStep | null {
  const seated = facts.members.filter(({ handle }) => monitors.includes(handle));
  const strangers = monitors.length - seated.length;
  const rank = (member: SeatMember): readonly number[] => [
    Number(facts.monitorsInQuorum.includes(member.handle)),
    // Votes go after the monitors, and that of the holder is the last to go.
    Number(member.peer === facts.self),
    -member.admitted,
  ];
  return tooMany(facts, "monitor", seated, target - strangers, rank, reasons);
}

function voterTooMany(
  facts: SeatFacts,
  monitors: readonly Handle[],
  target: number,
  reasons: string[],
): SeatStep | null {
  const seated = facts.members.filter(({ peer }) => facts.voters.includes(peer));
  const rank = (member: SeatMember): readonly number[] => [
    Number(monitors.includes(member.handle)),
    Number(member.alive),
    Number(member.peer === facts.self),
    -member.admitted,
  ];
  const step = tooMany(facts, "voter", seated, target, rank, reasons);
  if (step === null || !monitors.includes(step.handle)) return step;
  reasons.push(`${step.handle} keeps its vote until its monitor is gone`);
  return null;
}

/** The seat to take from one who leaves, or gives it up, once the others have theirs, or from one of too many: lowest rank first. */
function tooMany(
  facts: SeatFacts,
  kind: "voter" | "monitor",
  seated: readonly SeatMember[],
  target: number,
  rank: (member: SeatMember) => readonly number[],
  reasons: string[],
): SeatStep | null {
  const kept = seated.filter(mayHaveSeat);
  const going = seated.filter((member) => !mayHaveSeat(member) && member.leaving !== "dead");
  if (going.length > 0 && kept.length < target) {
    reasons.push(`${going.map(({ handle }) => handle).join(", ")} keeps its ${kind} until another has one`);
    return null;
  }
  if (going.length === 0 && kept.length <= target) return null;
  const [last] = [...(going.length > 0 ? going : kept)].sort((a, b) => compareRanks(rank(a), rank(b)));
  if (last === undefined) return null;
  if (!decideWithout(facts, kind, last)) {
    reasons.push(`the ${kind}s left without ${last.handle} would be no majority`);
    return null;
  }
  const { peer, handle, leaving } = last;
  const why =
    leaving !== null
      ? `${handle} leaves the cluster`
      : last.seats === "away"
        ? `${handle} gives its seats to others`
        : `${target} ${kind}s are wanted, there are ${kept.length}`;
  return { kind: `${kind}-out`, peer, handle, reason: why };
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
