import { type EntryId, entryId } from "../../ids/ids.ts";
import type { DecisionNumber } from "./types.ts";

/** Below 0: `a` comes before `b`; 0: they are the same number. */
export function compareNumbers(a: DecisionNumber, b: DecisionNumber): number {
  return a.generation - b.generation || a.revision - b.revision;
}

export function sameNumber(a: DecisionNumber, b: DecisionNumber): boolean {
  return compareNumbers(a, b) === 0;
}

/** More revisions than one generation can ever have. */
const revisionsPerGeneration = 1_000_000_000_000;

/**
 * The id of the entry that a record with this number opens. A later generation may use a revision again that
 * was lost in a disaster: its ids start a million million higher, so they never mean an older entry.
 */
export function entryIdOf(number: DecisionNumber, kind: string): EntryId {
  const { generation, revision } = number;
  return entryId(`${(generation - 1) * revisionsPerGeneration + revision}-${kind}`);
}
