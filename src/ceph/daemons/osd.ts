import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { isAbsolute, join, resolve } from "node:path";
import { isMicrocephError, MicrocephError } from "../../errors/microceph-error.ts";
import { readFileIfPresent } from "../../files/atomic-file.ts";
import { isOsdId, type OsdId, osdId } from "../../ids/ids.ts";
import { askAdminSocket } from "../command/admin-socket.ts";
import { hasten, slowDown } from "./build-pace.ts";
import { type DaemonDeps, startDaemon, unitName } from "./deps.ts";
import { bringDevices } from "./osd-devices.ts";
import { partsIn } from "./osd-parts.ts";
import { type WaitOptions, waitUntil } from "./wait-until.ts";

/** Present once an OSD is formatted and may be started; the name is MicroCeph's. */
export const readyMarker = "ready";
/** Present while an operator wants the OSD stopped. */
export const stoppedMarker = "stopped";
/** Name of a loop OSD's file inside its data directory; the name is MicroCeph's. */
export const backingFile = "osd-backing.img";

/** An OSD of this node, as its data directory has it. */
export interface LocalOsd {
  readonly osd: OsdId;
  readonly uuid: string;
  /** The device, or the loop file. */
  readonly path: string;
  readonly kind: "loop" | "device";
  /** Whether what it holds on its own device is encrypted; `path` is the device, not the mapping. */
  readonly encrypted: boolean;
  /** Devices of its write-ahead log and its database, where it has some of their own. */
  readonly wal: string | null;
  readonly db: string | null;
  /** An operator stopped it: it stays so, also over a boot. */
  readonly stopped: boolean;
  /** Size of the loop file in bytes; null for a device. */
  readonly bytes: number | null;
}

/** The finished OSDs on this node, sorted by id. Directories that are none are left out. */
export async function listLocalOsds(deps: Pick<DaemonDeps, "paths">): Promise<LocalOsd[]> {
  const folder = join(deps.paths.data, "osd");
  const found: LocalOsd[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    const id = Number(/^ceph-([0-9]{1,9})$/.exec(name)?.[1] ?? Number.NaN);
    if (!isOsdId(id)) continue;
    const home = join(folder, name);
    if ((await readFileIfPresent(join(home, readyMarker))) === undefined) continue;
    const uuid = (await readFile(join(home, "fsid"), "utf8").catch(() => "")).trim();
    const target = await readlink(join(home, "block")).catch(() => undefined);
    if (target === undefined) continue;
    const parts = await partsIn(home);
    const path = parts.encrypted ?? (isAbsolute(target) ? target : resolve(home, target));
    const loop = target === backingFile;
    const bytes = loop ? ((await stat(path).catch(() => undefined))?.size ?? null) : null;
    const auxOf = async (kind: "wal" | "db"): Promise<string | null> => {
      const aux = parts[kind];
      return aux?.encrypted ? aux.path : readlink(join(home, `block.${kind}`)).catch(() => null);
    };
    const [wal, db, stopped] = await Promise.all([
      auxOf("wal"),
      auxOf("db"),
      readFileIfPresent(join(home, stoppedMarker)),
    ]);
    found.push({
      osd: osdId(id),
      uuid,
      path,
      kind: loop ? "loop" : "device",
      encrypted: parts.encrypted != null,
      wal,
      db,
      stopped: stopped !== undefined,
      bytes,
    });
  }
  return found.sort((a, b) => a.osd - b.osd);
}

/** Start a finished OSD, or adopt the running one. Idempotent. Throws NOT_FOUND when it is not on this node. */
export async function startOsd(deps: DaemonDeps, osd: OsdId): Promise<void> {
  const home = deps.paths.dataDir("osd", osd);
  if ((await readFileIfPresent(join(home, readyMarker))) === undefined) {
    throw new MicrocephError("NOT_FOUND", `osd.${osd} is not on this node`, { data: { osd } });
  }
  const uuid = (await readFile(join(home, "fsid"), "utf8").catch(() => "")).trim();
  await bringDevices(deps, osd, uuid);
  await startDaemon(deps, "osd", osd);
}

/** Stop an OSD; its data stays. Idempotent. */
export async function stopOsd(deps: DaemonDeps, osd: OsdId): Promise<void> {
  await deps.runner.stop(unitName("osd", osd));
}

/** The OSD's own word on its state (`preboot`, `booting`, `active` …); undefined while it does not answer. */
export async function osdState(deps: Pick<DaemonDeps, "paths">, osd: OsdId): Promise<string | undefined> {
  try {
    const answer = await askAdminSocket(deps.paths.adminSocket("osd", osd), { prefix: "status" });
    if (answer === null || typeof answer !== "object" || Array.isArray(answer)) return undefined;
    return typeof answer.state === "string" ? answer.state : undefined;
  } catch (error) {
    if (isMicrocephError(error)) return undefined;
    throw error;
  }
}

/**
 * Wait until the OSD is up in the cluster's map, by its own word. One that is starting is hastened meanwhile. Throws
 * DEADLINE_EXCEEDED.
 */
export async function waitOsdUp(
  deps: Pick<DaemonDeps, "paths">,
  osd: OsdId,
  options: WaitOptions,
): Promise<void> {
  let hastened = false;
  const look = async (): Promise<true | undefined> => {
    if ((await osdState(deps, osd)) === "active") return true;
    hastened ||= await hasten(deps.paths, "osd", String(osd));
    return undefined;
  };
  try {
    await waitUntil(`osd.${osd} up`, look, options);
  } finally {
    if (hastened) await slowDown(deps.paths, "osd", String(osd));
  }
}
