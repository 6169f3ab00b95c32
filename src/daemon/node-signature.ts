import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { peerIdFromString } from "@libp2p/peer-id";
import type { PeerId } from "../ids/ids.ts";
import type { NodeIdentity } from "../mesh/identity/node-identity.ts";

// RFC 8410: the fixed DER that stands before a raw Ed25519 key in PKCS #8 and SPKI.
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");
const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex");

/** Signs with the node's Ed25519 key. */
export function nodeSigner(identity: NodeIdentity): (bytes: Uint8Array) => Uint8Array {
  // libp2p keeps seed and public key together; PKCS #8 wants the seed.
  const seed = Buffer.from(identity.privateKey.raw).subarray(0, 32);
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: "der", type: "pkcs8" });
  return (bytes) => sign(null, bytes, key);
}

/** Checks signatures of any node: an Ed25519 PeerId holds the public key itself. */
export function nodeVerifier(): (peer: PeerId, bytes: Uint8Array, signature: Uint8Array) => boolean {
  const keys = new Map<PeerId, KeyObject>();
  return (peer, bytes, signature) => {
    let key = keys.get(peer);
    if (key === undefined) {
      const raw = publicKeyOf(peer);
      if (raw === undefined) return false;
      key = createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: "der", type: "spki" });
      keys.set(peer, key);
    }
    return verify(null, bytes, key, signature);
  };
}

/** Undefined for a text that only looks like the PeerId of an Ed25519 key. */
function publicKeyOf(peer: PeerId): Uint8Array | undefined {
  try {
    const { type, publicKey } = peerIdFromString(peer);
    return type === "Ed25519" ? publicKey?.raw : undefined;
  } catch {
    return undefined;
  }
}
