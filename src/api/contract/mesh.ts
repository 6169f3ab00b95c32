import { z } from "zod";
import { name, nodeReference, type Shape, text, time } from "./shape.ts";

export const admissionMode = z.enum(["auto", "approve", "closed"]);
export type AdmissionMode = Shape<typeof admissionMode>;

/** How a cluster takes fresh nodes; `until`: when `auto` turns to `approve`, null when it does not end. */
export const admission = z.object({ mode: admissionMode, until: time.nullable() });
export type Admission = Shape<typeof admission>;

/** Whether this node takes a claim, and until when; null: no end known. */
export const claimWindow = z.object({ open: z.boolean(), until: time.nullable() });

export const nodeState = z.enum(["fresh", "claimed", "member", "removed"]);
export type NodeState = Shape<typeof nodeState>;

export const selfStatus = z.object({
  id: z.string(),
  name,
  handle: z.string().nullable(),
  state: nodeState,
  window: claimWindow,
  /** Whom it sees and what it waits for, for people; null when it waits for nothing. */
  waitingFor: text.nullable(),
});
export type SelfStatus = Shape<typeof selfStatus>;

export const presence = z.enum(["alive", "suspect", "failed", "left"]);
export type Presence = Shape<typeof presence>;

export const memberStatus = z.object({
  id: z.string(),
  name,
  handle: z.string(),
  addresses: z.array(z.string()),
  presence,
  lastSeen: time.nullable(),
  voter: z.boolean(),
  /** mon, mgr, mds, osd, rgw, nfs.<group> … */
  services: z.array(z.string()),
  zone: z.string().nullable(),
});
export type MemberStatus = Shape<typeof memberStatus>;

export const pendingNode = z.object({
  id: z.string(),
  name,
  address: z.string(),
  /** Four words, the same on both sides. */
  fingerprint: z.string(),
  windowOpen: z.boolean(),
  /** PeerIds of the members that see it. */
  seenBy: z.array(z.string()),
  firstSeen: time,
});
export type PendingNode = Shape<typeof pendingNode>;

export const leaseStatus = z.object({
  /** PeerId of the voter that may decide now. */
  holder: z.string().nullable(),
  epoch: z.int().nullable(),
  /** `none`: this node has no cluster. */
  quorum: z.enum(["ok", "lost", "none"]),
  /** Journal number and time of the newest decision known here. */
  lastDecision: z.object({ number: z.int(), at: time }).nullable(),
});
export type LeaseStatus = Shape<typeof leaseStatus>;

/** `microceph mesh status --format json`: these keys are public and stable. */
export const meshStatus = z.object({
  asOf: time,
  cluster: z.object({ id: z.string(), name, fsid: z.string().nullable(), admission }).nullable(),
  self: selfStatus,
  lease: leaseStatus,
  members: z.array(memberStatus),
  pending: z.array(pendingNode),
  conflicts: z.array(z.object({ kind: z.string(), detail: text })),
});
export type MeshStatus = Shape<typeof meshStatus>;

export const approveRequest = z
  .strictObject({ nodes: z.array(nodeReference).max(1000).default([]), all: z.boolean().default(false) })
  .refine((request) => request.all !== request.nodes.length > 0, {
    error: "name nodes to approve, or set all, but not both",
  });
/** Nodes whose approval or refusal was recorded. */
export const namedNodes = z.array(z.object({ id: z.string(), name, fingerprint: z.string() }));
export type NamedNodes = Shape<typeof namedNodes>;

export const denyRequest = z.strictObject({ node: nodeReference });

const tenYears = 10 * 366 * 86_400;
/** `auto` ends after `forSeconds` (default 24 h), or never with `forever`; the other modes have no end. */
export const admissionRequest = z
  .strictObject({
    mode: admissionMode,
    forSeconds: z.int().min(1).max(tenYears).optional(),
    forever: z.boolean().optional(),
  })
  .refine((request) => !(request.forSeconds !== undefined && request.forever), {
    error: "forSeconds and forever exclude each other",
  })
  .refine((request) => request.mode === "auto" || (request.forSeconds === undefined && !request.forever), {
    error: "only mode auto takes forSeconds or forever",
  });

/** The words of this node with each cluster that could claim it, or with its own. */
export const fingerprintReport = z.object({
  id: z.string(),
  name,
  fingerprints: z.array(z.object({ cluster: z.object({ id: z.string(), name }), words: z.string() })),
});
export type FingerprintReport = Shape<typeof fingerprintReport>;

/** Open the window; `cluster` (id, or name if unique) says whose claim to take. */
export const joinRequest = z.strictObject({ cluster: name.optional() });
/** A lobby that is greeted by unicast, where no multicast goes. */
export const staticPeer = z.object({ address: z.string(), port: z.int() });
export type StaticPeerReply = Shape<typeof staticPeer>;
export const staticPeerRequest = z.strictObject({
  address: z.string().min(2).max(80).describe("ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT"),
});

export const releaseRequest = z.strictObject({});
