import { z } from "zod";
import { canonicalJson } from "../../ids/canonical-json.ts";
import type { ClusterId, Handle, PeerId } from "../../ids/ids.ts";
import { isClusterId, isHandle, isPeerId } from "../../ids/ids.ts";
import { type ClusterKey, clusterIdOf, signWithClusterKey, verifyWithClusterKey } from "./cluster-key.ts";

/** What a certificate says of its holder; `decision` is the number of the admitting decision in `generation`. */
export interface MemberFields {
  readonly peer: PeerId;
  readonly handle: Handle;
  readonly generation: number;
  readonly decision: number;
}

interface SignedByCluster extends MemberFields {
  readonly v: 1;
  readonly cluster: ClusterId;
  /** Base64 of the raw Ed25519 public key whose hash is `cluster`. */
  readonly clusterKey: string;
  /** Base64; covers every other field, also ones that this version does not know. */
  readonly signature: string;
}

/** Proof that the cluster admitted this peer. No expiry: a tombstone, or the journal, ends it. */
export interface MemberCertificate extends SignedByCluster {}

/** Proof that the cluster removed this peer; later than any certificate with a lower (generation, decision). */
export interface Tombstone extends SignedByCluster {
  readonly tombstone: true;
}

const certificateDomain = "member-certificate";
const tombstoneDomain = "tombstone";
/** Longest certificate or tombstone, as canonical JSON in bytes; one has about 400. */
export const maxCertificateBytes = 2048;

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const fields = {
  v: z.literal(1),
  cluster: z.custom<ClusterId>(isClusterId, "not a cluster id"),
  clusterKey: z.string().length(44),
  peer: z.custom<PeerId>(isPeerId, "not a PeerId"),
  handle: z.custom<Handle>(isHandle, "not a handle"),
  generation: count,
  decision: count,
  signature: z.string().length(88),
};
const certificateSchema = z.looseObject(fields);
const tombstoneSchema = z.looseObject({ ...fields, tombstone: z.literal(true) });

export function signCertificate(member: MemberFields, key: ClusterKey): MemberCertificate {
  const body = signedFields(member, key);
  return { ...body, signature: signWithClusterKey(key, certificateDomain, canonicalJson(body)) };
}

export function signTombstone(member: MemberFields, key: ClusterKey): Tombstone {
  const body = { ...signedFields(member, key), tombstone: true as const };
  return { ...body, signature: signWithClusterKey(key, tombstoneDomain, canonicalJson(body)) };
}

/** What `verifyCertificate` may be asked to check besides the signature. */
export interface Expected {
  readonly cluster?: ClusterId;
  readonly peer?: PeerId;
}

/**
 * The certificate in `value`, or undefined unless its shape, size, key, cluster id and signature fit. It says
 * who was admitted, not who shows it: compare `peer` with the identity that the connection proved.
 */
export function verifyCertificate(value: unknown, expected: Expected = {}): MemberCertificate | undefined {
  const parsed = certificateSchema.safeParse(value);
  if (!parsed.success || !isSigned(parsed.data, certificateDomain, expected)) return undefined;
  return parsed.data;
}

/** The tombstone in `value`, under the same checks. */
export function verifyTombstone(value: unknown, expected: Expected = {}): Tombstone | undefined {
  const parsed = tombstoneSchema.safeParse(value);
  if (!parsed.success || !isSigned(parsed.data, tombstoneDomain, expected)) return undefined;
  return parsed.data;
}

function signedFields(member: MemberFields, key: ClusterKey): Omit<SignedByCluster, "signature"> {
  const { peer, handle, generation, decision } = member;
  return { v: 1, cluster: key.id, clusterKey: key.publicKey, peer, handle, generation, decision };
}

type Unverified = z.infer<typeof certificateSchema> | z.infer<typeof tombstoneSchema>;

function isSigned(value: Unverified, domain: string, expected: Expected): boolean {
  if (expected.cluster !== undefined && value.cluster !== expected.cluster) return false;
  if (expected.peer !== undefined && value.peer !== expected.peer) return false;
  try {
    if (clusterIdOf(value.clusterKey) !== value.cluster) return false;
    const { signature, ...body } = value;
    const text = canonicalJson(body);
    if (Buffer.byteLength(text) > maxCertificateBytes) return false;
    return verifyWithClusterKey(value.clusterKey, domain, text, signature);
  } catch {
    // An unknown field that JSON has no form for, or nested too deep.
    return false;
  }
}
