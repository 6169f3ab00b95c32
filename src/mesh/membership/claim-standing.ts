import type { PeerId } from "../../ids/ids.ts";
import type { MemberCertificate, Tombstone } from "../identity/certificate.ts";
import type { ClaimStatusRequest, DecisionNumber } from "../lobby/messages.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { clusterOf } from "./lifecycle.ts";

/** What a member's copy of the journal says of one node. */
export interface JournalStanding {
  /** Last number in the copy, or null when it is empty. */
  readonly head: DecisionNumber | null;
  /** Of a node that is admitted and not removed since. */
  readonly certificate: MemberCertificate | null;
  readonly tombstone: Tombstone | null;
  /** Its latest `member.admit` entry. */
  readonly admission: "open" | "done" | "abandoned" | null;
  /** An operator's standing denial. */
  readonly denied: boolean;
}

export type StandingAnswer =
  | { readonly status: "founding" | "reserved" | "behind" | "unknown" }
  | { readonly status: "admitted"; readonly certificate: MemberCertificate };

/**
 * What a node answers to a claimed one that asks after its claim. `unknown` sets the asker free, so it is
 * said only of a claim that comes to nothing for certain.
 */
export function claimStatus(
  lifecycle: Lifecycle,
  journal: ((peer: PeerId) => JournalStanding) | null,
  asker: PeerId,
  { cluster, number }: Pick<ClaimStatusRequest, "cluster" | "number">,
): StandingAnswer {
  // A founder that gave up has forgotten the cluster's key, so it cannot be founded any more.
  if (clusterOf(lifecycle) !== cluster) return { status: "unknown" };
  switch (lifecycle.state) {
    case "founding":
      return { status: "founding" };
    case "founded":
    case "member":
      break;
    case "claimed":
      return { status: "behind" };
    default:
      return { status: "unknown" };
  }
  if (journal === null) return { status: lifecycle.state === "founded" ? "reserved" : "behind" };
  return standingOf(journal(asker), number);
}

function standingOf(standing: JournalStanding, number: DecisionNumber | null): StandingAnswer {
  if (standing.certificate !== null) return { status: "admitted", certificate: standing.certificate };
  if (standing.tombstone !== null) return { status: "unknown" };
  if (standing.admission === "open") return { status: "reserved" };
  if (number !== null) {
    return { status: isBefore(standing.head, number) ? "behind" : "unknown" };
  }
  // A founder's claim has no number: the cluster reserves it on its own, unless it has decided otherwise.
  return { status: standing.admission === "abandoned" || standing.denied ? "unknown" : "reserved" };
}

function isBefore(head: DecisionNumber | null, number: DecisionNumber): boolean {
  if (head === null) return true;
  if (head.generation !== number.generation) return head.generation < number.generation;
  return head.revision < number.revision;
}
