import { createHash } from "node:crypto";
import { z } from "zod";
import { canonicalJson } from "../../ids/canonical-json.ts";
import { type EntryId, isEntryId, isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { DecisionNumber, JournalRecord } from "./types.ts";

/** Longest record in bytes of canonical JSON: a reply of many still fits into one message of the mesh. */
export const maxRecordBytes = 128 * 1024;
/** What a record's signature is for; a signature made for anything else proves nothing here. */
export const recordDomain = "journal-record";

/** Signs with the cluster's private key; as `signWithClusterKey` of the mesh. */
export type Sign<Key> = (key: Key, domain: string, data: string) => string;
/** Whether the signature is by the cluster's key; as `verifyWithClusterKey` of the mesh. */
export type Verify = (publicKey: string, domain: string, data: string, signature: string) => boolean;

const count = z.int().min(1);
const peer = z.custom<PeerId>(isPeerId, "not a PeerId");
const recordSchema = z.looseObject({
  v: z.literal(1),
  generation: count,
  revision: count,
  epoch: count,
  at: z.iso.datetime(),
  by: peer,
  entry: z.custom<EntryId>(isEntryId, "not an entry id"),
  event: z.enum(["open", "restamp", "handed", "done", "abandoned"]),
  kind: z.string().regex(/^[a-z][a-z.-]{0,40}$/),
  body: z.json(),
  agent: peer.nullable(),
  result: z.json(),
  reason: z.string().max(1000),
  previous: z.string().regex(/^([0-9a-f]{64})?$/),
  signature: z.string().max(200),
});

/** A record from outside, or undefined when it is not one. Fields that this version does not know are kept. */
export function parseRecord(value: unknown): JournalRecord | undefined {
  try {
    const parsed = recordSchema.safeParse(value);
    return parsed.success ? (parsed.data as JournalRecord) : undefined;
  } catch {
    // Nested so deep that the stack ends.
    return undefined;
  }
}

/** A record as text of JSON, under the same checks. */
export function parseRecordText(text: string): JournalRecord | undefined {
  try {
    return parseRecord(JSON.parse(text));
  } catch {
    return undefined;
  }
}

export function numberOf(record: JournalRecord): DecisionNumber {
  return { generation: record.generation, revision: record.revision };
}

/** What the signature covers: every field but the signature itself. */
export function signedText(record: Omit<JournalRecord, "signature">): string {
  const { signature: _, ...rest } = record as JournalRecord;
  return canonicalJson(rest as unknown as Json);
}

/** SHA-256 in hex: what the next record calls `previous`. */
export function hashOf(record: JournalRecord): string {
  return createHash("sha256")
    .update(canonicalJson(record as unknown as Json))
    .digest("hex");
}
