import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { isMicrocephError } from "../../errors/microceph-error.ts";
import { syncDirectory } from "../../files/atomic-file.ts";
import { wipeDisk } from "../disks/disks.ts";
import { systemRoots } from "../disks/inventory.ts";
import { deletePartition } from "../disks/partitions.ts";
import { type DaemonDeps, unitName } from "./deps.ts";
import { type LocalOsd, listLocalOsds } from "./osd.ts";
import { erase } from "./osd-encryption.ts";
import { encryptedDevices, osdParts } from "./osd-parts.ts";

const labelMs = 30_000;

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
  if (kind === "device" && !local.encrypted) await wipeIfOurs(deps, path, uuid);
  for (const aux of [parts.wal, parts.db]) {
    if (aux === null) continue;
    const { partition } = aux;
    if (partition !== null) {
      const tools = { roots: systemRoots, run: deps.run };
      await ifThere(() => deletePartition(partition.carrier, partition.uuid, tools));
    } else if (!aux.encrypted) {
      await wipeIfOurs(deps, aux.path, uuid);
    }
  }
  const home = deps.paths.dataDir("osd", osd);
  await rm(home, { recursive: true, force: true });
  await syncDirectory(dirname(home));
}

/** The OSDs of this node that are among those purged. */
export async function purgedHere(
  deps: Pick<DaemonDeps, "paths">,
  purged: ReadonlySet<string>,
): Promise<LocalOsd[]> {
  return (await listLocalOsds(deps)).filter(({ uuid }) => purged.has(uuid));
}

/**
 * Names of devices may have changed since: what bears another OSD's label, or none (it was wiped by an earlier
 * run, or is no disk of ours), is left alone.
 */
async function wipeIfOurs(deps: DaemonDeps, path: string, uuid: string): Promise<void> {
  if ((await labelledUuid(deps, path)) !== uuid) return;
  await ifThere(() => wipeDisk(path));
}

const labelSchema = z.record(z.string(), z.looseObject({ osd_uuid: z.string().max(64).optional() }));

/** The OSD whose BlueStore label a device bears; undefined where there is none, or no such device. */
async function labelledUuid(deps: DaemonDeps, path: string): Promise<string | undefined> {
  const shown = await deps.run("ceph-bluestore-tool", ["show-label", "--dev", path], {
    deadlineMs: labelMs,
    okCodes: [0, 1],
  });
  if (shown.exitCode !== 0) return undefined;
  const parsed = labelSchema.safeParse(jsonIn(shown.stdout)).data;
  return Object.values(parsed ?? {})[0]?.osd_uuid;
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text.slice(text.indexOf("{")));
  } catch {
    return null;
  }
}

/** A dead device cannot be wiped, and need not be. */
async function ifThere(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!isMicrocephError(error, "NOT_FOUND")) throw error;
  }
}
