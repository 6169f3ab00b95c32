import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { isMicrocephError, MicrocephError } from "../../errors/microceph-error.ts";
import { writeFileAtomic } from "../../files/atomic-file.ts";
import { exists } from "../../files/exists.ts";
import type { OsdId } from "../../ids/ids.ts";
import { makeLuksKey } from "../disks/luks.ts";
import type { UnitStatus } from "../runner/runner.ts";
import { type DaemonDeps, unitName } from "./deps.ts";
import { type LocalOsd, listLocalOsds, startOsd, stopOsd, stoppedMarker, waitOsdUp } from "./osd.ts";
import { lastComplaint } from "./osd-devices.ts";
import { isUnlocked, rotateKey } from "./osd-encryption.ts";
import { encryptedDevices, osdParts } from "./osd-parts.ts";

/**
 * Give an encrypted OSD of this node another key, while it runs or not. Taken up again after a crash it completes.
 * Throws NOT_FOUND, NOT_ENCRYPTED.
 */
export async function rotateOsdKey(deps: DaemonDeps, osd: OsdId): Promise<void> {
  const local = (await listLocalOsds(deps)).find((one) => one.osd === osd);
  if (local === undefined) {
    throw new MicrocephError("NOT_FOUND", `osd.${osd} is not on this node`, { data: { osd } });
  }
  const devices = encryptedDevices(await osdParts(deps, osd));
  if (devices.length === 0) {
    throw new MicrocephError("NOT_ENCRYPTED", `osd.${osd} is not encrypted`, { data: { osd } });
  }
  const store = deps.keys();
  if (store === null) throw new MicrocephError("NOT_INITIALIZED", "this node knows no cluster");
  await rotateKey(deps, store, { osd, uuid: local.uuid, devices }, () => makeLuksKey(randomBytes));
}

/** An OSD of this node with what became of its process. */
export interface OsdReport extends LocalOsd {
  readonly state: UnitStatus["state"];
  /** Why it does not run, in words; null while all is well. */
  readonly reason: string | null;
}

export type OsdAction = "restart" | "stop" | "start";

/** All OSDs of this node, each looked at for itself. */
export async function reportOsds(deps: Pick<DaemonDeps, "paths" | "runner">): Promise<OsdReport[]> {
  return Promise.all((await listLocalOsds(deps)).map((osd) => reportOsd(deps, osd)));
}

async function reportOsd(deps: Pick<DaemonDeps, "paths" | "runner">, osd: LocalOsd): Promise<OsdReport> {
  const unit = unitName("osd", osd.osd);
  const status = await deps.runner.status(unit);
  const state = status?.state ?? "stopped";
  const gone = await firstGone(osd);
  if (osd.stopped) return { ...osd, state, reason: "stopped by an operator" };
  if (state === "running" || state === "starting") {
    return { ...osd, state, reason: gone === null ? null : `${gone} is not there` };
  }
  if (gone === null && (await isLocked(deps, osd))) {
    return { ...osd, state, reason: "locked: it waits for the monitors, which keep its key" };
  }
  const said = await lastComplaint(deps, unit);
  const parts = [status?.reason ?? "was not started", gone === null ? null : `${gone} is not there`, said];
  return { ...osd, state, reason: parts.filter((part) => part !== null && part !== "").join("; ") };
}

/** Start an OSD that was stopped, without waiting for it. */
export async function letRun(deps: DaemonDeps, osd: OsdId): Promise<void> {
  await rm(join(deps.paths.dataDir("osd", osd), stoppedMarker), { force: true });
  await startOsd(deps, osd);
}

async function isLocked(deps: Pick<DaemonDeps, "paths">, { osd, uuid }: LocalOsd): Promise<boolean> {
  const devices = encryptedDevices(await osdParts(deps, osd));
  return devices.length > 0 && !(await isUnlocked({ osd, uuid, devices }));
}

async function firstGone({ path, wal, db }: LocalOsd): Promise<string | null> {
  for (const device of [path, wal, db]) {
    if (device === null) continue;
    if (!(await exists(device))) return device;
  }
  return null;
}

/**
 * Restart, stop or start one OSD of this node and wait until it is so. A stopped one stays stopped, also over a
 * boot, until it is started. Throws NOT_FOUND, CEPH_DAEMON_DOWN with the reason when it does not come up.
 */
export async function controlOsd(
  deps: DaemonDeps,
  osd: OsdId,
  action: OsdAction,
  options: { readonly signal?: AbortSignal; readonly upDeadlineMs?: number } = {},
): Promise<void> {
  if (!(await listLocalOsds(deps)).some((one) => one.osd === osd)) {
    throw new MicrocephError("NOT_FOUND", `osd.${osd} is not on this node`, { data: { osd } });
  }
  const marker = join(deps.paths.dataDir("osd", osd), stoppedMarker);
  if (action === "stop") {
    // First: a daemon that is killed in between must not start it again.
    await writeFileAtomic(marker, "");
    await stopOsd(deps, osd);
    return;
  }
  await rm(marker, { force: true });
  if (action === "restart") await stopOsd(deps, osd);
  await startOsd(deps, osd);
  const { signal, upDeadlineMs = 60_000 } = options;
  try {
    await waitOsdUp(deps, osd, { deadlineMs: upDeadlineMs, ...(signal ? { signal } : {}) });
  } catch (error) {
    if (!isMicrocephError(error, "DEADLINE_EXCEEDED")) throw error;
    const report = (await reportOsds(deps)).find((one) => one.osd === osd);
    throw new MicrocephError(
      "CEPH_DAEMON_DOWN",
      `osd.${osd} did not come up: ${report?.reason ?? `it is ${report?.state ?? "gone"}`}`,
      { data: { osd }, cause: error },
    );
  }
}
