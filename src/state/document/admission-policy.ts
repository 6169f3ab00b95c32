import type { PeerId } from "../../ids/ids.ts";

/** auto: claim every fresh node seen; approve: list it until an operator says so; closed: neither. */
export type AdmissionMode = "auto" | "approve" | "closed";

export interface AdmissionWish {
  readonly mode: AdmissionMode;
  /** RFC 3339; `auto` turns to `approve` then. null: for ever. */
  readonly until: string | null;
  /** When and by which member it was wished. */
  readonly at: string;
  readonly by: PeerId;
}

/** The policy that holds now. */
export interface Admission {
  readonly mode: AdmissionMode;
  readonly until: string | null;
  readonly reason: string;
  /** The wishes it comes from: more than one when they were made without knowledge of each other. */
  readonly wishes: readonly AdmissionWish[];
}

/** Milliseconds for which a new cluster admits by itself. */
export const foundingAdmissionMs = 24 * 60 * 60 * 1000;

const strictness: Readonly<Record<AdmissionMode, number>> = { auto: 0, approve: 1, closed: 2 };

/** What the founder of a cluster writes into the document: `auto` for the first 24 hours. */
export function foundingAdmission(foundedAt: number): { mode: AdmissionMode; until: string } {
  return { mode: "auto", until: new Date(foundedAt + foundingAdmissionMs).toISOString() };
}

/**
 * The policy at a moment (ms since the epoch), from the wishes that no later wish replaced: the stricter one
 * holds. Without any wish nobody is admitted unasked.
 */
export function resolveAdmission(wishes: readonly AdmissionWish[], now: number): Admission {
  const current = wishes.map((wish) => ({ wish, mode: modeAt(wish, now) }));
  const mode = current.reduce<AdmissionMode>(
    (strictest, each) => (strictness[each.mode] > strictness[strictest] ? each.mode : strictest),
    wishes.length === 0 ? "approve" : "auto",
  );
  const until = mode === "auto" ? earliest(wishes) : null;
  return { mode, until, reason: reasonOf(wishes, mode), wishes };
}

function modeAt(wish: AdmissionWish, now: number): AdmissionMode {
  if (wish.mode === "auto" && wish.until !== null && Date.parse(wish.until) <= now) return "approve";
  return wish.mode;
}

function earliest(wishes: readonly AdmissionWish[]): string | null {
  const ends = wishes.flatMap((wish) => (wish.until === null ? [] : [wish.until]));
  ends.sort((a, b) => Date.parse(a) - Date.parse(b));
  return ends[0] ?? null;
}

function reasonOf(wishes: readonly AdmissionWish[], mode: AdmissionMode): string {
  if (wishes.length === 0) return "nobody set it yet";
  if (wishes.length > 1) return `the strictest of ${wishes.length} wishes made apart from each other`;
  const wish = wishes[0];
  return wish !== undefined && wish.mode !== mode ? "its time of auto is over" : "as set";
}
