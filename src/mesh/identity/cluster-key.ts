import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { type ClusterId, clusterId } from "../../ids/ids.ts";

/** A cluster's Ed25519 key, made at founding. `publicKey` is 32 raw bytes, `privateKey` the 32-byte seed (RFC 8032), both base64. */
export interface ClusterKey {
  readonly id: ClusterId;
  readonly publicKey: string;
  readonly privateKey: string;
}

// RFC 8410: the fixed DER that stands before a raw Ed25519 key in PKCS #8 and SPKI.
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");
const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex");
const domainPattern = /^[a-z][a-z0-9.-]{0,63}$/;

export function generateClusterKey(): ClusterKey {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const seed = privateKey.export({ format: "der", type: "pkcs8" }).subarray(pkcs8Prefix.length);
  const raw = publicKey
    .export({ format: "der", type: "spki" })
    .subarray(spkiPrefix.length)
    .toString("base64");
  return { id: clusterIdOf(raw), publicKey: raw, privateKey: seed.toString("base64") };
}

/** Lower-case hex of the first 16 bytes of SHA-256 over the raw public key. Throws when it is no key. */
export function clusterIdOf(publicKey: string): ClusterId {
  const raw = rawBytes(publicKey, 32);
  if (raw === undefined) throw new TypeError("not a base64 Ed25519 public key");
  return clusterId(createHash("sha256").update(raw).digest("hex").slice(0, 32));
}

/**
 * Sign with the cluster's key. The domain (`journal-record`, `member-certificate` …) is part of what is
 * signed, so that a signature made for one purpose proves nothing for another.
 * @returns base64 of the 64 bytes
 */
export function signWithClusterKey(
  key: Pick<ClusterKey, "privateKey">,
  domain: string,
  data: string | Uint8Array,
): string {
  return sign(null, signedBytes(domain, data), privateKeyObject(key.privateKey)).toString("base64");
}

/** Whether `signature` was made over exactly this domain and data. False for malformed keys and signatures. */
export function verifyWithClusterKey(
  publicKey: string,
  domain: string,
  data: string | Uint8Array,
  signature: string,
): boolean {
  const key = rawBytes(publicKey, 32);
  const proof = rawBytes(signature, 64);
  if (key === undefined || proof === undefined) return false;
  return verify(null, signedBytes(domain, data), publicKeyObject(key), proof);
}

/** The bytes of canonical base64 of exactly this length: a second spelling of the same bytes is refused. */
function rawBytes(text: string, length: number): Buffer | undefined {
  const raw = Buffer.from(text, "base64");
  return raw.length === length && raw.toString("base64") === text ? raw : undefined;
}

function signedBytes(domain: string, data: string | Uint8Array): Buffer {
  if (!domainPattern.test(domain)) throw new TypeError(`not a signature domain: ${domain}`);
  // A domain holds no NUL, so the border between it and the data is unambiguous.
  return Buffer.concat([Buffer.from(`microceph\0${domain}\0`), Buffer.from(data)]);
}

function privateKeyObject(seed: string): KeyObject {
  const raw = rawBytes(seed, 32);
  if (raw === undefined) throw new TypeError("not a base64 Ed25519 private key");
  return createPrivateKey({ key: Buffer.concat([pkcs8Prefix, raw]), format: "der", type: "pkcs8" });
}

function publicKeyObject(raw: Buffer): KeyObject {
  return createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: "der", type: "spki" });
}
