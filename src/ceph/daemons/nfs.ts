import { rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { readFileIfPresent, writeFileAtomic } from "../../files/atomic-file.ts";
import type { Handle } from "../../ids/ids.ts";
import { nfsRank, nfsUser } from "../../ids/nfs.ts";
import type { CephPaths } from "../config/ceph-paths.ts";
import type { UnitSpec } from "../runner/runner.ts";
import { type DaemonDeps, daemonEnvironment, unitName } from "./deps.ts";
import { orDiskFull } from "./disk-full.ts";
import { readKept } from "./kept-settings.ts";
import { hostedKey, prepareHostedDaemon, removeKeyedDaemon } from "./keyed-daemon.ts";
import { listens } from "./listens.ts";
import {
  ganeshaConfig,
  type NfsExport,
  type NfsSettings,
  nfsExport,
  nfsPool,
  nfsSettings,
} from "./nfs-config.ts";
import { type WaitOptions, waitUntil } from "./wait-until.ts";

const programMs = 20_000;
/** Seconds that it may take to write out what clients have sent. */
const stopSeconds = 30;

/** What starts at boot from local disk alone: settings, and the exports as they were known last. */
const keptSchema = z.object({
  settings: nfsSettings,
  /** What was placed before gateways had one has no key for it, and waits to be placed again. */
  rank: nfsRank.default(0),
  exports: z.array(nfsExport).max(10_000),
});
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
  await prepareHostedDaemon(deps, "nfs", { handle, key, entity: entityOf(told) });
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
  const { settings, rank, exports } = kept;
  const { config } = files(deps.paths, handle);
  const text = ganeshaConfig(settings, exports, { rank, conf: deps.paths.cephConf });
  const before = await readFileIfPresent(config);
  if (before !== text) await writeFileAtomic(config, text);
  const unit = unitName("nfs", handle);
  const { status, action } = await orDiskFull(unit, () =>
    deps.runner.ensure(unit, spec(deps.paths, handle, kept), { restartIfChanged: true }),
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
function spec(paths: CephPaths, handle: Handle, { settings, rank }: KeptNfs): UnitSpec {
  const { config, keyring, pid } = files(paths, handle);
  const { port, bind, minVersion } = settings;
  const logging = ["-L", "STDERR", "-N", "NIV_EVENT"];
  return {
    argv: ["ganesha.nfsd", "-F", "-I", String(rank), "-f", config, "-p", pid, ...logging],
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
 * writes down, at once, who its clients are now (`rados_ng_cleanup_old`), if there was one. `since`: by this host's
 * clock, in milliseconds, a moment when it did not run. Throws DEADLINE_EXCEEDED.
 */
export async function waitNfsClaimed(
  deps: Pick<DaemonDeps, "paths" | "run">,
  handle: Handle,
  since: number,
  wait: WaitOptions,
): Promise<void> {
  const kept = await keptNfs(deps, handle);
  if (kept === null) return;
  const { keyring } = files(deps.paths, handle);
  const identity = ["-c", deps.paths.cephConf, "-n", entityOf(kept), "--keyring", keyring];
  const place = ["-p", nfsPool, "-N", kept.settings.cluster];
  const ask = async (word: string): Promise<string> => {
    const words = [...identity, ...place, word, `node${kept.rank}_recov`];
    return (await deps.run("rados", words, { deadlineMs: programMs })).stdout;
  };
  const isOver = async (): Promise<boolean> =>
    (await ask("listomapkeys")).trim() === "" || writtenAt(await ask("stat2")) >= since;
  await waitUntil(
    `clients of the NFS gateway of ${handle} to claim their locks again`,
    async () => ((await isOver()) ? true : undefined),
    { intervalMs: 500, ...wait },
  );
}

/** Milliseconds; of `.nfs/node0_recov mtime 2026-01-02T03:04:05.678901+0000, size 0` (rados(8), `stat2`). */
function writtenAt(said: string): number {
  const [, time = "", zone = ""] = / mtime (\S+\.\d{3})\d*([+-]\d{4}),/.exec(said) ?? [];
  return Date.parse(`${time}${zone.slice(0, 3)}:${zone.slice(3)}`);
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

/** Name and key of the NFS gateway of this node; undefined when it has none. */
export async function nfsKey(
  deps: Pick<DaemonDeps, "paths">,
  handle: Handle,
): Promise<{ readonly entity: string; readonly key: string } | undefined> {
  const kept = await keptNfs(deps, handle);
  if (kept === null) return undefined;
  const entity = entityOf(kept);
  const key = await hostedKey(deps, "nfs", { handle, entity });
  return key === undefined ? undefined : { entity, key };
}

/** Its name to the monitors. */
function entityOf({ settings, rank }: Pick<KeptNfs, "settings" | "rank">): string {
  return `client.${nfsUser({ cluster: settings.cluster, rank })}`;
}

function files(paths: CephPaths, handle: Handle) {
  const folder = paths.dataDir("nfs", handle);
  return {
    kept: join(folder, "told.json"),
    config: join(folder, "ganesha.conf"),
    keyring: join(folder, "keyring"),
    pid: join(paths.run, "ganesha.pid"),
  };
}
