import { z } from "zod";
import {
  type ClusterId,
  type EntryId,
  isClusterId,
  isEntryId,
  isPeerId,
  type PeerId,
} from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { DecisionNumber, Entry } from "./types.ts";

/** Newest record: what the next one continues. */
export interface Head extends DecisionNumber {
  readonly cluster: ClusterId;
  /** `hashOf` the newest record. */
  readonly hash: string;
  readonly epoch: number;
}

/** An entry as etcd holds it, with the epoch under which it got its number. */
export interface StoredEntry {
  readonly epoch: number;
  readonly entry: Entry;
}

const count = z.int().min(1);
const number = z.object({ generation: count, revision: count });
const headSchema = z.object({
  cluster: z.custom<ClusterId>(isClusterId, "not a cluster id"),
  generation: count,
  revision: count,
  hash: z.string().length(64),
  epoch: count,
});
const storedEntrySchema = z.object({
  epoch: count,
  entry: z.object({
    id: z.custom<EntryId>(isEntryId, "not an entry id"),
    kind: z.string(),
    body: z.json(),
    agent: z.custom<PeerId>(isPeerId, "not a PeerId").nullable(),
    state: z.enum(["open", "done", "abandoned"]),
    number,
    handed: z.boolean(),
    result: z.json(),
    reason: z.string(),
    openedAt: z.string(),
    closedAt: z.string().nullable(),
    openedNumber: number,
  }),
});

export function encodeHead(head: Head): string {
  return JSON.stringify({ v: 1, ...head });
}

/** Throws for anything that `encodeHead` has not made. */
export function decodeHead(text: string): Head {
  return headSchema.parse(JSON.parse(text));
}

export function encodeEntry(stored: StoredEntry): string {
  return JSON.stringify(stored);
}

export function decodeEntry(text: string): StoredEntry {
  return storedEntrySchema.parse(JSON.parse(text)) as { epoch: number; entry: Entry & { body: Json } };
}
