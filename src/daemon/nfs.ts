import type {
  disableNfsRequest,
  enableNfsRequest,
  NfsExportRow,
  nfsExportRequest,
} from "../api/contract/nfs.ts";
import type { Shape } from "../api/contract/shape.ts";
import type { Condition } from "../api/contract/status.ts";
import {
  exportId,
  exportKey,
  exportsOf,
  hiddenExports,
  refuseHiddenClients,
  shownExports,
} from "../ceph/control/nfs-exports.ts";
import { isNfsFronted } from "../ceph/control/placed-wish.ts";
import type { NfsExport } from "../ceph/daemons/nfs-config.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import type { Daemon } from "./daemon.ts";
import { listFileSystems } from "./file-systems.ts";
import {
  ingressPorts,
  putWish,
  refuseSamePorts,
  targetsOf,
  unwant,
  wishOf,
  zoneOf,
} from "./placed-services.ts";
import { runtimeOf } from "./runtime-of.ts";

const defaultPort = 2049;
const defaultMinVersion = 1;
const anyAddress: readonly string[] = ["0.0.0.0", "::"];

/** Want NFS gateways. Throws NOT_FOUND, AMBIGUOUS_NODE, NAME_TAKEN, USAGE. @returns what the job waits for */
export function wantNfs(daemon: Daemon, asked: Shape<typeof enableNfsRequest>): Json {
  const cluster = runtimeOf(daemon);
  const before = wishOf(cluster, "nfs");
  checkName(before?.cluster, asked.cluster_id);
  const { bind_address: bind } = asked;
  const port = asked.bind_port ?? before?.port ?? defaultPort;
  refuseSamePorts([port], ingressPorts(wishOf(cluster, "ingress")));
  return putWish(cluster, "nfs", {
    cluster: asked.cluster_id,
    port,
    bind: bind === undefined ? (before?.bind ?? null) : anyAddress.includes(bind) ? null : bind,
    minVersion: asked.v4_min_version ?? before?.minVersion ?? defaultMinVersion,
    targets: targetsOf(cluster, asked, before ?? { targets: [], count: 0 }),
    count: asked.count ?? before?.count ?? 0,
    ...zoneOf(asked.zone, before?.zone),
  });
}

/** Throws NOT_FOUND, NAME_TAKEN. @returns what the job waits for */
export function unwantNfs(daemon: Daemon, asked: Shape<typeof disableNfsRequest>): Json {
  if (asked.cluster_id !== undefined) {
    checkName(wishOf(runtimeOf(daemon), "nfs")?.cluster, asked.cluster_id);
  }
  return unwant(daemon, "nfs", asked);
}

/** All gateways show the same exports: one that another name is asked of would surprise somebody. */
function checkName(present: string | undefined, asked: string): void {
  if (present === undefined || present === asked) return;
  throw new MicrocephError("NAME_TAKEN", `the NFS service is ${present}, and there is one only`, {
    data: { cluster: present },
  });
}

/** Exports of all NFS gateways, in the order of their paths. */
export function listExports(cluster: ClusterRuntime): NfsExportRow[] {
  return exportsOf(cluster.document.view().services).map(rowOf);
}

/**
 * Show a folder of a file system to NFS clients; asked again with the same words it changes nothing. Throws NOT_FOUND,
 * NAME_TAKEN, NFS_CLIENTS_HIDDEN.
 */
export async function createExport(
  cluster: ClusterRuntime,
  asked: Shape<typeof nfsExportRequest>,
  signal: AbortSignal,
): Promise<NfsExportRow> {
  const { pseudo_path: pseudo, fs, path, read_only: readOnly, squash, clients } = asked;
  if (isNfsFronted(cluster.document.view().services)) refuseHiddenClients([{ pseudo, clients }]);
  const known = (await listFileSystems(cluster, signal)).map(({ name }) => name);
  if (!known.includes(fs)) {
    throw new MicrocephError("NOT_FOUND", `there is no file system ${fs}`, { data: { name: fs } });
  }
  const there = exportsOf(cluster.document.view().services);
  const same = there.find((one) => one.pseudo === pseudo);
  const id = same?.id ?? exportId(pseudo, new Set(there.map((one) => one.id)));
  const made: NfsExport = { id, pseudo, fs, path, readOnly, squash, clients: [...clients] };
  if (same !== undefined && JSON.stringify(rowOf(same)) !== JSON.stringify(rowOf(made))) {
    throw new MicrocephError("NAME_TAKEN", `${pseudo} shows ${same.path} of ${same.fs} already`, {
      data: { pseudo_path: pseudo },
    });
  }
  cluster.document.setService(exportKey(pseudo), made as unknown as Json);
  return rowOf(made);
}

/** Throws NOT_FOUND. @returns what it was */
export function removeExport(cluster: ClusterRuntime, pseudo: string): NfsExportRow {
  const one = exportsOf(cluster.document.view().services).find((each) => each.pseudo === pseudo);
  if (one === undefined) throw new MicrocephError("NOT_FOUND", `nothing is exported as ${pseudo}`);
  cluster.document.setService(exportKey(pseudo), null);
  return rowOf(one);
}

/** What clients ask for in vain, although it was exported. */
export function exportConditions(services: Readonly<Record<string, Json>>): Condition[] {
  const shown = shownExports(services);
  const reasons = [
    ...hiddenExports(shown).map(({ pseudo, behind }) => ({
      pseudo,
      why: `it was given the number of ${behind}, which was made at the same time; remove it, and create it again: microceph nfs export`,
    })),
    ...exportsOf(services)
      .filter(({ pseudo }) => !shown.some((one) => one.pseudo === pseudo))
      .map(({ pseudo }) => ({
        pseudo,
        why: "it is for some clients only, and at the common address gateways cannot tell who asks; create it again for all (microceph nfs export), or take NFS off the address (microceph enable ingress --service)",
      })),
  ];
  return reasons.map(({ pseudo, why }) => ({
    ...{ code: "NFS_EXPORT_HIDDEN", severity: "warning" },
    text: `no NFS gateway shows ${pseudo}: ${why}`,
  }));
}

/** Throws FILE_SYSTEM_EXPORTED: what clients have mounted is not taken from under them. */
export function refuseExported(cluster: ClusterRuntime, fs: string): void {
  const shown = listExports(cluster).filter((one) => one.fs === fs);
  if (shown.length === 0) return;
  const paths = shown.map((one) => one.pseudo_path);
  throw new MicrocephError("FILE_SYSTEM_EXPORTED", `${fs} is exported by NFS as ${paths.join(", ")}`, {
    data: { name: fs, paths },
  });
}

function rowOf({ pseudo, fs, path, readOnly, squash, clients }: NfsExport): NfsExportRow {
  return { pseudo_path: pseudo, fs, path, read_only: readOnly, squash, clients: [...clients] };
}
