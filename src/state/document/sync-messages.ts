import { z } from "zod";
import { type ClusterId, isClusterId } from "../../ids/ids.ts";

/** Base64 characters in one request or reply, so that a frame stays under 3 MiB. */
export const partLength = 2 * 1024 * 1024;
/** Parts of one sync message: 32 MiB of base64 is a document 25 times as large as one of 1,000 nodes. */
export const maxParts = 16;

const head = z.string().regex(/^[0-9a-f]{64}$/);
export const headsSchema = z.array(head).max(4096);
const cluster = z.custom<ClusterId>(isClusterId);
const count = z.int().min(0);
const data = z.base64().max(partLength);
const session = z.string().min(1).max(64);

/**
 * Requests, version 1. `heads` asks whether the documents differ. `sync` carries a message of Automerge's sync
 * protocol, in parts when it is long; null asks what the other side has to say. `more` fetches a further part
 * of the last reply.
 */
export const syncRequest = z.discriminatedUnion("kind", [
  z.looseObject({ v: z.literal(1), kind: z.literal("heads"), cluster, epoch: count, heads: headsSchema }),
  z.looseObject({
    v: z.literal(1),
    kind: z.literal("sync"),
    cluster,
    epoch: count,
    heads: headsSchema,
    /** A new id begins a session; `n` counts its messages from 0. */
    session,
    n: count,
    part: count,
    of: z.int().min(1).max(maxParts),
    data: data.nullable(),
  }),
  z.looseObject({ v: z.literal(1), kind: z.literal("more"), cluster, epoch: count, session, part: count }),
]);
export type SyncRequest = z.infer<typeof syncRequest>;

/**
 * cluster, epoch: the documents must not meet. busy: too many requests, later. session: not known (any more),
 * begin a new one. damaged: the message cannot be merged. request: not understood.
 */
export const refusals = ["cluster", "epoch", "busy", "session", "damaged", "request"] as const;
export type Refusal = (typeof refusals)[number];

export const syncReply = z.discriminatedUnion("kind", [
  z.looseObject({ v: z.literal(1), kind: z.literal("heads"), heads: headsSchema, refetching: z.boolean() }),
  /** A part arrived, send the next. */
  z.looseObject({ v: z.literal(1), kind: z.literal("part") }),
  z.looseObject({
    v: z.literal(1),
    kind: z.literal("sync"),
    heads: headsSchema,
    refetching: z.boolean(),
    of: z.int().min(1).max(maxParts),
    data: data.nullable(),
  }),
  z.looseObject({ v: z.literal(1), kind: z.literal("more"), data }),
  z.looseObject({ v: z.literal(1), kind: z.literal("refused"), reason: z.enum(refusals) }),
]);
export type SyncReply = z.infer<typeof syncReply>;

/** A sync message as base64 in parts; throws RangeError when it is longer than the other side would take. */
export function split(message: Uint8Array): string[] {
  const text = Buffer.from(message).toString("base64");
  const parts: string[] = [];
  for (let at = 0; at < text.length; at += partLength) parts.push(text.slice(at, at + partLength));
  if (parts.length > maxParts) throw new RangeError(`a sync message of ${message.length} bytes is too long`);
  return parts;
}

export function join(parts: readonly string[]): Uint8Array {
  return Buffer.from(parts.join(""), "base64");
}

export function sameHeads(a: readonly string[] | undefined, b: readonly string[]): boolean {
  return a !== undefined && a.length === b.length && a.every((head, n) => head === b[n]);
}
