import { mkdir } from "node:fs/promises";
import type { Logger } from "pino";
import { programEnvironment } from "../../process/program-environment.ts";
import type { runProgram } from "../../process/run-program.ts";
import type { CephDaemonType, CephPaths } from "../config/ceph-paths.ts";
import type { Runner, UnitSpec } from "../runner/runner.ts";
import { orDiskFull } from "./disk-full.ts";
import type { KeyStore } from "./osd-encryption.ts";

/** What every daemon function needs. */
export interface DaemonDeps {
  readonly paths: CephPaths;
  readonly runner: Runner;
  readonly log: Logger;
  /** Runs a program to its end; `runProgram` outside tests. */
  readonly run: typeof runProgram;
  /** The monitors' key store; null while this node knows no cluster. */
  readonly keys: () => KeyStore | null;
}

/** Name of a daemon's unit: `mon.n1`, `osd.3`. */
export function unitName(type: CephDaemonType, id: string | number): string {
  return `${type}.${id}`;
}

export function daemonEnvironment(): Readonly<Record<string, string>> {
  // As Ceph's own units set it in /etc/default/ceph.
  return { ...programEnvironment(), TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES: "134217728" };
}

/** What runs a daemon in the foreground; the same arguments always give the same spec. */
export function daemonSpec(
  paths: CephPaths,
  type: CephDaemonType,
  id: string | number,
  extra: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): UnitSpec {
  return {
    argv: [`ceph-${type}`, "-f", "-i", String(id), "-c", paths.cephConf, ...extra],
    env: { ...daemonEnvironment(), ...env },
    cwd: "/",
    stopSeconds: type === "osd" || type === "mon" ? 60 : 20,
  };
}

/** Make the node's folders for Ceph; existing ones are left as they are. */
export async function ensureCephFolders(paths: CephPaths): Promise<void> {
  for (const path of [paths.conf, paths.data, paths.run, paths.logs, paths.crash, paths.supervisors]) {
    await mkdir(path, { recursive: true, mode: 0o755 });
  }
  for (const type of ["mon", "mgr", "mds", "osd", "rgw", "nfs", "rbd-mirror", "cephfs-mirror", "ingress"]) {
    await mkdir(`${paths.data}/${type}`, { recursive: true, mode: 0o755 });
  }
}

/** Start a daemon, or adopt the running one. Idempotent; a running one is never restarted by this. */
export async function startDaemon(
  deps: DaemonDeps,
  type: CephDaemonType,
  id: string | number,
  extra: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const unit = unitName(type, id);
  const spec = daemonSpec(deps.paths, type, id, extra, env);
  const { action } = await orDiskFull(unit, () => deps.runner.ensure(unit, spec));
  if (action === "differs") {
    deps.log.info({ unit }, "runs with other arguments than it would be started with now");
  }
}
