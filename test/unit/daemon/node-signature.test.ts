import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nodeSigner, nodeVerifier } from "../../../src/daemon/node-signature.ts";
import type { PeerId } from "../../../src/ids/ids.ts";
import { loadOrCreateIdentity, type NodeIdentity } from "../../../src/mesh/identity/node-identity.ts";

const folders: string[] = [];
let own: NodeIdentity;
let other: NodeIdentity;

async function identity(): Promise<NodeIdentity> {
  const folder = await mkdtemp(join(tmpdir(), "key-"));
  folders.push(folder);
  return loadOrCreateIdentity(folder);
}

beforeAll(async () => {
  own = await identity();
  other = await identity();
});
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});

const bytes = Buffer.from("facts");

describe("a node's signature", () => {
  it("is verified with nothing but its PeerId, and is libp2p's own", async () => {
    const signature = nodeSigner(own)(bytes);
    const verify = nodeVerifier();
    expect(verify(own.peerId, bytes, signature)).toBe(true);
    // The second time the key is known.
    expect(verify(own.peerId, bytes, signature)).toBe(true);
    expect(await own.privateKey.publicKey.verify(bytes, signature)).toBe(true);
    expect(verify(own.peerId, bytes, await own.privateKey.sign(bytes))).toBe(true);
  });

  it.each<[string, () => [PeerId, Uint8Array, Uint8Array]]>([
    ["another node's name", () => [other.peerId, bytes, nodeSigner(own)(bytes)]],
    ["other bytes", () => [own.peerId, Buffer.from("fact"), nodeSigner(own)(bytes)]],
    ["a cut signature", () => [own.peerId, bytes, nodeSigner(own)(bytes).subarray(1)]],
    ["no signature", () => [own.peerId, bytes, new Uint8Array()]],
    ["a PeerId that is none", () => [`12D3KooW${"1".repeat(44)}` as PeerId, bytes, nodeSigner(own)(bytes)]],
    ["a text", () => ["n1" as PeerId, bytes, nodeSigner(own)(bytes)]],
  ])("is refused for %s", (_what, of) => {
    expect(nodeVerifier()(...of())).toBe(false);
  });
});
