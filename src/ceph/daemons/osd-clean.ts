import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { isMicrocephError } from "../../errors/microceph-error.ts";
import { syncDirectory } from "../../files/atomic-file.ts";
import { readBluestoreLabel } from "../disks/bluestore-label.ts";
import { wipeDisk } from "../disks/disks.ts";
import { systemRoots } from "../disks/inventory.ts";
import { deletePartition } from "../disks/partitions.ts";
import { type DaemonDeps, unitName } from "./deps.ts";
import { type LocalOsd, listLocalOsds } from "./osd.ts";
import { erase } from "./osd-encryption.ts";
import { encryptedDevices, osdParts } from "./osd-parts.ts";

/**
 * Clean up after an OSD of this node that is out of Ceph for good: its process, what its devices hold, its
 * partitions, its directory with the loop file. A device that is gone is left. Idempotent: the directory, which
 * says what there is to do, goes last. It is for the caller to know that this very OSD was purged.
 */
export async function cleanOsd(deps: DaemonDeps, local: LocalOsd): Promise<void> {
  const { osd, uuid, path, kind } = local;
  await deps.runner.stop(unitName("osd", osd), { removeAlso: true });
  const parts = await osdParts(deps, osd);
  const devices = encryptedDevices(parts);
  if (devices.length > 0) await ifThere(() => erase(deps, { osd, uuid, devices }));
  if (kind === "device" && !local.encrypted) await wipeIfOurs(path, uuid);
  for (const aux of [parts.wal, parts.db]) {
    if (aux === null) continue;
    const { partition } = aux;
    if (partition !== null) {
      const tools = { roots: systemRoots, run: deps.run };
      await ifThere(() => deletePartition(partition.carrier, partition.uuid, tools));
    } else if (!aux.encrypted) {
      await wipeIfOurs(aux.path, uuid);
    }
  }
  const home = deps.paths.dataDir("osd", osd);
  await rm(home, { recursive: true, force: true });
  await syncDirectory(dirname(home));
}

/**
 * The OSDs of this node that are among those purged, and in Ceph's map no more: nothing is emptied on one word
 * alone.
 */
export async function purgedHere(
  deps: Pick<DaemonDeps, "paths" | "log">,
  purged: ReadonlySet<string>,
  inMap: () => Promise<readonly { readonly uuid: string }[]>,
): Promise<LocalOsd[]> {
  const found = (await listLocalOsds(deps)).filter(({ uuid }) => purged.has(uuid));
  if (found.length === 0) return [];
  const there = new Set((await inMap()).map(({ uuid }) => uuid));
  for (const { osd, uuid } of found) {
    if (there.has(uuid)) deps.log.error({ osd, uuid }, "on record as purged, but in Ceph's map: left alone");
  }
  return found.filter(({ uuid }) => !there.has(uuid));
}

/**
 * Names of devices may have changed since: what bears another OSD's label, or none (it was wiped by an earlier
 * run, or is no disk of ours), is left alone.
 */
async function wipeIfOurs(path: string, uuid: string): Promise<void> {
  await ifThere(async () => {
    if ((await readBluestoreLabel(path))?.osdUuid === uuid) await wipeDisk(path);
  });
}

/** A dead device cannot be wiped, and need not be. */
async function ifThere(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!isMicrocephError(error, "NOT_FOUND")) throw error;
  }
}
