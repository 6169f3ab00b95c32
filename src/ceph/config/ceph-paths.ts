import { Buffer } from "node:buffer";
import { join } from "node:path";
import { MicrocephError } from "../../errors/microceph-error.ts";

/** Kinds of daemons that have a data directory of their own: Ceph's, and the ingress before its gateways. */
export type CephDaemonType =
  | "mon"
  | "mgr"
  | "mds"
  | "osd"
  | "rgw"
  | "nfs"
  | "rbd-mirror"
  | "cephfs-mirror"
  | "ingress";

/** Where everything of one node's Ceph lives, below the node's state directory. */
export interface CephPaths {
  readonly state: string;
  readonly conf: string;
  readonly cephConf: string;
  readonly adminKeyring: string;
  /** The same key under the name that MicroCeph's integrations look for. */
  readonly cephKeyring: string;
  readonly data: string;
  readonly run: string;
  readonly logs: string;
  readonly crash: string;
  readonly supervisors: string;
  /** Where a monitor's store is put together of what OSDs know; it has their keys. */
  readonly rebuild: string;
  /** Data directory of a daemon, `<state>/data/osd/ceph-3`. */
  dataDir(type: CephDaemonType, id: string | number): string;
  /** Admin socket of a daemon, `<state>/run/ceph-osd.3.asok`. */
  adminSocket(type: CephDaemonType, id: string | number): string;
}

export function cephPaths(state: string): CephPaths {
  const conf = join(state, "conf");
  const data = join(state, "data");
  const run = join(state, "run");
  return {
    state,
    conf,
    cephConf: join(conf, "ceph.conf"),
    adminKeyring: join(conf, "ceph.client.admin.keyring"),
    cephKeyring: join(conf, "ceph.keyring"),
    data,
    run,
    logs: join(state, "logs"),
    crash: join(data, "crash"),
    supervisors: join(state, "supervisors"),
    rebuild: join(state, "monitor-rebuild"),
    dataDir: (type, id) => join(data, type, `ceph-${id}`),
    adminSocket: (type, id) => join(run, `ceph-${type}.${id}.asok`),
  };
}

/** Longest path of a Unix socket: sun_path holds 108 bytes with the closing NUL (unix(7)). */
export const socketPathLimit = 107;

/**
 * Throws PATH_TOO_LONG when a socket of this node would not fit. The longest are those of the clients,
 * `ceph-client.admin.<pid>.<address>.asok`, and of a daemon with a long handle.
 */
export function checkSocketPaths(paths: CephPaths, handle: string): void {
  refuseLonger([
    paths.adminSocket("mon", handle),
    join(paths.run, "ceph-client.admin.4194304.asok"),
    paths.adminSocket("osd", 99999),
  ]);
}

/** As above for what copies images or folders of or to other sites: nodes without one may have longer handles. */
export function checkMirrorSocket(
  paths: CephPaths,
  type: "rbd-mirror" | "cephfs-mirror",
  handle: string,
): void {
  // The one is named as a client's, after its process; the other is told where (`mirrorSpec`).
  const socket =
    type === "rbd-mirror"
      ? join(paths.run, `ceph-client.rbd-mirror.${handle}.4194304.asok`)
      : paths.adminSocket(type, handle);
  refuseLonger([socket]);
}

function refuseLonger(sockets: readonly string[]): void {
  for (const path of sockets) {
    const bytes = Buffer.byteLength(path);
    if (bytes > socketPathLimit) {
      throw new MicrocephError(
        "PATH_TOO_LONG",
        `the socket ${path} would have a path of ${bytes} bytes; Linux allows ${socketPathLimit}`,
        { data: { path, bytes, limit: socketPathLimit } },
      );
    }
  }
}
