import type { PeerId } from "../../ids/ids.ts";
import type { PresenceMember } from "./presence-member.ts";
import type { PresenceTimings } from "./presence-timings.ts";
import type { Rumour } from "./rumour.ts";

export interface VerdictFacts {
  /** The waking clock. */
  readonly awake: number;
  /** By how much this node doubts itself. */
  readonly stretch: number;
  /** How many could testify. */
  readonly witnesses: number;
  readonly timings: PresenceTimings;
}

export interface Verdict {
  readonly to: "failed" | "left";
  readonly reason: string;
  readonly rumour: Rumour;
}

/** What has become of a suspect, or undefined while that is open. */
export function verdictOn(peer: PeerId, member: PresenceMember, facts: VerdictFacts): Verdict | undefined {
  const { failedMs, aloneMs, voteMs, witnessesNeeded } = facts.timings;
  const { told, incarnation } = member;
  if (told !== undefined && told.incarnation >= incarnation) {
    if (told.kind === "failed" || told.kind === "left") {
      return { to: told.kind, reason: "others say so, and it does not answer", rumour: told };
    }
  }
  const accusers = member.accusers(facts.awake, voteMs);
  if (accusers === undefined || accusers.length < Math.min(witnessesNeeded, facts.witnesses))
    return undefined;
  const silence = facts.awake - member.quietSince;
  if (silence < failedMs * facts.stretch) return undefined;
  const alone = member.lastSeen === null || accusers.length === 0;
  if (alone && silence < aloneMs) return undefined;
  const reason =
    accusers.length === 0 ? "nobody is left to ask" : `${accusers.length} others do not reach it either`;
  return { to: "failed", reason, rumour: { kind: "failed", peer, incarnation, witnesses: accusers } };
}
