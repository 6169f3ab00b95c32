import { z } from "zod";
import {
  type disableFileReplicationRequest,
  type enableFileReplicationRequest,
  type FolderProgress,
  folderProgress,
  type ReplicatedFileSystem,
} from "../api/contract/file-replication.ts";
import type { Shape } from "../api/contract/shape.ts";
import { askAdminSocket } from "../ceph/command/admin-socket.ts";
import type { CallOptions, CephCommands } from "../ceph/command/commands.ts";
import { adminConnection, CephProgram } from "../ceph/command/rbd.ts";
import { whileLoading } from "../ceph/command/while-refused.ts";
import { isRefusal } from "../ceph/command/words.ts";
import { placedDaemons } from "../ceph/control/placed-daemons.ts";
import { waitUntil } from "../ceph/daemons/wait-until.ts";
import { isMicrocephError, MicrocephError } from "../errors/microceph-error.ts";
import type { PeerId } from "../ids/ids.ts";
import { namedMembers } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import { type FileSystem, fileSystemsOf } from "./file-systems.ts";
import { askMember } from "./member-job.ts";
import { remoteOf } from "./remotes.ts";
import { commandsOf } from "./runtime-of.ts";

const callMs = 60_000;
const lookMs = 1000;
const askMs = 10_000;
const releaseMs = 20_000;
/** The manager's module, and where it keeps in a file system's metadata pool which folders are mirrored. */
const module = "mirroring";
const stateObject = "cephfs_mirror";
const folderKey = "dir_map_";

const peersSchema = z.record(z.string(), z.object({ site_name: z.string(), fs_name: z.string() }));
type Peers = z.infer<typeof peersSchema>;

/** `fs mirror peer status FS@ID UUID` of the daemon that copies (Ceph doc: CephFS Snapshot Mirroring). */
const statusSchema = z.record(
  z.string(),
  z.object({
    state: z.string(),
    last_synced_snap: z.object({ name: z.string() }).optional(),
    snaps_synced: z.int().default(0),
    snaps_deleted: z.int().default(0),
    snaps_renamed: z.int().default(0),
  }),
);

const words = (...more: string[]): string[] => ["fs", "snapshot", "mirror", ...more];

/** Peers of a file system by their uuids; null for one that is not mirrored, or while nothing mirrors at all. */
async function peersOf(ceph: CephCommands, volume: string, call: CallOptions): Promise<Peers | null> {
  try {
    return peersSchema.parse(await ceph.run(words("peer_list", volume), call));
  } catch (error) {
    // Not mirrored; the module is not loaded.
    if (["EINVAL", "ENOTSUP", "EOPNOTSUPP"].some((errno) => isRefusal(error, errno))) return null;
    throw error;
  }
}

/** Throws NOT_FOUND. */
async function volumeOf(ceph: CephCommands, volume: string, call: CallOptions): Promise<FileSystem> {
  const one = (await fileSystemsOf(ceph, call)).find(({ name }) => name === volume);
  if (one !== undefined) return one;
  throw new MicrocephError("NOT_FOUND", `there is no file system ${volume}`, { data: { name: volume } });
}

/** Folders of a file system that are mirrored, as the manager keeps them. */
async function foldersOf(cluster: ClusterRuntime, volume: FileSystem, call: CallOptions): Promise<string[]> {
  const pools = await commandsOf(cluster).pools(call);
  const pool = pools.find(({ id }) => id === volume.metadata)?.name ?? "";
  const { run, paths } = cluster.deps.cephNode.deps;
  const { deadlineMs = callMs, signal } = call;
  const { stdout, exitCode } = await run(
    "rados",
    [...adminConnection(paths), "-p", pool, "listomapkeys", stateObject],
    { deadlineMs, okCodes: [0, 1, 2], ...(signal === undefined ? {} : { signal }) },
  );
  // It is not there before anything was mirrored.
  if (exitCode !== 0) return [];
  return stdout
    .split("\n")
    .flatMap((key) => (key.startsWith(folderKey) ? [key.slice(folderKey.length)] : []))
    .sort();
}

/** What is mirrored of a file system, as a path. Throws USAGE, what Ceph refuses. */
async function pathOf(
  ceph: CephCommands,
  asked: Pick<
    Shape<typeof enableFileReplicationRequest>,
    "volume" | "dir_path" | "subvolume" | "subvolume_group"
  >,
  call: CallOptions,
): Promise<string | null> {
  const { volume, dir_path: path, subvolume, subvolume_group: group } = asked;
  if (path !== undefined && subvolume !== undefined) {
    throw new MicrocephError("USAGE", "it is a folder or a subvolume, not both");
  }
  if (group !== undefined && subvolume === undefined) {
    throw new MicrocephError("USAGE", "a group is of a subvolume");
  }
  if (subvolume === undefined) return path ?? null;
  const where = ["fs", "subvolume", "getpath", volume, subvolume, ...(group === undefined ? [] : [group])];
  return z
    .string()
    .min(1)
    .parse(await ceph.run(where, call));
}

/**
 * Mirror a folder's snapshots to the file system of the same name at another site. Cut off at any point, it completes
 * when it is asked for again. Throws NOT_FOUND, USAGE, REPLICATION_CONFLICT, what Ceph refuses.
 */
export async function enableFileReplication(
  cluster: ClusterRuntime,
  asked: Shape<typeof enableFileReplicationRequest>,
  signal: AbortSignal,
): Promise<ReplicatedFileSystem> {
  const { volume, remote: site } = asked;
  const call = { deadlineMs: callMs, signal };
  const ceph = commandsOf(cluster);
  const remote = await remoteOf(ceph, site, call);
  await volumeOf(ceph, volume, call);
  const path = await pathOf(ceph, asked, call);
  if (path === null) throw new MicrocephError("USAGE", "say which folder or subvolume is mirrored");
  const there = await CephProgram.foreign(cluster.deps.cephNode.deps.paths, remote, (program) =>
    program.json("ceph", ["--connect-timeout", "10", "fs", "ls"], call),
  );
  const names = z.array(z.object({ name: z.string() })).parse(there);
  if (names.every(({ name }) => name !== volume)) {
    throw new MicrocephError(
      "NOT_FOUND",
      `the site ${site} has no file system ${volume}; there: microceph fs create ${volume}`,
      { data: { name: volume, remote: site } },
    );
  }
  await ceph.run(["mgr", "module", "enable", module], call);
  await whileLoading(() => ceph.run(words("enable", volume), call), signal);
  const peers = await whileLoading(() => ceph.run(words("peer_list", volume), call), signal);
  const others = Object.values(peersSchema.parse(peers)).map(({ site_name }) => site_name);
  const stranger = others.find((name) => name !== site);
  if (stranger !== undefined) {
    throw new MicrocephError("REPLICATION_CONFLICT", `${volume} is mirrored to ${stranger} already`, {
      data: { volume, remote: stranger },
    });
  }
  if (!others.includes(site)) {
    const { monHost, client, key } = remote;
    await ceph.run(words("peer_add", volume, `client.${client}@${site}`, volume, monHost, key), call);
  }
  await ceph.run(words("add", volume, path), call).catch((error: unknown) => {
    if (!isRefusal(error, "EEXIST")) throw error;
  });
  return fileReplicationOf(cluster, volume, signal);
}

/**
 * Mirror a folder no more, or, with none named, the whole file system. What is at the other site stays. Throws NOT_FOUND,
 * REPLICATION_CONFLICT for a file system with folders that are mirrored, without `force`.
 */
export async function disableFileReplication(
  cluster: ClusterRuntime,
  asked: Shape<typeof disableFileReplicationRequest>,
  signal: AbortSignal,
): Promise<{ volume: string }> {
  const { volume } = asked;
  const call = { deadlineMs: callMs, signal };
  const ceph = commandsOf(cluster);
  const path = await pathOf(ceph, asked, call);
  const { folders } = await fileReplicationOf(cluster, volume, signal);
  const paths = folders.map((one) => one.path);
  if (path !== null) {
    if (!paths.includes(path)) throw new MicrocephError("NOT_FOUND", `${path} of ${volume} is not mirrored`);
    await release(cluster, volume, path, call);
    return { volume };
  }
  if (paths.length > 0 && !asked.force) {
    throw new MicrocephError(
      "REPLICATION_CONFLICT",
      `${paths.join(", ")} of ${volume} would be mirrored no more`,
      {
        data: { volume, paths },
      },
    );
  }
  for (const one of paths) await release(cluster, volume, one, call);
  for (const uuid of Object.keys((await peersOf(ceph, volume, call)) ?? {})) {
    await ceph.run(words("peer_remove", volume, uuid), call);
  }
  await ceph.run(words("disable", volume), call);
  return { volume };
}

/** Mirror a folder no more: the daemon that copies it lets it go first; where none runs, the manager waits for one. */
async function release(
  cluster: ClusterRuntime,
  name: string,
  path: string,
  call: CallOptions,
): Promise<void> {
  const ceph = commandsOf(cluster);
  const volume = await volumeOf(ceph, name, call);
  await ceph.run(words("remove", name, path), call).catch((error: unknown) => {
    if (!isRefusal(error, "EINVAL") || !error.message.includes("under removal")) throw error;
  });
  const { signal } = call;
  const look = async (): Promise<true | undefined> =>
    (await foldersOf(cluster, volume, call)).includes(path) ? undefined : true;
  const wait = { deadlineMs: releaseMs, intervalMs: lookMs, ...(signal === undefined ? {} : { signal }) };
  await waitUntil(`${path} to be let go`, look, wait).catch((error: unknown) => {
    if (!isMicrocephError(error, "DEADLINE_EXCEEDED")) throw error;
  });
}

/** File systems of which folders are mirrored to other sites; where they are copied from, this site does not tell. */
export async function listFileReplication(
  cluster: ClusterRuntime,
  signal: AbortSignal,
): Promise<ReplicatedFileSystem[]> {
  const call = { deadlineMs: callMs, signal };
  const ceph = commandsOf(cluster);
  const found: ReplicatedFileSystem[] = [];
  for (const one of await fileSystemsOf(ceph, call)) {
    const peers = await peersOf(ceph, one.name, call);
    if (peers === null) continue;
    const paths = await foldersOf(cluster, one, call);
    const progress = paths.length === 0 ? [] : await progressOf(cluster, one.name, signal);
    found.push({
      volume: one.name,
      remotes: Object.values(peers)
        .map(({ site_name }) => site_name)
        .sort(),
      folders: paths.map((path) => progress.find((each) => each.path === path) ?? unknownOf(path)),
    });
  }
  return found;
}

/** One of them. Throws NOT_FOUND. */
export async function fileReplicationOf(
  cluster: ClusterRuntime,
  volume: string,
  signal: AbortSignal,
): Promise<ReplicatedFileSystem> {
  const one = (await listFileReplication(cluster, signal)).find((each) => each.volume === volume);
  if (one !== undefined) return one;
  throw new MicrocephError("NOT_FOUND", `the file system ${volume} is not mirrored`, { data: { volume } });
}

const unknownOf = (path: string): FolderProgress => ({
  ...{ path, state: "unknown", last_snapshot: null },
  ...{ synced: 0, deleted: 0, renamed: 0 },
});

/** What the daemons that copy say of a file system's folders, each of its own; who does not answer says nothing. */
async function progressOf(
  cluster: ClusterRuntime,
  volume: string,
  signal: AbortSignal,
): Promise<FolderProgress[]> {
  const placed = placedDaemons(cluster.journal.entries()).filter(({ type }) => type === "cephfs-mirror");
  const hosts = namedMembers(cluster).filter(({ handle }) => placed.some((one) => one.handle === handle));
  const path = `/1.0/replication/cephfs/progress?volume=${encodeURIComponent(volume)}`;
  const ask = (peer: PeerId): Promise<FolderProgress[]> =>
    askMember(cluster, peer, { method: "GET", path, body: null }, { deadlineMs: askMs, signal })
      .then((said) => z.array(folderProgress).parse(said))
      .catch(() => []);
  return (await Promise.all(hosts.map(({ id }) => ask(id)))).flat();
}

/** What this node's daemon says of a file system's folders; nothing where there is none. */
export async function fileProgressHere(
  cluster: ClusterRuntime,
  volume: string,
  signal: AbortSignal,
): Promise<FolderProgress[]> {
  const call = { deadlineMs: callMs, signal };
  const ceph = commandsOf(cluster);
  const { id } = await volumeOf(ceph, volume, call);
  const { handle, deps } = cluster.deps.cephNode;
  const socket = deps.paths.adminSocket("cephfs-mirror", handle);
  const found: FolderProgress[] = [];
  for (const uuid of Object.keys((await peersOf(ceph, volume, call)) ?? {})) {
    const prefix = `fs mirror peer status ${volume}@${id} ${uuid}`;
    const said = await askAdminSocket(socket, { prefix }, { deadlineMs: 5000 }).catch(() => ({}));
    const read = statusSchema.safeParse(said);
    for (const [path, one] of Object.entries(read.success ? read.data : {})) {
      found.push({
        ...{ path, state: one.state, last_snapshot: one.last_synced_snap?.name ?? null },
        ...{ synced: one.snaps_synced, deleted: one.snaps_deleted, renamed: one.snaps_renamed },
      });
    }
  }
  return found;
}
