import { z } from "zod";
import { MicrocephError } from "../../errors/microceph-error.ts";
import {
  type NfsIdentity,
  nfsClient,
  nfsClusterId,
  nfsName,
  nfsPath,
  nfsSquash,
  nfsUser,
} from "../../ids/nfs.ts";

const port = z.int().min(1).max(65_535);
const address = z.union([z.ipv4(), z.ipv6()]);
/** What a gateway is told: where it listens, and which versions of NFS it speaks. */
export const nfsSettings = z.object({
  cluster: nfsClusterId,
  port,
  /** Null: all of the host's addresses. */
  bind: address.nullable(),
  /** Lowest minor version of NFS 4. */
  minVersion: z.int().min(0).max(2),
});
export type NfsSettings = z.infer<typeof nfsSettings>;

/** A folder of a file system that clients can mount (ganesha-export-config(8)). */
export const nfsExport = z.object({
  /** Part of the handles that clients hold, so the same at every gateway, and for good. */
  id: z.int().min(1).max(65_535),
  /** The path by which clients know it. */
  pseudo: nfsPath,
  fs: z.string().regex(/^[A-Za-z0-9._-]{1,200}$/),
  path: nfsPath,
  readOnly: z.boolean(),
  squash: nfsSquash,
  /** None: whoever reaches the gateway. */
  clients: z.array(nfsClient).max(64),
});
export type NfsExport = z.infer<typeof nfsExport>;

/** Where gateways keep who may claim locks again; in a namespace of the service's name. */
export const nfsPool = ".nfs";

const squashWords = { none: "No_Root_Squash", root: "Root_Squash", all: "All_Squash" } as const;
const versions = [0, 1, 2];

/**
 * Configuration of `ganesha.nfsd` (ganesha-config(8), ganesha-core-config(8), ganesha-ceph-config(8)). Which clients may
 * claim locks again, it keeps in RADOS under the number of its `rank`; clients and metadata servers know it by names
 * that say nothing of its host. `conf`: path of ceph.conf.
 */
export function ganeshaConfig(
  settings: NfsSettings,
  exports: readonly NfsExport[],
  own: { readonly rank: number; readonly conf: string },
): string {
  const identity: NfsIdentity = { cluster: settings.cluster, rank: own.rank };
  const user = nfsUser(identity);
  if (!/^[A-Za-z0-9._-]+$/.test(user) || !/^\/[A-Za-z0-9._/-]+$/.test(own.conf)) {
    throw new MicrocephError("USAGE", "not a name or file for an NFS gateway", { data: { user, ...own } });
  }
  const { port: at, bind, minVersion } = settings;
  const seen = new Set<number>();
  const blocks = [...exports]
    .sort((a, b) => (a.pseudo < b.pseudo ? -1 : 1))
    // Two that were made at once on two nodes may have one number: the gateway would refuse both.
    .filter(({ id }) => !seen.has(id) && seen.add(id))
    .map((one) => exportBlock(one, user));
  return [
    "# Written by microcephd; changes here are overwritten.",
    "NFS_CORE_PARAM {",
    // What it keeps in RADOS is named by its number (-I), not by its host.
    "\tClustered = true;",
    "\tEnable_NLM = false;",
    "\tEnable_RQUOTA = false;",
    "\tProtocols = 4;",
    `\tNFS_Port = ${at};`,
    ...(bind === null ? [] : [`\tBind_Addr = ${bind};`]),
    "}",
    "NFSv4 {",
    "\tDelegations = false;",
    // As clients send them: users need no name that both sides know.
    "\tOnly_Numeric_Owners = true;",
    "\tRecoveryBackend = rados_ng;",
    `\tServer_Owner = "${nfsName(identity)}";`,
    `\tServer_Scope = "${settings.cluster}";`,
    `\tMinor_Versions = ${versions.filter((version) => version >= minVersion).join(", ")};`,
    "}",
    "RADOS_KV {",
    `\tceph_conf = "${own.conf}";`,
    `\tuserid = "${user}";`,
    `\tnodeid = "${nfsName(identity)}";`,
    `\tpool = "${nfsPool}";`,
    `\tnamespace = "${settings.cluster}";`,
    "}",
    // Without it the host's name is looked up twice, ten seconds each, before it serves.
    "NFS_KRB5 {",
    "\tActive_krb5 = false;",
    "}",
    "EXPORT_DEFAULTS {",
    "\tProtocols = 4;",
    "\tTransports = TCP;",
    "\tSecType = sys;",
    "}",
    ...blocks,
    "",
  ].join("\n");
}

function exportBlock(one: NfsExport, user: string): string {
  const access = one.readOnly ? "RO" : "RW";
  const isOpen = one.clients.length === 0;
  const squash = `Squash = ${squashWords[one.squash]};`;
  return [
    "EXPORT {",
    `\tExport_Id = ${one.id};`,
    `\tPseudo = "${one.pseudo}";`,
    `\tPath = "${one.path}";`,
    `\tAccess_Type = ${isOpen ? access : "None"};`,
    `\t${squash}`,
    "\tFSAL {",
    "\t\tName = CEPH;",
    `\t\tUser_Id = "${user}";`,
    `\t\tFilesystem = "${one.fs}";`,
    "\t}",
    ...(isOpen
      ? []
      : [
          "\tCLIENT {",
          `\t\tClients = ${one.clients.join(", ")};`,
          `\t\tAccess_Type = ${access};`,
          `\t\t${squash}`,
          "\t}",
        ]),
    "}",
  ].join("\n");
}
