import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { readFileIfPresent, writeFileAtomic } from "../../files/atomic-file.ts";
import type { Handle } from "../../ids/ids.ts";
import type { CephPaths } from "../config/ceph-paths.ts";
import type { UnitSpec } from "../runner/runner.ts";
import { type DaemonDeps, daemonEnvironment, unitName } from "./deps.ts";
import { orDiskFull } from "./disk-full.ts";
import { readKept } from "./kept-settings.ts";
import { entityOf, prepareKeyedDaemon, removeKeyedDaemon } from "./keyed-daemon.ts";
import { listens } from "./listens.ts";
import { ganeshaConfig, type NfsExport, type NfsSettings, nfsExport, nfsSettings } from "./nfs-config.ts";
import { type WaitOptions, waitUntil } from "./wait-until.ts";

const programMs = 20_000;
/** Seconds that it may take to write out what clients have sent. */
const stopSeconds = 30;

/** What starts at boot from local disk alone: settings, and the exports as they were known last. */
const keptSchema = z.object({ settings: nfsSettings, exports: z.array(nfsExport).max(10_000) });
export type KeptNfs = z.infer<typeof keptSchema>;

/** Throws MISSING_PROGRAM: it is a package of its own. */
export async function checkNfsProgram(deps: Pick<DaemonDeps, "run">): Promise<void> {
  await deps.run("ganesha.nfsd", ["-v"], { deadlineMs: programMs });
}

/** What the NFS gateway of this node was told; null when it has none. Throws STATE_CORRUPT. */
export async function keptNfs(deps: Pick<DaemonDeps, "paths">, handle: Handle): Promise<KeptNfs | null> {
  return readKept(files(deps.paths, handle).kept, keptSchema);
}

/** Write data directory, keyring and what it is told. Idempotent. */
export async function prepareNfs(
  deps: DaemonDeps,
  gateway: { readonly handle: Handle; readonly key: string; readonly told: KeptNfs },
): Promise<void> {
  const { handle, key, told } = gateway;
  await prepareKeyedDaemon(deps, "nfs", { handle, key });
  await mkdir(files(deps.paths, handle).recovery, { recursive: true, mode: 0o700 });
  await keepNfs(deps, handle, told);
}

async function keepNfs(deps: Pick<DaemonDeps, "paths">, handle: Handle, told: KeptNfs): Promise<void> {
  const { kept } = files(deps.paths, handle);
  const text = `${JSON.stringify(told)}\n`;
  if ((await readFileIfPresent(kept)) !== text) await writeFileAtomic(kept, text);
}

/**
 * Start it, or adopt the running one. Other settings restart it; other exports are taken over by the running one, and
 * clients of those that stay notice nothing. Idempotent.
 */
export async function startNfs(deps: DaemonDeps, handle: Handle): Promise<void> {
  const kept = await keptNfs(deps, handle);
  if (kept === null) return;
  const { settings, exports } = kept;
  const { config, recovery } = files(deps.paths, handle);
  const text = ganeshaConfig(settings, exports, { user: userOf(handle), folder: recovery });
  const before = await readFileIfPresent(config);
  if (before !== text) await writeFileAtomic(config, text);
  const unit = unitName("nfs", handle);
  const { status, action } = await orDiskFull(unit, () =>
    deps.runner.ensure(unit, spec(deps.paths, handle, settings), { restartIfChanged: true }),
  );
  // It reads its exports again (ganesha.nfsd(8)).
  if (before !== text && action === "unchanged" && status.pid !== null) process.kill(status.pid, "SIGHUP");
}

/** The exports are these now. @returns whether that was news to this node's gateway */
export async function followExports(
  deps: DaemonDeps,
  handle: Handle,
  exports: readonly NfsExport[],
): Promise<boolean> {
  const kept = await keptNfs(deps, handle);
  if (kept === null || JSON.stringify(kept.exports) === JSON.stringify(exports)) return false;
  await keepNfs(deps, handle, { ...kept, exports: [...exports] });
  await startNfs(deps, handle);
  return true;
}

/** `ganesha.nfsd` in the foreground (ganesha.nfsd(8)). Ceph's libraries find file and key by the environment alone. */
function spec(paths: CephPaths, handle: Handle, settings: NfsSettings): UnitSpec {
  const { config, keyring, pid } = files(paths, handle);
  const { port, bind, minVersion } = settings;
  return {
    argv: ["ganesha.nfsd", "-F", "-f", config, "-p", pid, "-L", "STDERR", "-N", "NIV_EVENT"],
    env: {
      ...daemonEnvironment(),
      CEPH_CONF: paths.cephConf,
      CEPH_KEYRING: keyring,
      // What it is told is part of what it runs with: it takes these only at its start.
      MICROCEPH_NFS: `${bind ?? "*"} ${port} ${minVersion}`,
    },
    cwd: "/",
    stopSeconds,
  };
}

/** Wait until its port takes connections. Throws DEADLINE_EXCEEDED. */
export async function waitNfsServing(
  { port, bind }: NfsSettings,
  handle: Handle,
  wait: WaitOptions,
): Promise<void> {
  await waitUntil(
    `the NFS gateway of ${handle} to listen on port ${port}`,
    async () => ((await listens({ host: bind ?? "127.0.0.1", port })) ? true : undefined),
    { intervalMs: 200, ...wait },
  );
}

/**
 * Wait until every client of the former run has claimed its locks again, or ganesha waits for them no more: then it
 * forgets who they were (`fs_clean_old_recov_dir`). Throws DEADLINE_EXCEEDED.
 */
export async function waitNfsClaimed(
  deps: Pick<DaemonDeps, "paths">,
  handle: Handle,
  wait: WaitOptions,
): Promise<void> {
  const former = join(files(deps.paths, handle).recovery, "v4old");
  await waitUntil(
    `clients of the NFS gateway of ${handle} to claim their locks again`,
    async () => {
      const names = await readdir(former, { recursive: true }).catch(() => []);
      // One folder for each ganesha that shares it, and in it one for each client.
      return names.some((name) => name.includes("/")) ? undefined : true;
    },
    { intervalMs: 500, ...wait },
  );
}

/** Whether the program of this node's gateway runs. */
export async function runsNfs(deps: DaemonDeps, handle: Handle): Promise<boolean> {
  return (await deps.runner.status(unitName("nfs", handle)))?.pid != null;
}

/** Stop it and remove its data directory. Idempotent; its key in the monitors stays. */
export async function removeNfs(deps: DaemonDeps, handle: Handle): Promise<void> {
  // Without it, it does not start at boot, whatever of it is left after a crash.
  await rm(files(deps.paths, handle).kept, { force: true });
  await removeKeyedDaemon(deps, "nfs", handle);
}

/** Its name to Ceph's libraries, which put "client." before it. */
export function userOf(handle: Handle): string {
  return entityOf("nfs", handle).slice("client.".length);
}

function files(paths: CephPaths, handle: Handle) {
  const folder = paths.dataDir("nfs", handle);
  return {
    kept: join(folder, "told.json"),
    config: join(folder, "ganesha.conf"),
    keyring: join(folder, "keyring"),
    recovery: join(folder, "recovery"),
    pid: join(paths.run, "ganesha.pid"),
  };
}
