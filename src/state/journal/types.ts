import type { EntryId, PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";

/**
 * Number of a decision, a total order: the generation first (it rises only in recovery and restore), then
 * the journal's own gap-free count of records.
 */
export interface DecisionNumber {
  readonly generation: number;
  readonly revision: number;
}

/**
 * What a record does to its entry. `restamp` gives it a new number under a new holder; `handed` says that
 * an agent may have it from now on; `done` and `abandoned` end it.
 */
export type RecordEvent = "open" | "restamp" | "handed" | "done" | "abandoned";

/** One line of the journal, as it is stored, sent and signed. */
export interface JournalRecord {
  readonly v: 1;
  readonly generation: number;
  readonly revision: number;
  /** Create revision of the lease under which it was written. */
  readonly epoch: number;
  /** RFC 3339, the writer's clock: for people only. */
  readonly at: string;
  readonly by: PeerId;
  readonly entry: EntryId;
  readonly event: RecordEvent;
  readonly kind: string;
  /** What was decided; null in all but the `open` record. */
  readonly body: Json;
  /** The node that carries the entry out; null: the lease holder itself. */
  readonly agent: PeerId | null;
  /** What came of it (`done`); on `abandoned` `{cancelAcknowledged, agentGone?}`. */
  readonly result: Json;
  readonly reason: string;
  /** SHA-256 (hex) of the canonical JSON of the record before, "" in the first. */
  readonly previous: string;
  /** Base64, by the cluster's key, over the canonical JSON of all other fields. */
  readonly signature: string;
}

export type EntryState = "open" | "done" | "abandoned";

/** A decision: what the records of one entry come to. */
export interface Entry {
  readonly id: EntryId;
  readonly kind: string;
  readonly body: Json;
  readonly agent: PeerId | null;
  readonly state: EntryState;
  /** Of its latest `open` or `restamp` record: the number under which it is carried out. */
  readonly number: DecisionNumber;
  /** An agent may have it, so that only the agent's acknowledgement (or removal) can end it early. */
  readonly handed: boolean;
  readonly result: Json;
  readonly reason: string;
  /** RFC 3339. */
  readonly openedAt: string;
  readonly closedAt: string | null;
  /** Of its `open` record; never changes. */
  readonly openedNumber: DecisionNumber;
}

/** What a holder of the lease asks to be decided. */
export interface Draft {
  readonly kind: string;
  readonly body: Json;
  readonly agent: PeerId | null;
  readonly reason: string;
}
