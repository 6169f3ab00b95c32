import { z } from "zod";
import type { ExportReply, exportRequest, importRequest, RemoteRow } from "../api/contract/replication.ts";
import type { Shape } from "../api/contract/shape.ts";
import type { CallOptions, CephCommands } from "../ceph/command/commands.ts";
import { CephProgram, type ForeignAccess } from "../ceph/command/rbd.ts";
import { isCephKey } from "../ceph/config/keyring.ts";
import { addressVector } from "../ceph/config/monitor-address.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import { commandsOf } from "./runtime-of.ts";

const callMs = 30_000;

/**
 * What another site is given: Ceph's own choice. `profile rbd` opens every pool; monitors heed no tags (snapshots). Files
 * are written by it, too, with quotas, layouts and snapshots; `allow r` shows no monitor's keys.
 */
const peerCapabilities = {
  mon: "allow r, profile rbd-mirror-peer",
  mds: "allow rwps",
  osd: "profile rbd, allow rw tag cephfs *=*",
} as const;
const secretPrefix = "microceph/remote/";
/** The manager that mirrors files takes a name without another dot. */
const entityPrefix = "client.remote-";

/** How a site is reached. A token is this in JSON, in base64. */
const access = z.object({
  fsid: z.uuid(),
  monHost: z.string().regex(/^[0-9A-Za-z:.,/[\]]{1,2000}$/),
  /** Without `client.`. */
  client: z.string().regex(/^remote-[a-z0-9]{1,63}$/),
  key: z.string().refine(isCephKey),
  /** What the site that imports it is called there. */
  importer: z.string().regex(/^[a-z0-9]{1,63}$/),
});
type Remote = z.infer<typeof access>;

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64");

/** How another site reaches this one; its key is made when it has none. */
export async function accessFor(
  cluster: ClusterRuntime,
  remote: string,
  call: CallOptions,
): Promise<ForeignAccess> {
  const monitors = cluster.deps.cephNode.access?.monitors ?? [];
  const key = await commandsOf(cluster).authGetOrCreate(`${entityPrefix}${remote}`, peerCapabilities, call);
  const monHost = monitors.map(({ addresses }) => addressVector(addresses)).join(",");
  return { monHost, client: `${entityPrefix.slice("client.".length)}${remote}`, key };
}

/** A token with which another site reaches this one: to mirror images. Idempotent. */
export async function exportCluster(
  cluster: ClusterRuntime,
  { remote }: Shape<typeof exportRequest>,
  signal: AbortSignal,
): Promise<ExportReply> {
  const given = await accessFor(cluster, remote, { deadlineMs: callMs, signal });
  const { fsid } = cluster.deps.cephNode.access ?? {};
  return { remote, token: encoded({ fsid, ...given, importer: remote }) };
}

/** Throws USAGE for what is none. */
export function readToken(token: string): Remote {
  try {
    return access.parse(JSON.parse(Buffer.from(token.trim(), "base64").toString("utf8")));
  } catch (error) {
    throw new MicrocephError("USAGE", "that is no token of `microceph cluster export`", { cause: error });
  }
}

/** Keep how a site is reached, once it has answered. Throws USAGE, NAME_TAKEN, CEPH_REFUSED, DEADLINE_EXCEEDED. */
export async function importRemote(
  cluster: ClusterRuntime,
  name: string,
  { token, local_name }: Shape<typeof importRequest>,
  signal: AbortSignal,
): Promise<RemoteRow> {
  const ceph = commandsOf(cluster);
  const call = { deadlineMs: callMs, signal };
  const remote = readToken(token);
  if (remote.fsid === cluster.deps.cephNode.access?.fsid) {
    throw new MicrocephError("USAGE", "that token is of this cluster itself");
  }
  if (remote.importer !== local_name) {
    throw new MicrocephError(
      "USAGE",
      `that token was made for a site called ${remote.importer}, not ${local_name}`,
    );
  }
  if (name === local_name) throw new MicrocephError("USAGE", "two sites need two names");
  const before = await readRemote(ceph, name, call);
  if (before !== null && before.fsid !== remote.fsid) {
    throw new MicrocephError(
      "NAME_TAKEN",
      `${name} is another site already: microceph remote remove ${name}`,
    );
  }
  const said = await CephProgram.foreign(cluster.deps.cephNode.deps.paths, remote, (site) =>
    site.text("ceph", ["--connect-timeout", "10", "fsid"], call),
  );
  if (said.trim() !== remote.fsid)
    throw new MicrocephError("USAGE", "another cluster answers at these addresses");
  await ceph.setSecret(`${secretPrefix}${name}`, encoded(remote), call);
  const exported = await exportedTo(ceph, call);
  return { name, local_name, imported: true, exported: exported.includes(name) };
}

async function readRemote(ceph: CephCommands, name: string, call: CallOptions): Promise<Remote | null> {
  const text = await ceph.secret(`${secretPrefix}${name}`, call);
  return text === undefined ? null : readToken(text);
}

/** How a site is reached. Throws NOT_FOUND. */
export async function remoteOf(ceph: CephCommands, name: string, call: CallOptions): Promise<Remote> {
  const remote = await readRemote(ceph, name, call);
  if (remote === null) {
    throw new MicrocephError(
      "NOT_FOUND",
      `no site ${name} is imported: microceph remote import ${name} TOKEN`,
    );
  }
  return remote;
}

async function exportedTo(ceph: CephCommands, call: CallOptions): Promise<string[]> {
  const answer = await ceph.run(["auth", "ls"], call);
  const { auth_dump } = z.object({ auth_dump: z.array(z.object({ entity: z.string() })) }).parse(answer);
  return auth_dump.flatMap(({ entity }) =>
    entity.startsWith(entityPrefix) ? [entity.slice(entityPrefix.length)] : [],
  );
}

/** Sites that this one reaches, or that were given a key of it, in the order of their names. */
export async function listRemotes(cluster: ClusterRuntime, signal: AbortSignal): Promise<RemoteRow[]> {
  const ceph = commandsOf(cluster);
  const call = { deadlineMs: callMs, signal };
  const [keys, exported] = await Promise.all([
    ceph.run(["config-key", "ls"], call).then((said) => z.array(z.string()).parse(said)),
    exportedTo(ceph, call),
  ]);
  const imported = keys.flatMap((key) =>
    key.startsWith(secretPrefix) ? [key.slice(secretPrefix.length)] : [],
  );
  return Promise.all(
    [...new Set([...imported, ...exported])].sort().map(async (name) => ({
      ...{ name, local_name: (await readRemote(ceph, name, call))?.importer ?? null },
      ...{ imported: imported.includes(name), exported: exported.includes(name) },
    })),
  );
}

/** Neither side reaches the other any more. Nothing may be mirrored with it: that is for the caller to see. Idempotent. */
export async function forgetRemote(ceph: CephCommands, name: string, call: CallOptions): Promise<void> {
  await ceph.removeSecret(`${secretPrefix}${name}`, call);
  await ceph.authRemove(`${entityPrefix}${name}`, call);
}
