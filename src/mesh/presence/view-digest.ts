import type { PeerId } from "../../ids/ids.ts";
import { hash32 } from "../overlay/hash32.ts";
import type { RumourKind } from "./rumour.ts";

/** Parts in which two views are compared, so that a difference costs the records of a few parts only. */
export const digestParts = 32;

export function partOf(peer: PeerId): number {
  return hash32("part", peer) % digestParts;
}

/**
 * A number for each part, the same for the same members in the same states, whatever the order. Incarnations
 * don't count: they are compared when states differ.
 */
export function digestsOf(states: Iterable<readonly [PeerId, RumourKind | undefined]>): number[] {
  const digests = new Array<number>(digestParts).fill(0);
  for (const [peer, state] of states) {
    const part = partOf(peer);
    digests[part] = ((digests[part] ?? 0) ^ hash32(state ?? "unknown", peer)) >>> 0;
  }
  return digests;
}

/** One number for all parts. */
export function digestOf(digests: readonly number[]): number {
  return hash32("view", digests.join(" "));
}
