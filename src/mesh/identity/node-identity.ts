import { randomBytes } from "node:crypto";
import { chmod, link, mkdir, open, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from "@libp2p/crypto/keys";
import type { PrivateKey } from "@libp2p/interface";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { MicrocephError } from "../../errors/microceph-error.ts";
import { readFileIfPresent, syncDirectory } from "../../files/atomic-file.ts";
import { type PeerId, peerId } from "../../ids/ids.ts";

/** Who this node is: an Ed25519 key made at its first start. */
export interface NodeIdentity {
  readonly peerId: PeerId;
  readonly privateKey: PrivateKey;
}

/** File of the node's key in its state directory: base64 of libp2p's protobuf form, mode 0600. */
export const nodeKeyFile = "node.key";
const ownerOnly = 0o600;

export async function generateIdentity(): Promise<NodeIdentity> {
  return identityOf(await generateKeyPair("Ed25519"));
}

/**
 * The identity kept in `stateDir`, made durably when there is none; two racing starts get the same one.
 * @throws STATE_CORRUPT when the file holds no Ed25519 key: never replaced by itself, as the node would
 * come back as a stranger to its own cluster.
 */
export async function loadOrCreateIdentity(stateDir: string): Promise<NodeIdentity> {
  const path = join(stateDir, nodeKeyFile);
  const kept = await readFileIfPresent(path);
  if (kept !== undefined) {
    if (((await stat(path)).mode & 0o077) !== 0) await chmod(path, ownerOnly);
    return parseKey(kept, path);
  }
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const identity = await generateIdentity();
  const text = `${Buffer.from(privateKeyToProtobuf(identity.privateKey)).toString("base64")}\n`;
  if (await createFile(stateDir, path, text)) return identity;
  const other = await readFileIfPresent(path);
  return parseKey(other ?? "", path);
}

/** Create a whole file or none, and never replace one: a link to a synced temporary file. */
async function createFile(directory: string, path: string, text: string): Promise<boolean> {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const file = await open(temporary, "wx", ownerOnly);
    try {
      await file.chmod(ownerOnly);
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(temporary, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    if (code === "ENOSPC" || code === "EDQUOT") {
      throw new MicrocephError("DISK_FULL", `no room for ${path}`, { data: { path }, cause: error });
    }
    throw error;
  } finally {
    await unlink(temporary).catch(() => undefined);
    await syncDirectory(directory);
  }
}

function parseKey(text: string, path: string): NodeIdentity {
  try {
    const key = privateKeyFromProtobuf(Buffer.from(text.trim(), "base64"));
    if (key.type !== "Ed25519") throw new TypeError(`a key of type ${key.type}`);
    return identityOf(key);
  } catch (error) {
    throw new MicrocephError("STATE_CORRUPT", `${path} holds no node key`, { data: { path }, cause: error });
  }
}

function identityOf(privateKey: PrivateKey): NodeIdentity {
  return { peerId: peerId(peerIdFromPrivateKey(privateKey).toString()), privateKey };
}
