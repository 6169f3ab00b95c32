import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { readFileIfPresent, writeFileAtomic } from "../../files/atomic-file.ts";
import type { Handle } from "../../ids/ids.ts";
import { askAdminSocket } from "../command/admin-socket.ts";
import type { CephDaemonType, CephPaths } from "../config/ceph-paths.ts";
import { keyedCapabilities, keyOf, renderKeyring } from "../config/keyring.ts";
import type { UnitSpec } from "../runner/runner.ts";
import { type DaemonDeps, daemonEnvironment, ensureCephFolders, startDaemon, unitName } from "./deps.ts";
import { orDiskFull } from "./disk-full.ts";
import { prepareMgrPython } from "./mgr-python.ts";

/** Daemons whose whole state is their key: manager, metadata server, gateway, and what copies images of other sites. */
export type KeyedDaemon = keyof typeof keyedCapabilities;
export const keyedDaemons = Object.keys(keyedCapabilities) as readonly KeyedDaemon[];

/** With the one that has no name of its host, since it moves: an NFS gateway. */
type HostedDaemon = KeyedDaemon | "nfs";

/** Name under which a daemon proves to the monitors who it is; some are clients to them. */
export function entityOf(type: KeyedDaemon, handle: Handle): string {
  return type === "mgr" || type === "mds" ? `${type}.${handle}` : `client.${type}.${handle}`;
}

/** Write data directory and keyring. Idempotent; a key that changed is replaced. */
export function prepareKeyedDaemon(
  deps: DaemonDeps,
  type: KeyedDaemon,
  { handle, key }: { readonly handle: Handle; readonly key: string },
): Promise<void> {
  return prepareHostedDaemon(deps, type, { handle, key, entity: entityOf(type, handle) });
}

/** As `prepareKeyedDaemon`, under a name of its own. */
export async function prepareHostedDaemon(
  deps: DaemonDeps,
  type: HostedDaemon,
  daemon: { readonly handle: Handle; readonly key: string; readonly entity: string },
): Promise<void> {
  await ensureCephFolders(deps.paths);
  const home = deps.paths.dataDir(type, daemon.handle);
  await mkdir(home, { recursive: true, mode: 0o700 });
  const keyring = renderKeyring([{ entity: daemon.entity, key: daemon.key }]);
  const path = join(home, "keyring");
  if ((await readFileIfPresent(path)) !== keyring) await writeFileAtomic(path, keyring);
}

/** Its key, once it was prepared. */
export async function keptKey(
  deps: Pick<DaemonDeps, "paths">,
  type: KeyedDaemon,
  handle: Handle,
): Promise<string | undefined> {
  return hostedKey(deps, type, { handle, entity: entityOf(type, handle) });
}

/** As `keptKey`, of one under a name of its own. */
export async function hostedKey(
  deps: Pick<DaemonDeps, "paths">,
  type: HostedDaemon,
  { handle, entity }: { readonly handle: Handle; readonly entity: string },
): Promise<string | undefined> {
  const text = await readFileIfPresent(join(deps.paths.dataDir(type, handle), "keyring"));
  return text === undefined ? undefined : keyOf(text, entity);
}

/** Start it, or adopt the running one. Idempotent. */
export async function startKeyedDaemon(deps: DaemonDeps, type: KeyedDaemon, handle: Handle): Promise<void> {
  if (type === "rbd-mirror" || type === "cephfs-mirror") {
    const unit = unitName(type, handle);
    await orDiskFull(unit, () => deps.runner.ensure(unit, mirrorSpec(deps.paths, type, handle)));
    return;
  }
  const env = type === "mgr" ? await prepareMgrPython(deps, handle) : {};
  await startDaemon(deps, type, handle, [], env);
}

/**
 * `rbd-mirror` (rbd-mirror(8)) or `cephfs-mirror` (cephfs-mirror(8)) in the foreground; where the other sites are they
 * find in the monitors.
 */
function mirrorSpec(paths: CephPaths, type: "rbd-mirror" | "cephfs-mirror", handle: Handle): UnitSpec {
  const keyring = join(paths.dataDir(type, handle), "keyring");
  const identity = ["-n", entityOf(type, handle), "--keyring", keyring];
  // How far folders are copied is asked there; otherwise it would be named after the process, too.
  const socket = type === "rbd-mirror" ? [] : [`--admin-socket=${paths.adminSocket(type, handle)}`];
  const key = type === "rbd-mirror" ? {} : { CEPH_KEYRING: keyring };
  return {
    argv: [type, "-f", "-c", paths.cephConf, ...identity, ...socket],
    // For each pool, or file system, they connect once more, and find these files by the environment alone
    // (PoolReplayer::init_rados; connect in cephfs_mirror/Utils.cc).
    env: { ...daemonEnvironment(), CEPH_CONF: paths.cephConf, ...key },
    cwd: "/",
    stopSeconds: 20,
  };
}

/** Whether it was prepared on this node: what to start at boot. */
export async function hasKeyedDaemon(
  deps: Pick<DaemonDeps, "paths">,
  type: KeyedDaemon,
  handle: Handle,
): Promise<boolean> {
  return (await readFileIfPresent(join(deps.paths.dataDir(type, handle), "keyring"))) !== undefined;
}

/** Stop it and remove its data directory. Idempotent; its key in the monitors stays. */
export async function removeKeyedDaemon(deps: DaemonDeps, type: HostedDaemon, handle: Handle): Promise<void> {
  await deps.runner.stop(unitName(type, handle), { removeAlso: true });
  await rm(deps.paths.dataDir(type, handle), { recursive: true, force: true });
}

/** Whether its process answers on its admin socket. */
export async function answersOnSocket(
  deps: Pick<DaemonDeps, "paths">,
  type: CephDaemonType,
  id: string | number,
): Promise<boolean> {
  return askAdminSocket(deps.paths.adminSocket(type, id), { prefix: "version" }, { deadlineMs: 1000 }).then(
    () => true,
    () => false,
  );
}
