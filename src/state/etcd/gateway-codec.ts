import { z } from "zod";
import type {
  Compare,
  EtcdMember,
  EtcdStatus,
  Kv,
  Operation,
  RangeOptions,
  Transaction,
  TransactionResult,
  WatchEvent,
} from "./etcd-api.ts";

/**
 * etcd's v3 JSON gateway as 3.4 to 3.6 speak it: keys and values in base64, 64-bit numbers as decimal text,
 * default values left out (https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/).
 */
type Body = Readonly<Record<string, unknown>>;

const base64 = z.string().default("");
/** 64-bit number that we count with: refused above 2^53, which no cluster reaches. */
const counted = z
  .union([z.string().regex(/^\d{1,20}$/), z.number()])
  .default("0")
  .transform(Number)
  .pipe(z.int().min(0));
/** 64-bit number that only names something: stays text. */
const id = z
  .union([z.string().regex(/^-?\d{1,20}$/), z.number()])
  .default("0")
  .transform(String);

const kv = z
  .object({
    key: base64,
    value: base64,
    create_revision: counted,
    mod_revision: counted,
    lease: id,
  })
  .transform(
    (raw): Kv => ({
      key: text(raw.key),
      value: text(raw.value),
      createRevision: raw.create_revision,
      modRevision: raw.mod_revision,
      lease: raw.lease,
    }),
  );
/** Every reply that is no error has one: what has none says nothing, and least of all that nothing is there. */
const header = z.object({ revision: counted, member_id: id });
const kvs = z.array(kv).default([]);

const rangeReply = z.object({ header, kvs });
const txnReply = z.object({
  header,
  succeeded: z.boolean().default(false),
  responses: z.array(z.object({ response_range: z.object({ kvs }).optional() })).default([]),
});
/** Lease 0 is none: a key with it would stay for ever. */
const grantReply = z.object({ header, ID: id.refine((lease) => lease !== "0") });
const keepAliveReply = z.object({ result: z.object({ TTL: counted }) });
const member = z
  .object({
    ID: id,
    name: z.string().default(""),
    peerURLs: z.array(z.string()).default([]),
    isLearner: z.boolean().default(false),
  })
  .transform(
    (raw): EtcdMember => ({ id: raw.ID, name: raw.name, peerUrls: raw.peerURLs, learner: raw.isLearner }),
  );
const membersReply = z.object({ header, members: z.array(member).min(1) });
const addReply = z.object({ header, member, members: z.array(member).min(1) });
const statusReply = z.object({
  header,
  version: z.string().max(64),
  dbSize: counted,
  leader: id,
  isLearner: z.boolean().default(false),
});
const watchReply = z.object({
  result: z.object({
    created: z.boolean().default(false),
    canceled: z.boolean().default(false),
    cancel_reason: z.string().default(""),
    compact_revision: counted,
    events: z.array(z.object({ type: z.enum(["PUT", "DELETE"]).default("PUT"), kv })).default([]),
  }),
});
/**
 * An error of one call, or in the middle of a stream. With the second generation of etcd's gateway, as in Debian 13's
 * etcd 3.5, the former has no field `error`.
 */
const errorReply = z.union([
  z
    .object({ error: z.union([z.string(), z.object({ message: z.string() })]) })
    .transform(({ error }) => (typeof error === "string" ? error : error.message)),
  z.object({ code: z.int().min(1), message: z.string() }).transform(({ message }) => message),
]);

function bytes(value: string): string {
  return Buffer.from(value, "utf8").toString("base64");
}

function text(value: string): string {
  return Buffer.from(value, "base64").toString("utf8");
}

/** The first key that does not start with the prefix (our keys are ASCII). */
function endOf(prefix: string): string {
  const raw = Buffer.from(prefix, "utf8");
  const last = raw.length - 1;
  raw.writeUInt8(raw.readUInt8(last) + 1, last);
  return raw.toString("base64");
}

export function encodeRange(key: string, options: RangeOptions): Body {
  return {
    key: bytes(options.prefix ? (options.from ?? key) : key),
    ...(options.prefix ? { range_end: endOf(key) } : {}),
    ...(options.limit === undefined ? {} : { limit: String(options.limit) }),
    ...(options.serializable ? { serializable: true } : {}),
  };
}

function encodeCompare({ key, target, result, revision }: Compare): Body {
  return {
    key: bytes(key),
    target: target.toUpperCase(),
    result: result.toUpperCase(),
    [`${target}_revision`]: String(revision),
  };
}

function encodeOperation(operation: Operation): Body {
  switch (operation.do) {
    case "put": {
      const { key, value, lease } = operation;
      return {
        request_put: { key: bytes(key), value: bytes(value), ...(lease === undefined ? {} : { lease }) },
      };
    }
    case "delete":
      return { request_delete_range: { key: bytes(operation.key) } };
    case "range":
      return { request_range: encodeRange(operation.key, operation) };
  }
}

export function encodeTransaction({ compare, success, failure }: Transaction): Body {
  return {
    compare: compare.map(encodeCompare),
    success: success.map(encodeOperation),
    failure: failure.map(encodeOperation),
  };
}

export function encodeWatch(prefix: string, fromRevision: number): Body {
  return {
    create_request: {
      key: bytes(prefix),
      range_end: endOf(prefix),
      start_revision: String(fromRevision),
    },
  };
}

export function decodeRange(reply: unknown): { kvs: Kv[]; revision: number } {
  const raw = rangeReply.parse(reply);
  return { kvs: raw.kvs, revision: raw.header.revision };
}

export function decodeTransaction(reply: unknown): TransactionResult {
  const raw = txnReply.parse(reply);
  const responses = raw.responses.map((response) => ({ kvs: response.response_range?.kvs ?? [] }));
  return { succeeded: raw.succeeded, revision: raw.header.revision, responses };
}

export function decodeGrant(reply: unknown): { id: string } {
  return { id: grantReply.parse(reply).ID };
}

export function decodeKeepAlive(reply: unknown): { ttlSeconds: number } {
  return { ttlSeconds: keepAliveReply.parse(reply).result.TTL };
}

export function decodeMembers(reply: unknown): EtcdMember[] {
  return membersReply.parse(reply).members;
}

export function decodeMemberAdd(reply: unknown): { id: string; members: EtcdMember[] } {
  const raw = addReply.parse(reply);
  return { id: raw.member.id, members: raw.members };
}

export function decodeStatus(reply: unknown): EtcdStatus {
  const raw = statusReply.parse(reply);
  const { version, leader, isLearner: learner, dbSize: databaseBytes } = raw;
  return { version, leader, learner, databaseBytes, member: raw.header.member_id };
}

/** One line of a watch: events, the end of the watch with its reason, or neither (`created`, progress). */
export interface WatchLine {
  readonly events: readonly WatchEvent[];
  readonly canceled: { readonly compactRevision: number; readonly reason: string } | null;
}

export function decodeWatchLine(line: unknown): WatchLine {
  const { result } = watchReply.parse(line);
  const events = result.events.map(
    (event): WatchEvent => ({ type: event.type === "PUT" ? "put" : "delete", kv: event.kv }),
  );
  const canceled = result.canceled
    ? { compactRevision: result.compact_revision, reason: result.cancel_reason }
    : null;
  return { events, canceled };
}

/** etcd's own words when the reply, or a line of a stream, is an error; else undefined. */
export function decodeError(reply: unknown): string | undefined {
  return errorReply.safeParse(reply).data;
}
