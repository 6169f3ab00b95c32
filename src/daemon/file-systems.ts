import { z } from "zod";
import type { FileSystemRow, fileSystemRequest } from "../api/contract/file-systems.ts";
import type { Shape } from "../api/contract/shape.ts";
import type { CallOptions, CephCommands, Pool } from "../ceph/command/commands.ts";
import { liveOsds } from "../ceph/control/crush-facts.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";
import { checkSize, deletePools, makePool, usageOf } from "./pools.ts";
import { commandsOf, runtimeOf } from "./runtime-of.ts";

const callMs = 30_000;

/** `ceph fs dump`, as far as it is used. */
const dumpSchema = z.object({
  standbys: z.array(z.object({ name: z.string() })),
  filesystems: z.array(
    z.object({
      id: z.int(),
      mdsmap: z.object({
        fs_name: z.string(),
        metadata_pool: z.int(),
        data_pools: z.array(z.int()).min(1),
        info: z.record(z.string(), z.object({ name: z.string(), state: z.string() })),
      }),
    }),
  ),
});

export interface FileSystem {
  readonly id: number;
  readonly name: string;
  readonly metadata: number;
  readonly data: readonly number[];
  readonly active: readonly string[];
}

interface FileSystems {
  readonly all: readonly FileSystem[];
  readonly standby: number;
}

/** What `ceph fs dump` answered. */
export function readFileSystems(answer: unknown): FileSystems {
  const { standbys, filesystems } = dumpSchema.parse(answer);
  const all = filesystems.map(({ id, mdsmap }): FileSystem => {
    const { fs_name: name, metadata_pool: metadata, data_pools: data, info } = mdsmap;
    const active = Object.values(info).flatMap((one) => (one.state === "up:active" ? [one.name] : []));
    return { id, name, metadata, data, active: active.sort() };
  });
  return { all: all.sort((a, b) => (a.name < b.name ? -1 : 1)), standby: standbys.length };
}

const present = async (ceph: CephCommands, call: CallOptions): Promise<FileSystems> =>
  readFileSystems(await ceph.run(["fs", "dump"], call));

/** All of them, in the order of their names. */
export async function fileSystemsOf(ceph: CephCommands, call: CallOptions): Promise<readonly FileSystem[]> {
  return (await present(ceph, call)).all;
}

/** File systems as Ceph has them now, in the order of their names. */
export async function listFileSystems(
  cluster: ClusterRuntime,
  signal: AbortSignal,
): Promise<FileSystemRow[]> {
  const ceph = commandsOf(cluster);
  const call = { deadlineMs: callMs, signal };
  const [{ all, standby }, pools, usage] = await Promise.all([
    present(ceph, call),
    ceph.pools(call),
    usageOf(ceph, call),
  ]);
  const nameOf = (id: number): string => pools.find((pool) => pool.id === id)?.name ?? String(id);
  return all.map(({ name, metadata, data, active }) => ({
    ...{ name, metadata_pool: nameOf(metadata), data_pools: data.map(nameOf), active: [...active], standby },
    bytes: usage === null ? null : data.reduce((sum, id) => sum + (usage.get(nameOf(id)) ?? 0), 0),
  }));
}

/** Names of its pools, as Ceph's own `fs volume create` chooses them: metadata first. */
const poolsFor = (name: string): readonly [string, string] => [`cephfs.${name}.meta`, `cephfs.${name}.data`];

/**
 * Make both pools and the file system on them; cut off at any point, it completes when it is asked for again. Throws
 * NAME_TAKEN, DATA_LOSS_UNCONFIRMED, OSD_NEEDED, what Ceph refuses.
 */
export async function createFileSystem(
  cluster: ClusterRuntime,
  { name, size, confirmed }: Shape<typeof fileSystemRequest>,
  signal: AbortSignal,
): Promise<FileSystemRow> {
  const ceph = commandsOf(cluster);
  const call = { deadlineMs: callMs, signal };
  const { all } = await present(ceph, call);
  if (all.some((one) => one.name === name)) {
    throw new MicrocephError("NAME_TAKEN", `there is a file system ${name} already`, { data: { name } });
  }
  if (liveOsds(await ceph.osdTree(call)).length === 0) {
    throw new MicrocephError("OSD_NEEDED", "there is no running OSD to hold its pools");
  }
  checkSize(size, confirmed, `the file system ${name} would have`);
  const [metadata, data] = poolsFor(name);
  const pools = await ceph.pools(call);
  for (const pool of [metadata, data]) {
    const there = pools.find((one) => one.name === pool);
    if (there !== undefined) checkUnused(there, all);
    await makePool(ceph, { name: pool, size, application: "cephfs", exists: there !== undefined }, call);
  }
  await ceph.run(["fs", "new", name, metadata, data], call);
  const made = (await listFileSystems(cluster, signal)).find((one) => one.name === name);
  if (made === undefined)
    throw new MicrocephError("NOT_FOUND", `the file system ${name} was removed meanwhile`);
  return made;
}

/** What an earlier try has left may be used; that it is empty is for Ceph to see. Throws NAME_TAKEN. */
function checkUnused({ id, name, applications }: Pool, all: readonly FileSystem[]): void {
  const user = all.find(({ metadata, data }) => metadata === id || data.includes(id))?.name;
  if (user === undefined && applications.every((application) => application === "cephfs")) return;
  throw new MicrocephError("NAME_TAKEN", `the pool ${name} is used by ${user ?? applications.join(", ")}`, {
    data: { pool: name },
  });
}

/** What is to be removed, by the numbers by which the ones that are meant are known. */
export interface DoomedFileSystem {
  readonly name: string;
  readonly id: number;
  readonly pools: readonly { readonly pool: string; readonly id: number }[];
}

/** Throws NOT_FOUND, DATA_LOSS_UNCONFIRMED: what keeps a file system from being removed. */
export async function checkFileSystemRemoval(
  cluster: ClusterRuntime,
  name: string,
  confirmed: boolean,
  signal: AbortSignal,
): Promise<DoomedFileSystem> {
  const ceph = commandsOf(cluster);
  const call = { deadlineMs: callMs, signal };
  const [{ all }, pools] = await Promise.all([present(ceph, call), ceph.pools(call)]);
  const one = all.find((each) => each.name === name);
  if (one === undefined) {
    throw new MicrocephError("NOT_FOUND", `there is no file system ${name}`, { data: { name } });
  }
  if (!confirmed) {
    const bytes = (await listFileSystems(cluster, signal)).find((row) => row.name === name)?.bytes ?? null;
    const held = bytes === null ? "all its files" : `its files (${bytes} bytes)`;
    throw new MicrocephError("DATA_LOSS_UNCONFIRMED", `with the file system ${name} ${held} would be lost`, {
      data: { name, bytes },
    });
  }
  const own = pools.filter(({ id }) => id === one.metadata || one.data.includes(id));
  return { name, id: one.id, pools: own.map((pool) => ({ pool: pool.name, id: pool.id })) };
}

/** The job of `fs remove`: the file system first, then its pools. Run again it does what is left. */
export async function removeFileSystem(daemon: Daemon, asked: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const { name, id, pools } = asked as unknown as DoomedFileSystem;
  const cluster = runtimeOf(daemon);
  await cluster.whenCephAnswers(() => tools.report(0, "waiting for Ceph"), tools.signal);
  const ceph = commandsOf(cluster);
  const call = { deadlineMs: callMs, signal: tools.signal };
  // Another one of this name may have been made since this was asked for.
  if ((await present(ceph, call)).all.some((one) => one.id === id && one.name === name)) {
    tools.report(20, `${name} is taken from its metadata servers`);
    await ceph.run(["fs", "fail", name], call);
    await ceph.run(["fs", "rm", name, "--yes-i-really-mean-it"], call);
  }
  tools.report(50, "its pools are removed");
  await deletePools(ceph, pools, tools);
  return { name };
}
