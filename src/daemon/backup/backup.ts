import { link, rm } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import { z } from "zod";
import type { BackupReply, backupRequest } from "../../api/contract/backup.ts";
import type { Shape } from "../../api/contract/shape.ts";
import type { CallOptions, CephCommands } from "../../ceph/command/commands.ts";
import { MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import { syncDirectory, writeFileAtomic } from "../../files/atomic-file.ts";
import { exists } from "../../files/exists.ts";
import { productVersion } from "../../version/version.ts";
import { namedMembers } from "../cluster/cluster-report.ts";
import type { ClusterRuntime } from "../cluster/cluster-runtime.ts";
import type { Daemon } from "../daemon.ts";
import { runtimeOf } from "../runtime-of.ts";
import { type CephRecords, type Contents, cephRecords, pack } from "./contents.ts";
import { seal, shortestPassphrase } from "./sealed-file.ts";

const callMs = 15_000;

/**
 * Write all that this cluster is, but for its data, into a file that only the passphrase opens. On a voter: only
 * those have the keys. An existing file is left as it is. Throws BACKUP_REFUSED, USAGE, NO_QUORUM.
 */
export async function makeBackup(
  daemon: Daemon,
  { path, passphrase }: Shape<typeof backupRequest>,
  signal: AbortSignal,
): Promise<BackupReply> {
  const cluster = runtimeOf(daemon);
  await checkTarget(path);
  if (passphrase.length < shortestPassphrase) {
    throw new MicrocephError("USAGE", `a passphrase has at least ${shortestPassphrase} characters`);
  }
  if (!cluster.seat.seated) {
    const seated = cluster.voters();
    const names = namedMembers(cluster).flatMap(({ id, name }) => (seated.includes(id) ? [name] : []));
    throw new MicrocephError(
      "BACKUP_REFUSED",
      `this member has no vote, and so not the keys of the cluster; do it on ${names.join(" or ")}`,
    );
  }
  if (!cluster.quorum.report().ok) {
    throw new MicrocephError(
      "NO_QUORUM",
      "without a majority of the voters nobody knows what was decided last",
    );
  }
  const contents = await gather(cluster, new Date(daemon.now()).toISOString(), signal);
  const about = {
    ...{ cluster: contents.key.id, name: contents.name, at: contents.at, by: daemon.settings.name },
    ...{ product: productVersion, ceph: contents.ceph === null ? null : contents.ceph.access.fsid },
  };
  const file = await seal(await pack(contents), passphrase, about);
  await writeNew(path, file);
  return {
    ...{ path, bytes: file.length, cluster: contents.key.id, name: contents.name, at: contents.at },
    ceph_records: contents.ceph !== null && contents.ceph.records !== null,
  };
}

async function gather(cluster: ClusterRuntime, at: string, signal: AbortSignal): Promise<Contents> {
  const { journal, deps, options, document } = cluster;
  // The document first: what it wishes for may not be decided yet, never the other way round.
  const saved = Buffer.from(document.save());
  const { key, snapshot } = await cluster.seat.secrets(signal);
  const entries = journal.entries();
  const admitted = z.looseObject({ handle: z.string() });
  const handles = entries.flatMap(({ kind, body }) => {
    const found = kind === "member.admit" ? admitted.safeParse(body).data : undefined;
    return found === undefined ? [] : [found.handle as Contents["handles"][number]];
  });
  const { commands, access: cephAccess } = deps.cephNode;
  const records =
    commands === null ? null : await recordsOf(cluster, commands, { deadlineMs: callMs, signal });
  return {
    ...{ v: 1, name: options.cluster.name, at, key },
    generation: Math.max(1, journal.head()?.generation ?? 1),
    publicNetwork: cluster.publicNetwork() ?? "",
    voters: cluster.voters(),
    handles: [...new Set(handles)],
    etcd: snapshot,
    document: saved,
    ceph: cephAccess === null ? null : { access: cephAccess, records },
  };
}

const authDump = z.object({
  auth_dump: z.array(
    z.object({ entity: z.string(), key: z.string(), caps: z.record(z.string(), z.string()).default({}) }),
  ),
});
const configDump = z.array(
  z.object({ section: z.string(), name: z.string(), value: z.string(), mask: z.string().default("") }),
);

/** Null, with the reason in the log, while Ceph does not answer: the rest is worth keeping without. */
async function recordsOf(
  cluster: ClusterRuntime,
  ceph: CephCommands,
  call: CallOptions,
): Promise<CephRecords | null> {
  try {
    const [auth, settings, keyStore] = await Promise.all([
      ceph.run(["auth", "ls"], call),
      ceph.run(["config", "dump"], call),
      ceph.run(["config-key", "dump"], call),
    ]);
    return cephRecords.parse({
      auth: authDump.parse(auth).auth_dump,
      settings: configDump.parse(settings),
      keyStore: keyStore ?? {},
    });
  } catch (error) {
    call.signal?.throwIfAborted();
    cluster.deps.log.warn({ error: messageOf(error) }, "the backup has nothing of what the monitors keep");
    return null;
  }
}

/** Throws USAGE, BACKUP_REFUSED. */
async function checkTarget(path: string): Promise<void> {
  if (!isAbsolute(path)) throw new MicrocephError("USAGE", "the path of a backup is an absolute one");
  if (await exists(path)) throw new MicrocephError("BACKUP_REFUSED", `${path} is there already`);
  if (!(await exists(dirname(path)))) {
    throw new MicrocephError("BACKUP_REFUSED", `the folder ${dirname(path)} is not there`);
  }
}

/** All of it or nothing, and never over another file. */
async function writeNew(path: string, content: Buffer): Promise<void> {
  const work = join(dirname(path), `.microceph-backup-${process.pid}`);
  try {
    await writeFileAtomic(work, content, 0o600);
    await link(work, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
      throw new MicrocephError("BACKUP_REFUSED", `${path} is there already`);
    });
    await syncDirectory(dirname(path));
  } finally {
    await rm(work, { force: true });
  }
}
