import { z } from "zod";
import type { ClusterId, EntryId, PeerId } from "../../ids/ids.ts";
import { isClusterId, isEntryId, isPeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";

/** Version that every lobby message carries. Unknown fields are left aside, unknown kinds counted and refused. */
export const lobbyVersion = 1;
/** Longest request or reply, in bytes of its JSON. */
export const maxLobbyFrameBytes = 4096;
/** Longest list of PeerIds in a message: 24 × 55 bytes leave room for the rest of a frame. */
export const maxSeenPeers = 24;
/** Longest lists of clusters, foundings, networks and contacts in a message. */
export const maxListedClusters = 4;
export const maxListedFoundings = 8;
export const maxListedNetworks = 8;
export const maxContacts = 8;
const maxContactAddresses = 4;

const version = z.literal(lobbyVersion);
const peer = z.custom<PeerId>(isPeerId, "not a PeerId");
const cluster = z.custom<ClusterId>(isClusterId, "not a cluster id");
const entry = z.custom<EntryId>(isEntryId, "not a journal entry id");
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const port = z.number().int().min(1).max(65535);
const address = z.string().min(2).max(64);
const base64 = z
  .string()
  .max(128)
  .regex(/^[A-Za-z0-9+/]+=*$/);
// Names are shown on terminals: what could steer one is taken out here, at the edge.
const label = z
  .string()
  .max(64)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to go
  .transform((text) => text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, ""));
/** A certificate or tombstone: its own room parses and verifies it. */
const signed = z.record(z.string(), z.unknown());

/** Number of a decision: generation first, then the journal's own sequence number. */
export const decisionNumberSchema = z.object({ generation: count, revision: count });
export interface DecisionNumber {
  readonly generation: number;
  readonly revision: number;
}

/** A founding that a node knows of. `firm`: founded, or some acceptor has confirmed, so it may be founded. */
const founding = z.object({ cluster, founder: peer.nullable(), firm: z.boolean() });

/** What a node sees: the grounds on which a founder decides whether it has a majority. */
const sight = {
  /** Nodes without a cluster that answered it, at most 24 of them; `seesCount` is the full number. */
  sees: z.array(peer).max(maxSeenPeers),
  seesCount: count,
  /** Clusters that a member proved to it in the last 30 s. */
  clusters: z.array(cluster).max(maxListedClusters),
  /** Foundings other than the one it takes part in. */
  foundings: z.array(founding).max(maxListedFoundings),
  /** Subnets (CIDR) of its interfaces. */
  networks: z.array(z.string().max(64)).max(maxListedNetworks),
};
const sightSchema = z.object(sight);
export type Sight = z.infer<typeof sightSchema>;

/** Reply to `hello`: who answers. Only `id` is proved by the connection, and a cluster only by `certificate`. */
export const greetingSchema = z.object({
  v: version,
  id: peer,
  name: label,
  version: label,
  state: z.enum(["fresh", "claimed", "member", "removed"]),
  window: z.object({ open: z.boolean(), until: z.string().max(40).nullable() }),
  disks: z.object({ count, bytes: count }),
  /** Whether it would found a cluster now: not while its window is shut or after a failed attempt. */
  mayFound: z.boolean(),
  /** The cluster that it founds; `founded` once that is final. */
  founding: cluster.nullable(),
  founded: z.boolean(),
  /** The claim it has accepted. `founder` is null for a claim by a member. */
  claim: z
    .looseObject({ cluster, founder: peer.nullable(), confirmed: z.boolean(), entry: entry.nullable() })
    .nullable(),
  /** The cluster that its operator wants it in. */
  joining: cluster.nullable(),
  ...sight,
  cluster: z.object({ id: cluster, name: label }).nullable(),
  certificate: signed.nullable(),
  meshPort: port.nullable(),
});
export type Greeting = z.infer<typeof greetingSchema>;

const contactSchema = z.object({
  peer,
  addresses: z.array(address).max(maxContactAddresses),
  port: port.nullable(),
});
/** Where a member can be dialled in the mesh. */
export type Contact = z.infer<typeof contactSchema>;

/** `port`: the asker's own lobby, so that the one asked can greet back where multicast works one way only. */
const hello = z.object({ v: version, kind: z.literal("hello"), port: port.optional() });

/** A provisional founder's claim; `signature` is the new cluster's over cluster, founder and claimed node. */
const founderClaim = z.object({
  v: version,
  kind: z.literal("claim"),
  as: z.literal("founder"),
  cluster,
  clusterKey: base64,
  name: label,
  signature: base64,
});
/** A member's claim for the admission reserved by `entry`; `number` is that of its opening record. */
const memberClaim = z.object({
  v: version,
  kind: z.literal("claim"),
  as: z.literal("member"),
  certificate: signed,
  clusterName: label,
  entry,
  number: decisionNumberSchema,
});
const confirm = z.object({ v: version, kind: z.literal("confirm"), cluster });
/** From the founder, or from a member with its certificate; spares claims with a later number than `upTo`. */
const release = z.object({
  v: version,
  kind: z.literal("release"),
  cluster,
  certificate: signed.nullable(),
  upTo: decisionNumberSchema.nullable(),
});
const admit = z.object({
  v: version,
  kind: z.literal("admit"),
  certificate: signed,
  clusterName: label,
  contacts: z.array(contactSchema).max(maxContacts),
});
const introduce = z.object({
  v: version,
  kind: z.literal("introduce"),
  certificate: signed,
  meshPort: port.nullable(),
});
/** A fresh node shows the secret of a join token; who answers has proved before that it is of this cluster. */
const token = z.object({
  v: version,
  kind: z.literal("token"),
  cluster,
  secret: z.string().regex(/^[A-Za-z0-9_-]{22,64}$/),
});
/** `number`: that of the claim's reservation, so that a member whose copy is older does not deny it. */
const claimStatus = z.object({
  v: version,
  kind: z.literal("claim-status"),
  cluster,
  number: decisionNumberSchema.nullable(),
});

const requestSchemas = {
  hello,
  claim: z.discriminatedUnion("as", [founderClaim, memberClaim]),
  confirm,
  release,
  admit,
  introduce,
  token,
  "claim-status": claimStatus,
} as const;
export type LobbyRequestKind = keyof typeof requestSchemas;

export type HelloRequest = z.infer<typeof hello>;
export type FounderClaimRequest = z.infer<typeof founderClaim>;
export type MemberClaimRequest = z.infer<typeof memberClaim>;
export type ConfirmRequest = z.infer<typeof confirm>;
export type ReleaseRequest = z.infer<typeof release>;
export type AdmitRequest = z.infer<typeof admit>;
export type IntroduceRequest = z.infer<typeof introduce>;
export type TokenRequest = z.infer<typeof token>;
export type ClaimStatusRequest = z.infer<typeof claimStatus>;
export type LobbyRequest =
  | HelloRequest
  | FounderClaimRequest
  | MemberClaimRequest
  | ConfirmRequest
  | ReleaseRequest
  | AdmitRequest
  | IntroduceRequest
  | TokenRequest
  | ClaimStatusRequest;

/** Why a node refuses what it is asked; stable codes. */
export const refusalCodes = [
  "not-fresh",
  "window-closed",
  "two-clusters",
  "other-cluster",
  "not-this-cluster",
  "other-founding",
  "listening",
  "bad-proof",
  "no-claim",
  "not-a-member",
  "bad-token",
] as const;
export type RefusalCode = (typeof refusalCodes)[number];

const refusal = z.object({ v: version, refused: z.enum(refusalCodes) });
export type Refusal = z.infer<typeof refusal>;
const failure = z.object({ error: z.string().max(64) });

/** Reply to `claim` and `confirm` when the node has it on disk. */
const accepted = z.object({ v: version, ok: z.literal(true), ...sight });
export type Accepted = z.infer<typeof accepted>;
export const claimReplySchema = z.union([accepted, refusal, failure]);

const done = z.object({ v: version, ok: z.literal(true) });
export const plainReplySchema = z.union([done, refusal, failure]);

const introduced = z.object({
  v: version,
  ok: z.literal(true),
  certificate: signed,
  meshPort: port.nullable(),
});
const buried = z.object({ v: version, tombstone: signed });
export const introduceReplySchema = z.union([introduced, buried, refusal, failure]);

/**
 * founding: I am its provisional founder. reserved: the journal has it open, or will. admitted: here is the
 * certificate. behind: my copy of the journal is too old to tell. unknown: that claim will come to nothing.
 */
const claimStatusReply = z.discriminatedUnion("status", [
  z.object({ v: version, status: z.enum(["founding", "reserved", "behind", "unknown"]) }),
  z.object({
    v: version,
    status: z.literal("admitted"),
    certificate: signed,
    clusterName: label,
    contacts: z.array(contactSchema).max(maxContacts),
  }),
]);
export type ClaimStatusReply = z.infer<typeof claimStatusReply>;
export const claimStatusReplySchema = z.union([claimStatusReply, refusal, failure]);

export type ParsedRequest =
  | { readonly ok: true; readonly request: LobbyRequest }
  | { readonly ok: false; readonly error: "unknown-kind" | "bad-version" | "bad-request" | "too-large" };

/** Parse one request from outside. */
export function parseLobbyRequest(value: unknown): ParsedRequest {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { ok: false, error: "bad-request" };
  }
  const { kind, v } = value as { kind?: unknown; v?: unknown };
  if (v !== lobbyVersion) return { ok: false, error: "bad-version" };
  if (typeof kind !== "string" || !Object.hasOwn(requestSchemas, kind)) {
    return { ok: false, error: "unknown-kind" };
  }
  if (frameBytes(value as Json) > maxLobbyFrameBytes) return { ok: false, error: "too-large" };
  const parsed = requestSchemas[kind as LobbyRequestKind].safeParse(value);
  return parsed.success ? { ok: true, request: parsed.data } : { ok: false, error: "bad-request" };
}

/** Size of a message on the wire without its length prefix. */
export function frameBytes(value: Json): number {
  return Buffer.byteLength(JSON.stringify(value));
}
