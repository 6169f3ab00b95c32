import type { ClusterId, PeerId } from "../../ids/ids.ts";
import type { RefusalCode } from "../lobby/messages.ts";
import type { HeldClaim, Lifecycle } from "./lifecycle.ts";
import { clusterOf } from "./lifecycle.ts";
import type { SeenFounding } from "./neighbours.ts";
import { protocolTimes } from "./settings.ts";

/** What a node knows when a claim with a valid proof arrives. */
export interface ClaimFacts {
  readonly self: PeerId;
  readonly now: number;
  /** Epoch milliseconds of the start of this run. */
  readonly startedAt: number;
  /** Since when there is anybody in sight, in epoch milliseconds; null while there never was. */
  readonly sightedAt: number | null;
  /** Sighted lobbies that have neither answered nor failed yet. */
  readonly untried: number;
  readonly quietMs: number;
  readonly lifecycle: Lifecycle;
  readonly windowOpen: boolean;
  readonly joining: ClusterId | null;
  /** Clusters proven in the last 30 s. */
  readonly clusters: readonly ClusterId[];
  /** Foundings seen, other than that of the claim. */
  readonly foundings: readonly SeenFounding[];
}

/** `hold`: put this on disk, then say yes. `repeat`: it is there already, say yes again. */
export type ClaimDecision =
  | { readonly answer: "hold"; readonly claim: HeldClaim }
  | { readonly answer: "repeat" }
  | { readonly answer: "refuse"; readonly code: RefusalCode; readonly reason: string };

/** Whether to accept a claim: a node holds one, and only when it cannot be the wrong one. */
export function decideClaim(facts: ClaimFacts, claim: HeldClaim): ClaimDecision {
  const { lifecycle } = facts;
  switch (lifecycle.state) {
    case "claimed":
      return decideWhileClaimed(lifecycle.claim, claim);
    case "founding":
      return decideWhileFounding(facts, lifecycle.key.id, claim);
    case "fresh":
      return decideWhileFresh(facts, claim);
    case "member":
      return clusterOf(lifecycle) === claim.cluster && claim.by === "member"
        ? { answer: "repeat" }
        : refuse("not-fresh", "it is a member of a cluster");
    case "founded":
      return refuse("not-fresh", "it has founded a cluster");
    case "removed":
      return refuse("not-fresh", "it was removed from a cluster");
  }
}

function decideWhileClaimed(held: HeldClaim, claim: HeldClaim): ClaimDecision {
  if (held.cluster === claim.cluster) {
    if (claim.by === "founder") {
      return held.by === "member" || held.founder === claim.founder
        ? { answer: "repeat" }
        : refuse("not-fresh", "another node founds the same cluster");
    }
    // The cluster exists by now and has reserved an admission: hold that, or its successor.
    if (held.by === "founder" || isLater(claim, held)) return { answer: "hold", claim };
    return { answer: "repeat" };
  }
  return refuse("not-fresh", "it has accepted another claim");
}

function decideWhileFounding(facts: ClaimFacts, own: ClusterId, claim: HeldClaim): ClaimDecision {
  if (claim.by === "member") return decideWhileFresh(facts, claim);
  if (claim.cluster === own) return refuse("not-fresh", "it founds that cluster itself");
  // Two provisional founders: the higher PeerId yields, by the same write that accepts the claim.
  return claim.founder < facts.self
    ? decideWhileFresh(facts, claim)
    : refuse("not-fresh", "it founds a cluster with a lower PeerId");
}

function decideWhileFresh(facts: ClaimFacts, claim: HeldClaim): ClaimDecision {
  if (!facts.windowOpen) return refuse("window-closed", "its window for claims is closed");
  if (facts.joining !== null) {
    return facts.joining === claim.cluster
      ? { answer: "hold", claim }
      : refuse("not-this-cluster", "its operator wants it in another cluster");
  }
  const others = facts.clusters.filter((cluster) => cluster !== claim.cluster);
  if (claim.by === "member") {
    if (others.length > 0) {
      return refuse("two-clusters", "it sees more than one cluster and was not told which to join");
    }
    return isLookingAround(facts)
      ? refuse("listening", "it is still finding out who is there")
      : { answer: "hold", claim };
  }
  if (facts.clusters.length > 0) return refuse("other-cluster", "it sees a cluster that exists already");
  // Its view is the ground of the majority, so it listens before it lends its weight.
  if (facts.now - facts.startedAt < facts.quietMs) return refuse("listening", "it has only just started");
  const other = facts.foundings.find(
    ({ firm, founder, cluster }) =>
      cluster !== claim.cluster && (firm || (founder !== null && founder < claim.founder)),
  );
  if (other !== undefined) {
    return refuse("other-founding", "it sees another founding that goes before");
  }
  return { answer: "hold", claim };
}

/** Whether there may be a second cluster that it has not heard of yet: the quickest to claim it is not to win. */
function isLookingAround({ now, startedAt, sightedAt, untried }: ClaimFacts): boolean {
  return now - (sightedAt ?? startedAt) < protocolTimes.lookAroundMs || untried > 0;
}

function isLater(a: Extract<HeldClaim, { by: "member" }>, b: Extract<HeldClaim, { by: "member" }>): boolean {
  return (
    a.number.generation > b.number.generation ||
    (a.number.generation === b.number.generation && a.number.revision > b.number.revision)
  );
}

function refuse(code: RefusalCode, reason: string): ClaimDecision {
  return { answer: "refuse", code, reason };
}

/** Whether a founder's claim that is not confirmed has outlived its founder's silence. */
export function isClaimForsaken(claim: HeldClaim, heardAt: number, now: number): boolean {
  return claim.by === "founder" && !claim.confirmed && now - heardAt >= protocolTimes.founderSilenceMs;
}
