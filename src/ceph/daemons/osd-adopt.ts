import { mkdir, rename, rm, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MicrocephError } from "../../errors/microceph-error.ts";
import { syncDirectory, writeFileAtomic } from "../../files/atomic-file.ts";
import { type Fsid, type OsdId, osdId } from "../../ids/ids.ts";
import { renderKeyring } from "../config/keyring.ts";
import { type BluestoreLabel, readBluestoreLabel } from "../disks/bluestore-label.ts";
import type { BlockDevice } from "../disks/inventory.ts";
import {
  isLuks,
  type LuksRole,
  luksClose,
  luksOpen,
  luksOpensWith,
  mappingName,
  mappingPath,
} from "../disks/luks.ts";
import { type DaemonDeps, ensureCephFolders } from "./deps.ts";
import { listLocalOsds, readyMarker } from "./osd.ts";
import { keyPath } from "./osd-encryption.ts";
import { type OsdAux, type OsdParts, partsFile } from "./osd-parts.ts";

/** A device of an OSD that this node knows nothing of. */
export interface FoundPart {
  readonly device: BlockDevice;
  readonly label: BluestoreLabel;
  readonly encrypted: boolean;
}

/** An OSD of this cluster whose devices are here and whose data directory is not. */
export interface FoundOsd {
  readonly osd: OsdId;
  readonly uuid: string;
  readonly main: FoundPart;
  readonly wal: FoundPart | null;
  readonly db: FoundPart | null;
}

export interface RegisteredOsd {
  readonly id: number;
  readonly uuid: string;
}

const probeName = "luksadopt-probe";

/**
 * The OSDs among these devices that Ceph has in its map, by what the devices say of themselves. What is encrypted
 * is looked into with the keys that the monitors keep. Nothing is written.
 */
export async function findOsds(
  deps: DaemonDeps,
  {
    devices,
    registered,
    fsid,
  }: {
    readonly devices: readonly BlockDevice[];
    /** Null: the monitors cannot be asked, and what the devices say of themselves is believed. */
    readonly registered: readonly RegisteredOsd[] | null;
    readonly fsid: Fsid;
  },
): Promise<FoundOsd[]> {
  const known = new Set((await listLocalOsds(deps)).map(({ uuid }) => uuid));
  const all = registered ?? (await labelledOsds(devices, fsid));
  const missing = all.filter(({ uuid }) => !known.has(uuid));
  const parts: FoundPart[] = [];
  for (const device of devices) {
    if (device.usedBy.length > 0) continue;
    const plain = await readBluestoreLabel(device.path);
    if (plain !== undefined) parts.push({ device, label: plain, encrypted: false });
    else if (registered !== null) {
      const label = await labelWithin(deps, device.path, missing);
      if (label !== undefined) parts.push({ device, label, encrypted: true });
    }
  }
  return missing.flatMap(({ id, uuid }): FoundOsd[] => {
    const partOf = (name: string): FoundPart | null =>
      parts.find(({ label }) => label.osdUuid === uuid && label.part === name) ?? null;
    const main = partOf("main");
    // Another cluster's may bear any number; one of ours that says another number is not understood.
    if (main === null || main.label.cephFsid !== fsid || main.label.osd !== id) return [];
    return [{ osd: osdId(id), uuid, main, wal: partOf("bluefs wal"), db: partOf("bluefs db") }];
  });
}

/** OSDs of this cluster by the labels of devices alone. Two devices that say that they are the same one are none. */
async function labelledOsds(devices: readonly BlockDevice[], fsid: Fsid): Promise<RegisteredOsd[]> {
  const found = new Map<string, RegisteredOsd | null>();
  for (const { path, usedBy } of devices) {
    if (usedBy.length > 0) continue;
    const label = await readBluestoreLabel(path);
    if (label?.part !== "main" || label.cephFsid !== fsid || label.osd === null) continue;
    const { osd: id, osdUuid: uuid } = label;
    found.set(uuid, found.has(uuid) ? null : { id, uuid });
  }
  return [...found.values()].filter((one) => one !== null);
}

/** The label inside an encrypted device; undefined when no key of these OSDs opens it. */
async function labelWithin(
  deps: DaemonDeps,
  path: string,
  osds: readonly RegisteredOsd[],
): Promise<BluestoreLabel | undefined> {
  const store = deps.keys();
  if (store === null || !(await isLuksHere(deps, path))) return undefined;
  for (const { uuid } of osds) {
    const key = await store.secret(keyPath(uuid));
    if (key === undefined || !(await luksOpensWith(deps, path, key))) continue;
    await luksClose(deps, probeName);
    await luksOpen(deps, path, probeName, key);
    try {
      return await readBluestoreLabel(mappingPath(probeName));
    } finally {
      await luksClose(deps, probeName);
    }
  }
  return undefined;
}

/** Without the tools nothing here was ever encrypted. */
async function isLuksHere(deps: DaemonDeps, path: string): Promise<boolean> {
  return isLuks(deps, path).catch(() => false);
}

export interface AdoptTools {
  /** Of a partition that was made for an OSD: its disk and its own uuid, by the disk's table. */
  readonly partitionOf: (device: BlockDevice) => Promise<OsdAux["partition"]>;
  /** The OSD's key, as the monitors have it. */
  readonly key: string;
}

/**
 * Make the data directory of an OSD anew from its devices, which are only read. All is made in a folder of its
 * own, which becomes `ceph-<id>` in one rename; a run that was cut off is made again. Idempotent.
 */
export async function adoptOsd(deps: DaemonDeps, found: FoundOsd, tools: AdoptTools): Promise<void> {
  const { osd, uuid, main, wal, db } = found;
  if ((await listLocalOsds(deps)).some((one) => one.uuid === uuid)) return;
  await ensureCephFolders(deps.paths);
  const home = deps.paths.dataDir("osd", osd);
  const work = join(dirname(home), `adopt-${uuid}`);
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true, mode: 0o700 });
  const parts: OsdParts = {
    v: 1,
    backingFile: main.device.backingFile,
    wal: wal && (await auxOf(wal, tools)),
    db: db && (await auxOf(db, tools)),
    encrypted: main.encrypted ? main.device.stablePath : null,
  };
  // An encrypted one is led to its mapping, which is made when it is started.
  const target = (part: FoundPart, role: LuksRole): string =>
    part.encrypted ? mappingPath(mappingName(role, osd)) : part.device.stablePath;
  await symlink(target(main, "osd"), join(work, "block"));
  if (wal) await symlink(target(wal, "osd.wal"), join(work, "block.wal"));
  if (db) await symlink(target(db, "osd.db"), join(work, "block.db"));
  await describe(found, work);
  await writeFileAtomic(join(work, partsFile), `${JSON.stringify(parts)}\n`);
  await writeFileAtomic(join(work, "keyring"), renderKeyring([{ entity: `osd.${osd}`, key: tools.key }]));
  await writeFileAtomic(join(work, readyMarker), "");
  await syncDirectory(work);
  await rename(work, home).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    throw new MicrocephError("DISK_IN_USE", `${home} holds something else; move it away first`, {
      data: { path: home, osd },
    });
  });
  await syncDirectory(dirname(home));
}

/** The small files that `ceph-osd` reads before it opens its devices; all else stands in their labels. */
async function describe({ osd, uuid, main }: FoundOsd, work: string): Promise<void> {
  const files = { type: "bluestore", fsid: uuid, whoami: String(osd), ceph_fsid: main.label.cephFsid ?? "" };
  for (const [name, text] of Object.entries(files)) await writeFileAtomic(join(work, name), `${text}\n`);
}

async function auxOf({ device, encrypted }: FoundPart, { partitionOf }: AdoptTools): Promise<OsdAux> {
  return {
    path: device.stablePath,
    partition: await partitionOf(device),
    backingFile: device.backingFile,
    encrypted,
  };
}
