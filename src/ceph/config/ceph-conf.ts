import { isIPv6 } from "node:net";
import { MicrocephError } from "../../errors/microceph-error.ts";
import type { Fsid, Handle } from "../../ids/ids.ts";
import type { CephPaths } from "./ceph-paths.ts";
import { monitorAddressVector } from "./monitor-address.ts";

export interface CephConfInput {
  readonly fsid: Fsid;
  /** This node's handle: its host bucket in CRUSH. */
  readonly handle: Handle;
  /** This node's address in the public network; null leaves the choice to Ceph. */
  readonly address: string | null;
  /** From the live monmap: each with an IP address, or with the exact vector that the map has. */
  readonly monitors: readonly { readonly name: string; readonly address: string; readonly vector?: string }[];
  /** CIDR, or a comma list of them. */
  readonly publicNetwork: string;
  /** Default: the public network. */
  readonly clusterNetwork?: string;
  readonly paths: CephPaths;
  /** Daemons do not speak the first messenger protocol. */
  readonly v2Only?: boolean;
  /** This node's monitor is joining the others. */
  readonly joining?: boolean;
  /** What clients on this host are told, by option. */
  readonly client?: Readonly<Record<string, string>>;
  /** Text of a further configuration file, whose sections follow ours and win over them. */
  readonly extra?: string;
}

/** How often a monitor that joins asks the others whether it was let in. */
export const joiningProbeSeconds = "0.1";

/** `ceph.conf` of one node. Pure: the same input gives the same text, whatever the order of the monitors. */
export function renderCephConf(input: CephConfInput): string {
  const { paths, handle } = input;
  const monitors = [...input.monitors].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  if (monitors.length === 0) throw new MicrocephError("USAGE", "a ceph.conf needs at least one monitor");
  const networks = input.publicNetwork.split(",").map((network) => network.trim());
  const sixth = networks.some((network) => isIPv6(network.split("/")[0] ?? ""));
  const fourth = networks.some((network) => !isIPv6(network.split("/")[0] ?? ""));
  const own = input.address === null ? [] : [["public addr", input.address] as const];
  const sections: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
    [
      "global",
      [
        ["fsid", input.fsid],
        [
          "mon host",
          monitors.map(({ address, vector }) => vector ?? monitorAddressVector(address)).join(","),
        ],
        ["public network", networks.join(",")],
        ["cluster network", input.clusterNetwork ?? networks.join(",")],
        ["ms bind ipv4", String(fourth)],
        ["ms bind ipv6", String(sixth)],
        ...(input.v2Only ? [["ms bind msgr1", "false"] as const] : []),
        ["auth allow insecure global id reclaim", "false"],
        // Ceph tracker 70390: elastic shared blobs can corrupt data. Unknown to older releases, which ignore it.
        ["bluestore elastic shared blobs", "false"],
        ["run dir", paths.run],
        ["pid file", `${paths.run}/$name.pid`],
        ["admin socket", `${paths.run}/$cluster-$name.asok`],
        ["log file", `${paths.logs}/$cluster-$name.log`],
        ["mon cluster log file", `${paths.logs}/$cluster.$channel.log`],
        ["crash dir", paths.crash],
        ["keyring", `${paths.conf}/$cluster.$name.keyring`],
      ],
    ],
    [
      "mon",
      [
        ["mon data", `${paths.data}/mon/$cluster-$id`],
        ["keyring", `${paths.data}/mon/$cluster-$id/keyring`],
        // Not restful, which Ceph has given up and which fails where cryptography is loaded twice (ADR 22).
        ["mgr initial modules", "iostat"],
        // A monitor that joins is let in at once, and learns of it only when it asks again: after 2 s by default, in
        // which a second monitor costs the first its quorum.
        ...(input.joining ? [["mon probe timeout", joiningProbeSeconds] as const] : []),
      ],
    ],
    ["mgr", [["mgr data", `${paths.data}/mgr/$cluster-$id`], ["keyring", "$mgr_data/keyring"], ...own]],
    ["mds", [["mds data", `${paths.data}/mds/$cluster-$id`], ["keyring", "$mds_data/keyring"], ...own]],
    [
      "osd",
      [
        ["osd data", `${paths.data}/osd/$cluster-$id`],
        ["keyring", "$osd_data/keyring"],
        ["crush location", `root=default host=${handle}`],
        // A store that is made, started or stopped closes its device up to sixteen times, and waits for a look at it
        // each time: 250 ms by default. A hundred OSDs that look more often take a few percent of one core.
        ["bdev aio poll ms", "25"],
        ...own,
      ],
    ],
    [
      "client",
      [
        // Each client its own socket: a shared one makes two concurrent runs complain on stderr.
        ["admin socket", `${paths.run}/$cluster-$name.$pid.asok`],
        ...Object.entries(input.client ?? {}).map(
          ([key, value]) => [key.replaceAll("_", " "), value] as const,
        ),
      ],
    ],
  ];
  const text = sections.map(
    ([name, entries]) => `[${name}]\n${entries.map(([key, value]) => entry(key, value)).join("")}`,
  );
  const extra = input.extra?.trim() ?? "";
  const head = "# Written by microcephd from the live monitor map; changes here are overwritten.\n";
  return `${head}${text.join("\n")}${extra === "" ? "" : `\n# From the extra configuration file:\n${extra}\n`}`;
}

/** Options that every `ceph.conf` says, or that belong to one daemon: set elsewhere they would say nothing. */
export const optionsOfCephConf: ReadonlySet<string> = new Set([
  ...[
    "fsid",
    "mon_host",
    "mon_initial_members",
    "public_network",
    "cluster_network",
    "public_addr",
    "cluster_addr",
  ],
  ...[
    "ms_bind_ipv4",
    "ms_bind_ipv6",
    "ms_bind_msgr1",
    "auth_allow_insecure_global_id_reclaim",
    "bluestore_elastic_shared_blobs",
    "bdev_aio_poll_ms",
    "mon_probe_timeout",
  ],
  ...[
    "run_dir",
    "pid_file",
    "admin_socket",
    "log_file",
    "mon_cluster_log_file",
    "crash_dir",
    "keyring",
    "key",
    "keyfile",
  ],
  ...[
    "mgr_initial_modules",
    "mon_data",
    "mgr_data",
    "mds_data",
    "osd_data",
    "rgw_data",
    "crush_location",
    "rgw_frontends",
  ],
]);

function entry(key: string, value: string): string {
  // A value that could open a second line or a comment would say something else to Ceph than to us.
  if (/[\n\r;#]/.test(value)) {
    throw new MicrocephError("USAGE", `not a value for ceph.conf: ${key}`, { data: { key } });
  }
  return `${key} = ${value}\n`;
}
