import { hashOf } from "./record.ts";
import type { JournalRecord } from "./types.ts";

/** The record that the next one has to continue. */
export interface Tail {
  readonly generation: number;
  readonly revision: number;
  readonly epoch: number;
  readonly hash: string;
}

export function tailOf(record: JournalRecord): Tail {
  const { generation, revision, epoch } = record;
  return { generation, revision, epoch, hash: hashOf(record) };
}

/**
 * Whether a record continues the chain. `gap`: records between are missing. `forked`: it contradicts what is
 * there. `replaced` is the stored record with the same revision, which only a later generation may take over.
 */
export function checkChain(
  tail: Tail | null,
  record: JournalRecord,
  replaced: JournalRecord | null,
): "continues" | "gap" | "forked" {
  if (record.revision > (tail?.revision ?? 0) + 1) return "gap";
  if (replaced !== null && record.generation <= replaced.generation) return "forked";
  if (record.revision !== (tail?.revision ?? 0) + 1 || record.previous !== (tail?.hash ?? ""))
    return "forked";
  if (tail === null) return "continues";
  if (record.generation < tail.generation) return "forked";
  // Within a generation leases follow each other; a recovered etcd counts its revisions anew.
  if (record.generation === tail.generation && record.epoch < tail.epoch) return "forked";
  return "continues";
}
