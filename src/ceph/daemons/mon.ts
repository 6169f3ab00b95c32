import { randomUUID } from "node:crypto";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isMicrocephError, MicrocephError } from "../../errors/microceph-error.ts";
import { readFileIfPresent, syncDirectory, writeFileAtomic } from "../../files/atomic-file.ts";
import { exists } from "../../files/exists.ts";
import type { Fsid, Handle } from "../../ids/ids.ts";
import type { RunOptions } from "../../process/run-program.ts";
import { askAdminSocket } from "../command/admin-socket.ts";
import type { CallOptions, MonitorAddress, MonStatus } from "../command/commands.ts";
import { parseMonStatus } from "../command/schemas.ts";
import { type KeyringEntry, keyOf, monCapabilities, renderKeyring } from "../config/keyring.ts";
import { addressVector, monitorAddresses, monitorAddressVector } from "../config/monitor-address.ts";
import type { PlacedMonitor } from "../plan/moves.ts";
import { type DaemonDeps, ensureCephFolders, startDaemon, unitName } from "./deps.ts";
import { orDiskFull } from "./disk-full.ts";
import { runBound } from "./run-bound.ts";
import { type WaitOptions, waitUntil } from "./wait-until.ts";

const mkfsDeadlineMs = 60_000;

export interface BootstrapMon {
  readonly handle: Handle;
  readonly fsid: Fsid;
  /** The monitor's own IP address. */
  readonly address: string;
  /** Key of `mon.`, the same on every monitor. */
  readonly monKey: string;
  readonly v2Only?: boolean;
  /** Further keys that the first monitor imports: `client.admin`, the first mgr … each with capabilities. */
  readonly keys: readonly KeyringEntry[];
  readonly signal?: AbortSignal;
}

/**
 * Make the store of a new cluster's first monitor. Idempotent: a finished store of the same cluster is left
 * alone, an unfinished one is made afresh. ceph.conf must be written before. Doesn't start anything.
 * Throws STATE_CORRUPT when a store of another cluster is in the way.
 */
export async function bootstrapMon(deps: DaemonDeps, mon: BootstrapMon): Promise<"made" | "present"> {
  return makeStore(deps, mon, async (folder) => {
    const own = { name: mon.handle, addresses: monitorAddresses(mon.address, mon.v2Only) };
    await makeMap(deps, mon, [own], folder);
    return [{ entity: "mon.", key: mon.monKey, capabilities: monCapabilities }, ...mon.keys];
  });
}

export interface PrepareMon {
  readonly handle: Handle;
  readonly fsid: Fsid;
  /** Those that it asks to let it in: they tell it the map as it is then. */
  readonly monitors: readonly PlacedMonitor[];
  readonly monKey: string;
  readonly signal?: AbortSignal;
}

/**
 * Make the store of a monitor that is to join. Touches nothing but this node's disk; the monitor adds itself
 * to the monmap when it is started. Idempotent as `bootstrapMon`.
 */
export async function prepareMon(deps: DaemonDeps, mon: PrepareMon): Promise<"made" | "present"> {
  const keyring = await readFileIfPresent(join(deps.paths.dataDir("mon", mon.handle), "keyring"));
  const isFormer = keyring !== undefined && keyOf(keyring, "mon.") !== mon.monKey;
  // Its monitor was away while the others got another key, or were made anew: with this store it never joins them.
  if (isFormer && (await storeFsid(deps, mon.handle)) === mon.fsid) await setMonAside(deps, mon.handle);
  return makeStore(deps, mon, async (folder) => {
    await makeMap(deps, mon, mon.monitors, folder);
    return [{ entity: "mon.", key: mon.monKey, capabilities: monCapabilities }];
  });
}

/** A map of these monitors, for a store that is being made. */
async function makeMap(
  deps: DaemonDeps,
  { fsid, signal }: StoreOf,
  monitors: readonly PlacedMonitor[],
  folder: string,
): Promise<void> {
  const members = monitors.flatMap(({ name, addresses }) => ["--addv", name, addressVector(addresses)]);
  await deps.run("monmaptool", ["--create", ...members, "--fsid", fsid, join(folder, mapFile)], {
    deadlineMs: mkfsDeadlineMs,
    ...(signal ? { signal } : {}),
  });
}

/** Written last: a store with it is whole. */
export const monMarker = "microceph.json";

const mapFile = "monmap";

type Inputs = (folder: string) => Promise<readonly KeyringEntry[]>;
type StoreOf = Pick<PrepareMon, "handle" | "fsid" | "signal">;

function makeStore(deps: DaemonDeps, mon: StoreOf, writeInputs: Inputs): Promise<"made" | "present"> {
  return orDiskFull(`the monitor ${mon.handle}`, () => makeWholeStore(deps, mon, writeInputs));
}

async function makeWholeStore(
  deps: DaemonDeps,
  mon: StoreOf,
  writeInputs: Inputs,
): Promise<"made" | "present"> {
  const { paths } = deps;
  const home = paths.dataDir("mon", mon.handle);
  const present = await storeFsid(deps, mon.handle);
  if (present === mon.fsid) {
    // A run that was killed right after the store was whole has left its keys behind.
    await removeLeftOvers(deps, mon.handle);
    return "present";
  }
  if (present !== undefined) {
    throw new MicrocephError("STATE_CORRUPT", `${home} holds a monitor of another cluster`, {
      data: { path: home, fsid: present, wanted: mon.fsid },
    });
  }
  await ensureCephFolders(paths);
  await removeLeftOvers(deps, mon.handle);
  const work = `${home}.new-${randomUUID().slice(0, 8)}`;
  const inputs = `${work}.in`;
  await mkdir(work, { mode: 0o700 });
  await mkdir(inputs, { mode: 0o700 });
  try {
    const keyring = join(inputs, "keyring");
    const entries = await writeInputs(inputs);
    await writeFileAtomic(keyring, renderKeyring(entries));
    // Killed with us: it must not go on writing beside the next run.
    const made = await runBound(
      deps,
      "ceph-mon",
      [
        "--mkfs",
        ...["-i", mon.handle, "-c", paths.cephConf, "--mon-data", work],
        ...["--monmap", join(inputs, mapFile), "--keyring", keyring],
      ],
      {
        deadlineMs: mkfsDeadlineMs,
        secrets: entries.map(({ key }) => key),
        ...(mon.signal ? { signal: mon.signal } : {}),
      },
    );
    // It can fail with exit code 0 and no message, for one when the public network is none of this host's.
    if (!(await exists(join(work, "store.db")))) {
      throw new MicrocephError(
        "PROGRAM_FAILED",
        `ceph-mon made no store; is this node's address inside the public network? ${made.stderr.slice(-500)}`,
        { data: { program: "ceph-mon", path: work } },
      );
    }
    await writeFileAtomic(
      join(work, monMarker),
      `${JSON.stringify({ v: 1, fsid: mon.fsid, handle: mon.handle })}\n`,
    );
    await rm(home, { recursive: true, force: true });
    await rename(work, home);
    await syncDirectory(dirname(home));
  } finally {
    await rm(inputs, { recursive: true, force: true });
    await rm(work, { recursive: true, force: true });
  }
  return "made";
}

/**
 * Put these monitors, and no others, into the map of a monitor that does not run. All else in its map stays, and
 * Ceph gives the map the next epoch. Run again it makes the same map once more, in a later epoch.
 */
export async function injectMonMap(
  deps: DaemonDeps,
  mon: {
    readonly handle: Handle;
    /** Where its data is; default the place it runs from. */
    readonly home?: string;
    readonly monitors: readonly PlacedMonitor[];
    readonly signal?: AbortSignal;
  },
): Promise<void> {
  const { paths } = deps;
  const { handle, monitors, home = paths.dataDir("mon", handle) } = mon;
  const options = { deadlineMs: mkfsDeadlineMs, ...(mon.signal ? { signal: mon.signal } : {}) };
  const file = join(paths.run, `monmap-${randomUUID().slice(0, 8)}`);
  const own = ["-i", handle, "-c", paths.cephConf, "--mon-data", home];
  try {
    const present = await extractMonMap(deps, own, file, options);
    // In one run it would add before it removes, whatever the order of its arguments.
    const changes = [
      present.flatMap(({ name }) => ["--rm", name]),
      monitors.flatMap(({ name, addresses }) => ["--addv", name, addressVector(addresses)]),
    ];
    for (const change of changes) await deps.run("monmaptool", [...change, file], options);
    await runBound(deps, "ceph-mon", [...own, "--inject-monmap", file], options);
  } finally {
    await rm(file, { force: true });
  }
}

/** The monitors in the map of a monitor that does not run. */
export async function readMonMap(
  deps: DaemonDeps,
  handle: Handle,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<readonly PlacedMonitor[]> {
  const { paths } = deps;
  const options = { deadlineMs: mkfsDeadlineMs, ...(signal ? { signal } : {}) };
  const file = join(paths.run, `monmap-${randomUUID().slice(0, 8)}`);
  const own = ["-i", handle, "-c", paths.cephConf, "--mon-data", paths.dataDir("mon", handle)];
  try {
    return await extractMonMap(deps, own, file, options);
  } finally {
    await rm(file, { force: true });
  }
}

/** Put the map of the monitor with these arguments into a file. @returns the monitors in it */
async function extractMonMap(
  deps: DaemonDeps,
  own: readonly string[],
  file: string,
  options: RunOptions,
): Promise<PlacedMonitor[]> {
  await runBound(deps, "ceph-mon", [...own, "--extract-monmap", file], options);
  return printedMonitors((await deps.run("monmaptool", ["--print", file], options)).stdout);
}

/** The monitors that `monmaptool --print` shows: `0: [v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0] mon.n1`. */
function printedMonitors(text: string): PlacedMonitor[] {
  return [...text.matchAll(/^\d+: (\S+) mon\.(\S+)$/gm)].map(([, vector = "", name = ""]) => ({
    name,
    addresses: [...vector.matchAll(/(v1|v2|any):([^,]+?)\/\d+/g)].map(([, type, address = ""]) => ({
      type: type as MonitorAddress["type"],
      address,
    })),
  }));
}

/** The cluster of a finished store; undefined when there is none or only half a one. */
export async function storeFsid(
  deps: Pick<DaemonDeps, "paths">,
  handle: Handle,
): Promise<string | undefined> {
  const home = deps.paths.dataDir("mon", handle);
  const text = await readFileIfPresent(join(home, monMarker));
  if (text === undefined || !(await exists(join(home, "store.db")))) return undefined;
  const found = /"fsid":"([0-9a-f-]{36})"/.exec(text)?.[1];
  if (found === undefined) {
    throw new MicrocephError("STATE_CORRUPT", `${join(home, monMarker)} cannot be read`, {
      data: { path: home },
    });
  }
  return found;
}

/**
 * Start a prepared monitor, or adopt the running one. One that is not in the monmap adds itself with this
 * address, in the protocols that ceph.conf says. Idempotent. Throws NOT_FOUND when nothing was prepared.
 */
export async function startMon(
  deps: DaemonDeps,
  mon: { readonly handle: Handle; readonly address: string },
): Promise<void> {
  if ((await storeFsid(deps, mon.handle)) === undefined) {
    throw new MicrocephError("NOT_FOUND", `the monitor ${mon.handle} has no store on this node`);
  }
  // Of a bare address a monitor makes one of each protocol, whatever its configuration says.
  const v2Only = /^ms bind msgr1 = false$/m.test((await readFileIfPresent(deps.paths.cephConf)) ?? "");
  const where = v2Only
    ? ["--public-addrv", monitorAddressVector(mon.address, true)]
    : ["--public-addr", mon.address];
  await startDaemon(deps, "mon", mon.handle, where);
}

/** What the monitor says of itself; undefined while it does not answer. */
export async function monState(
  deps: Pick<DaemonDeps, "paths">,
  handle: Handle,
  options: CallOptions = {},
): Promise<MonStatus | undefined> {
  try {
    return parseMonStatus(
      await askAdminSocket(deps.paths.adminSocket("mon", handle), { prefix: "mon_status" }, options),
    );
  } catch (error) {
    if (isMicrocephError(error, "CEPH_DAEMON_DOWN") || isMicrocephError(error, "DEADLINE_EXCEEDED"))
      return undefined;
    throw error;
  }
}

/** Wait until the monitor is in quorum. Throws DEADLINE_EXCEEDED. */
export function waitMonInQuorum(deps: DaemonDeps, handle: Handle, options: WaitOptions): Promise<MonStatus> {
  return waitUntil(
    `the monitor ${handle} in quorum`,
    async () => {
      const status = await monState(deps, handle);
      return status?.quorum.includes(handle) ? status : undefined;
    },
    options,
  );
}

/** Milliseconds for which a new monitor may do nothing but look for the others. */
const probingMs = 20_000;

/**
 * Wait until a monitor that was just started is in quorum. One that only looks for the others for long is started
 * anew, once: seen with Ceph 16, where its first connection to another monitor may never begin. Throws
 * DEADLINE_EXCEEDED.
 */
export async function joinQuorum(
  deps: DaemonDeps,
  mon: { readonly handle: Handle; readonly address: string },
  options: WaitOptions,
): Promise<MonStatus> {
  try {
    return await waitMonInQuorum(deps, mon.handle, {
      ...options,
      deadlineMs: Math.min(probingMs, options.deadlineMs),
    });
  } catch (error) {
    if (!isMicrocephError(error, "DEADLINE_EXCEEDED")) throw error;
  }
  if ((await monState(deps, mon.handle))?.state === "probing") {
    await deps.runner.stop(unitName("mon", mon.handle));
    await startMon(deps, mon);
  }
  return waitMonInQuorum(deps, mon.handle, options);
}

/**
 * Clean up after a monitor that is no longer in the monmap: its process and its store, without which it can
 * join again. Idempotent. It is for the caller to know that the map does not name it any more.
 */
export async function removeMon(deps: DaemonDeps, handle: Handle): Promise<void> {
  await deps.runner.stop(unitName("mon", handle), { removeAlso: true });
  await rm(deps.paths.dataDir("mon", handle), { recursive: true, force: true });
  await removeLeftOvers(deps, handle);
}

/** Stop the monitor and keep its data under another name: `ceph-<handle>.aside-1` … Idempotent. */
export async function setMonAside(deps: DaemonDeps, handle: Handle): Promise<void> {
  await deps.runner.stop(unitName("mon", handle), { removeAlso: true });
  const home = deps.paths.dataDir("mon", handle);
  if (!(await exists(home))) return;
  for (let count = 1; count < 1000; count += 1) {
    const aside = `${home}.aside-${count}`;
    if (await exists(aside)) continue;
    await rename(home, aside);
    await syncDirectory(dirname(home));
    return;
  }
  throw new MicrocephError("DISK_IN_USE", `there are too many former stores beside ${home}`);
}

/** Stores that were set aside: they have the keys of the cluster. */
export function removeAsideMons(deps: DaemonDeps, handle: Handle): Promise<void> {
  return removeBeside(deps, handle, "aside-");
}

/** Unfinished stores of runs that were killed. */
function removeLeftOvers(deps: DaemonDeps, handle: Handle): Promise<void> {
  return removeBeside(deps, handle, "new-");
}

async function removeBeside(deps: DaemonDeps, handle: Handle, kind: string): Promise<void> {
  const home = deps.paths.dataDir("mon", handle);
  const prefix = `ceph-${handle}.${kind}`;
  for (const name of await readdir(dirname(home)).catch(() => [])) {
    if (name.startsWith(prefix)) await rm(join(dirname(home), name), { recursive: true, force: true });
  }
}
