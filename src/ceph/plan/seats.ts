import type { Handle, PeerId } from "../../ids/ids.ts";

/** What the seat planner knows of one member. */
export interface SeatMember {
  readonly peer: PeerId;
  readonly handle: Handle;
  readonly zone: string | null;
  readonly alive: boolean;
  /** Number of the admitting decision: older members are preferred. */
  readonly admitted: number;
}

export interface SeatFacts {
  readonly members: readonly SeatMember[];
  /** Voters of etcd; a learner is not one yet. */
  readonly voters: readonly PeerId[];
  /** Monitors in Ceph's monmap; null while Ceph is not there or does not answer. */
  readonly monitors: readonly Handle[] | null;
  /** Monitors in quorum. */
  readonly monitorsInQuorum: readonly Handle[];
}

export type SeatStep =
  | { readonly kind: "voter"; readonly peer: PeerId; readonly handle: Handle; readonly reason: string }
  | { readonly kind: "monitor"; readonly peer: PeerId; readonly handle: Handle; readonly reason: string };

export interface SeatPlan {
  /** Seats wanted for this many members. */
  readonly target: number;
  /** The one next change, or null. */
  readonly next: SeatStep | null;
  /** Why there is, or is not, a next change. */
  readonly reasons: readonly string[];
}

/** Seats of voters and monitors for a number of members: 1 for one or two, 3 from three, 5 from seven. */
export function seatTarget(members: number): number {
  if (members >= 7) return 5;
  return members >= 3 ? 3 : 1;
}

/**
 * Candidates in order of preference: zones that hold no seat yet first, then the longest admitted.
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
    left.sort((a, b) => crowding(a) - crowding(b) || a.admitted - b.admitted || (a.peer < b.peer ? -1 : 1));
    const best = left.shift();
    if (best) chosen.push(best);
  }
  return chosen;
}

/**
 * The next single change of the voters or the monitors. Both come from one plan (monitors sit where
 * voters sit) and are grown in this order: every voter first, then the monitors. Growing starts only
 * when enough members are alive to reach an odd count, because an even count tolerates nothing more.
 */
export function planSeats(facts: SeatFacts): SeatPlan {
  const target = seatTarget(facts.members.length);
  const reasons: string[] = [];
  const seated = facts.members.filter((member) => facts.voters.includes(member.peer));
  const free = facts.members.filter((member) => member.alive && !facts.voters.includes(member.peer));
  const missing = target - facts.voters.length;

  if (missing > 0) {
    const step = growVoters(facts, seated, free, target, reasons);
    if (step) return { target, next: step, reasons };
  }
  if (facts.monitors === null) {
    return { target, next: null, reasons: [...reasons, "Ceph's monitors do not answer yet"] };
  }
  const step = growMonitors(facts, facts.monitors, target, reasons);
  if (!step && reasons.length === 0) reasons.push(`${target} voters and monitors are seated`);
  return { target, next: step, reasons };
}

function growVoters(
  facts: SeatFacts,
  seated: readonly SeatMember[],
  free: readonly SeatMember[],
  target: number,
  reasons: string[],
): SeatStep | null {
  const count = facts.voters.length;
  const nextOdd = count % 2 === 0 ? count + 1 : count + 2;
  const needed = Math.min(nextOdd, target) - count;
  const chosen = spread(free, seated, needed);
  const first = chosen[0];
  if (!first || chosen.length < needed) {
    reasons.push(`${needed} more voters are wanted, ${chosen.length} members without a seat are alive`);
    return null;
  }
  const reason = `${facts.members.length} members want ${target} voters, there are ${count}`;
  return { kind: "voter", peer: first.peer, handle: first.handle, reason };
}

function growMonitors(
  facts: SeatFacts,
  monitors: readonly Handle[],
  target: number,
  reasons: string[],
): SeatStep | null {
  if (monitors.length >= target) return null;
  const waiting = facts.members.filter(
    (member) => facts.voters.includes(member.peer) && !monitors.includes(member.handle) && member.alive,
  );
  const seated = facts.members.filter((member) => monitors.includes(member.handle));
  const nextOdd = monitors.length % 2 === 0 ? monitors.length + 1 : monitors.length + 2;
  const needed = Math.min(nextOdd, target) - monitors.length;
  const chosen = spread(waiting, seated, needed);
  const first = chosen[0];
  if (!first || chosen.length < needed) {
    reasons.push(`${needed} more monitors are wanted, ${chosen.length} voters without one are alive`);
    return null;
  }
  const down = monitors.filter((name) => !facts.monitorsInQuorum.includes(name));
  if (down.length > 0) {
    reasons.push(`no monitor is added while ${down.join(", ")} is out of quorum`);
    return null;
  }
  const reason = `${facts.members.length} members want ${target} monitors, there are ${monitors.length}`;
  return { kind: "monitor", peer: first.peer, handle: first.handle, reason };
}
