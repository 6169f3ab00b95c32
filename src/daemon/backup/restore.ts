import { randomInt } from "node:crypto";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import type { RestoreReply, restoreRequest } from "../../api/contract/backup.ts";
import type { Shape } from "../../api/contract/shape.ts";
import { rememberAccess } from "../../ceph/control/ceph-node.ts";
import { MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { Json } from "../../ids/json.ts";
import { clusterIdOf } from "../../mesh/identity/cluster-key.ts";
import { chooseHandle } from "../../mesh/membership/handle-choice.ts";
import { putDocument } from "../../state/document/put-document.ts";
import { restoreSnapshot } from "../../state/etcd/snapshot.ts";
import { putRecoveryWish } from "../cluster/recovery.ts";
import { seatRestored } from "../cluster/voter-seat.ts";
import type { Daemon } from "../daemon.ts";
import { unpack } from "./contents.ts";
import { putRecords } from "./give-back.ts";
import { unseal } from "./sealed-file.ts";

/** Bytes of a file that is read as a backup. */
const maxFileBytes = 512 * 1024 * 1024;
/** There is room for some thousand generations (state/journal/numbers.ts). */
const leap = { least: 10, most: 60 };

/**
 * Make of this fresh node the only voter of the cluster in the file, under a new generation: with its key, journal and
 * document, but under an identity of its own. All former voters count as lost, so that whoever comes back is fenced,
 * as after a recovery. Its etcd is made beside; then everything is on disk in one write, and a crash before that
 * leaves a fresh node. Throws BACKUP_REFUSED, ALREADY_INITIALIZED.
 */
export async function restoreBackup(
  daemon: Daemon,
  { path, passphrase }: Shape<typeof restoreRequest>,
): Promise<RestoreReply> {
  const { membership, settings, store, identity } = daemon;
  if (membership.lifecycle.state !== "fresh") {
    throw new MicrocephError(
      "ALREADY_INITIALIZED",
      `a backup is restored on a fresh node; this one is ${membership.lifecycle.state}`,
    );
  }
  const contents = await unpack(await unseal(await readBackup(path), passphrase));
  const { key, name, publicNetwork, handles, voters, etcd, document, ceph, at } = contents;
  if (clusterIdOf(key.publicKey) !== key.id) {
    throw new MicrocephError("BACKUP_REFUSED", "the key in the backup is not that of its cluster");
  }
  const handle = chooseHandle(settings.name, new Set(handles));
  // Above what recoveries since the backup have reached, and hardly ever that of another restore of the same file.
  const generation = contents.generation + randomInt(leap.least, leap.most);
  try {
    await restoreSnapshot(join(settings.stateDir, "etcd"), { name: handle, token: key.id, snapshot: etcd });
  } catch (error) {
    throw new MicrocephError("BACKUP_REFUSED", `etcd does not take its part: ${messageOf(error)}`, {
      cause: error,
    });
  }
  store.transaction(() => {
    daemon.keepHandle(handle);
    seatRestored(store, { handle, peer: identity.peerId, generation });
    putRecoveryWish(store, { generation, lost: voters.filter((peer) => peer !== identity.peerId) });
    putDocument(store, key.id, document);
    if (ceph !== null) rememberAccess(store, ceph.access as unknown as Json);
    if (ceph !== null && ceph.records !== null) putRecords(store, ceph.records);
    membership.restore({ key, name, publicNetwork });
  });
  await daemon.settled();
  if (ceph !== null) await daemon.cluster?.deps.cephNode.configure(ceph.access);
  return { cluster: key.id, name, at, handle, generation, ceph: ceph?.access.fsid ?? null };
}

async function readBackup(path: string): Promise<Buffer> {
  if (!isAbsolute(path)) throw new MicrocephError("USAGE", "the path of a backup is an absolute one");
  let file: Awaited<ReturnType<typeof open>>;
  try {
    // A pipe would hold the daemon up.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw new MicrocephError("BACKUP_REFUSED", `${path} cannot be read: ${messageOf(error)}`);
  }
  try {
    const about = await file.stat();
    if (!about.isFile() || about.size > maxFileBytes) {
      throw new MicrocephError("BACKUP_REFUSED", `${path} is no file that could be a backup`);
    }
    return await file.readFile();
  } finally {
    await file.close();
  }
}
