import type { PeerId } from "../../ids/ids.ts";

/** An operator's word about a node that wants in. */
export interface Approval {
  readonly verdict: "approve" | "deny";
  /** RFC 3339. */
  readonly at: string;
  readonly by: PeerId;
}

/** Milliseconds for which an approval holds; a denial holds until it is replaced. */
export const approvalLifetimeMs = 24 * 60 * 60 * 1000;

/** Milliseconds by which another member's clock may run ahead of ours before its approval is not believed. */
export const clockSkewMs = 60 * 60 * 1000;

export type ResolvedApproval =
  | { readonly state: "holds"; readonly approval: Approval }
  | { readonly state: "lapsed" | "ahead" | "none" };

/**
 * The verdict at a moment (ms since the epoch), from the words that no later word replaced: a denial beats an
 * approval, whenever each was given. "ahead": the only approval bears a time that has not come, so that it
 * would not lapse when it should.
 */
export function resolveApproval(words: readonly Approval[], now: number): ResolvedApproval {
  const latestFirst = [...words].sort(
    (a, b) => Date.parse(b.at) - Date.parse(a.at) || (a.by < b.by ? -1 : 1),
  );
  const denial = latestFirst.find((word) => word.verdict === "deny");
  if (denial !== undefined) return { state: "holds", approval: denial };
  const believed = latestFirst.filter((word) => Date.parse(word.at) - now <= clockSkewMs);
  const approval = believed[0];
  if (approval === undefined) return { state: words.length === 0 ? "none" : "ahead" };
  if (now - Date.parse(approval.at) >= approvalLifetimeMs) return { state: "lapsed" };
  return { state: "holds", approval };
}
