import type { Handle, PeerId } from "../../ids/ids.ts";
import { type SeatMember, seatTarget } from "./seats.ts";
import type { CountedWish } from "./service-daemons.ts";

/**
 * The members with what is to become of their seats (vote and monitor, which go together) by these wishes, for the seat
 * planner to follow, which takes no seat before another has it. The number of seats stays as it is: a member that is
 * named takes the seat of one that is not, and where too few others are left a member keeps, or gets, a seat although
 * none is wanted there. What is said of a member's seats already (a migration) comes first. A single seat stays where it
 * is: on its way there would be two monitors, and both needed.
 *
 * It depends on who has a vote or is named, and on nothing else that changes while seats move: it stays the same until
 * they have.
 */
export function wishedSeats(
  members: readonly SeatMember[],
  voters: readonly PeerId[],
  monitors: ReadonlySet<Handle>,
  { targets, off }: CountedWish,
): { readonly members: readonly SeatMember[]; readonly reasons: readonly string[] } {
  const staying = members.filter(({ leaving }) => leaving === null);
  const target = seatTarget(staying.length);
  if (target === 1) return { members, reasons: [] };
  const free = staying.filter(({ seats }) => seats === null);
  const refusing = free.filter(({ peer }) => off.includes(peer));
  const isVoter = ({ peer }: SeatMember): boolean => voters.includes(peer);
  const spared = new Set(spare(staying, refusing, target, isVoter));
  const isAway = (member: SeatMember): boolean =>
    member.seats === "away" || (refusing.includes(member) && !spared.has(member));

  const isNamed = ({ peer, seats }: SeatMember): boolean => seats === null && targets.includes(peer);
  const named = staying.filter(
    (member) => isNamed(member) && !isAway(member) && (isVoter(member) || (member.alive && member.steady)),
  );
  const others = staying.filter((member) => isVoter(member) && !isAway(member) && !isNamed(member));
  const yielding = new Set(yieldSeats(named, others, target));
  // The vote of a lost member went to another, and then it came back: its monitor is in the way of one that is named.
  if (named.length > 0 && named.length + others.length >= target) {
    for (const member of staying) {
      if (monitors.has(member.handle) && !isVoter(member) && !isNamed(member)) yielding.add(member);
    }
  }
  const wish = (member: SeatMember): SeatMember => {
    if (member.leaving !== null || member.seats !== null) return member;
    if (isAway(member) || yielding.has(member)) return { ...member, seats: "away" };
    return named.includes(member) ? { ...member, seats: "preferred" } : member;
  };
  return {
    members: members.map(wish),
    reasons: [...spared].map(
      ({ handle }) => `no monitor is wanted on ${handle}, but there are too few others for ${target}`,
    ),
  };
}

/** Those who have, or may get, a seat against the wish, because too few others are there: who has one first. */
function spare(
  staying: readonly SeatMember[],
  refusing: readonly SeatMember[],
  target: number,
  isVoter: (member: SeatMember) => boolean,
): SeatMember[] {
  const able = staying.filter(
    (member) => !refusing.includes(member) && member.seats !== "away" && (member.alive || !member.lost),
  );
  return [...refusing]
    .sort((a, b) => Number(isVoter(b)) - Number(isVoter(a)) || a.admitted - b.admitted)
    .slice(0, Math.max(0, target - able.length));
}

/** Those who give their seats to members that are named: from crowded zones first, then the last admitted. */
function yieldSeats(
  named: readonly SeatMember[],
  others: readonly SeatMember[],
  target: number,
): SeatMember[] {
  const kept = [...others];
  const gone: SeatMember[] = [];
  while (kept.length > 0 && named.length + kept.length > target) {
    const crowding = ({ zone }: SeatMember): number =>
      zone === null ? 0 : [...named, ...kept].filter((other) => other.zone === zone).length;
    kept.sort((a, b) => crowding(a) - crowding(b) || a.admitted - b.admitted);
    gone.push(...kept.splice(-1));
  }
  return gone;
}
