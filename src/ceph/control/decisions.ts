import { z } from "zod";
import { fsid, handle, osdId, peerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import { nfsClusterId, nfsRank } from "../../ids/nfs.ts";
import type { Entry } from "../../state/journal/types.ts";
import { nfsSettings } from "../daemons/nfs-config.ts";

/** Bodies of the decisions about Ceph and its voters: the journal's wire format, so fields are only ever added. */
const brandedFsid = z.string().transform((value) => fsid(value));
const brandedHandle = z.string().transform((value) => handle(value));
const brandedPeer = z.string().transform((value) => peerId(value));
const address = z.union([z.ipv4(), z.ipv6()]);
const monitorAddress = z.object({ type: z.enum(["v1", "v2", "any"]), address: z.string().max(80) });

export const voterBody = z.object({
  peer: brandedPeer,
  handle: brandedHandle,
  /** Seat it anew: the etcd member with this id (decimal text) has lost its data and is taken out first. */
  replaces: z
    .string()
    .regex(/^\d{1,20}$/)
    .optional(),
});
/** Take a voter out of etcd. */
export const voterOutBody = z.object({ peer: brandedPeer, handle: brandedHandle });
export const bootstrapBody = z.object({
  fsid: brandedFsid,
  handle: brandedHandle,
  address,
  publicNetwork: z.string().max(1024),
  clusterNetwork: z.string().max(1024).nullable(),
  /** Monitors, and so all daemons, speak the second messenger protocol alone. */
  v2Only: z.boolean().optional(),
});
export const monitorBody = z.object({
  handle: brandedHandle,
  address,
  /** Epoch of the monitor map that the plan was made from. */
  monmapEpoch: z.int().min(1),
});
/** Give `client.admin` and `mon.` other keys, because of a member that is gone. */
export const rekeyBody = z.object({ peer: brandedPeer, handle: brandedHandle });
/** Take a monitor out of the monitor map that the plan was made from. */
export const monitorOutBody = z.object({
  peer: brandedPeer,
  handle: brandedHandle,
  monmapEpoch: z.int().min(1),
});
/** All monitors at once at the addresses that their hosts have now: the whole new map. */
export const renumberBody = z.object({
  publicNetwork: z.string().max(1024),
  clusterNetwork: z.string().max(1024).nullable(),
  monitors: z
    .array(
      z.object({
        name: brandedHandle,
        /** Whose agent injects the map; null for one that is away. */
        peer: brandedPeer.nullable(),
        addresses: z.array(monitorAddress).max(8),
      }),
    )
    .min(1)
    .max(50),
});
export type RenumberBody = z.infer<typeof renumberBody>;
/** All monitors are lost: one is made of what the OSDs have. `monitors` is that one alone. */
export const rebuildBody = renumberBody.extend({
  /** Where the new monitor is made, and runs. */
  builder: brandedPeer,
  handle: brandedHandle,
  /** Whose OSDs are asked, one host after the other. */
  hosts: z.array(z.object({ peer: brandedPeer, handle: brandedHandle })).max(1000),
  /** The wish that it follows from. */
  wish: z.string().max(64),
});
export type RebuildBody = z.infer<typeof rebuildBody>;
/** The networks that Ceph's daemons are told from now on. */
export const networksBody = renumberBody.pick({ publicNetwork: true, clusterNetwork: true }).extend({
  /** The wish that it follows from. */
  wish: z.string().max(64),
});
const port = z.int().min(1).max(65_535);
/** Where gateways speak TLS, and the certificate that they show, by its digest. */
export const gatewayTls = z.object({ port, certificate: z.string().regex(/^[0-9a-f]{64}$/) });
/** Run a daemon on a host; again with another port: it follows. */
export const daemonBody = z.discriminatedUnion("type", [
  z.object({ type: z.enum(["mgr", "mds", "rbd-mirror", "cephfs-mirror"]), handle: brandedHandle }),
  z.object({
    type: z.literal("rgw"),
    handle: brandedHandle,
    /** Null: only with TLS. */
    port: port.nullable(),
    tls: gatewayTls.optional(),
  }),
  z.object({
    type: z.literal("ingress"),
    handle: brandedHandle,
    vip: address,
    /** Bits of its network. */
    prefix: z.int().min(1).max(128),
    port,
    tlsPort: port.optional(),
    /** Where it is the address of NFS gateways, too. */
    nfsPort: port.optional(),
  }),
  nfsSettings.extend({
    type: z.literal("nfs"),
    handle: brandedHandle,
    /** Null: of a decision from before gateways had one; it is placed again. */
    rank: nfsRank.nullable().default(null),
  }),
]);
export type DaemonBody = z.infer<typeof daemonBody>;
/** Take a daemon off a host. */
export const daemonOutBody = z.object({
  type: z.enum(["mgr", "mds", "rgw", "nfs", "rbd-mirror", "cephfs-mirror", "ingress"]),
  handle: brandedHandle,
  /** Of an NFS gateway: what it was to clients. */
  nfs: z.object({ cluster: nfsClusterId, rank: nfsRank }).optional(),
});
/** One OSD, known by its uuid too: a number may be given to another one later. */
const oneOsd = {
  osd: z
    .int()
    .min(0)
    .transform((id) => osdId(id)),
  uuid: z.uuid(),
};
/** Let its data move to the others; the weight is what it had. */
export const osdDrainBody = z.object({ ...oneOsd, weight: z.number().min(0) });
/** Stop it on its host, where that is alive, and take it out of Ceph for good. */
export const osdPurgeBody = z.object({
  ...oneOsd,
  host: z.string().max(253).nullable(),
  /** Its number and its weight stay for the one that replaces it. */
  keepId: z.boolean().optional(),
});
export const failureDomainBody = z.object({
  from: z.enum(["osd", "host", "rack"]),
  to: z.enum(["osd", "host", "rack"]),
});
const bucketName = z.string().regex(/^[A-Za-z0-9_.-]{1,128}$/);
export const topologyBody = z.discriminatedUnion("op", [
  /** Put hosts below racks, or directly below the root; a rack is made when it is missing. */
  z.object({
    op: z.literal("place"),
    places: z.array(z.object({ bucket: bucketName, rack: bucketName.nullable() })).max(10_000),
  }),
  /** Take an empty bucket away. */
  z.object({ op: z.literal("remove"), bucket: bucketName }),
]);
export const poolProfileBody = z.object({
  size: z.int().min(1).max(10),
  minSize: z.int().min(1).max(10),
});

/** Kinds of decisions that this room plans and carries out. */
export const kinds = {
  voter: "quorum.voter",
  voterOut: "quorum.voter-out",
  bootstrap: "ceph.bootstrap",
  monitor: "ceph.mon",
  monitorOut: "ceph.mon-out",
  renumber: "ceph.renumber",
  rebuild: "ceph.mon-rebuild",
  rekey: "ceph.rekey",
  networks: "ceph.networks",
  daemon: "ceph.daemon",
  daemonOut: "ceph.daemon-out",
  failureDomain: "ceph.failure-domain",
  poolProfile: "ceph.pool-profile",
  topology: "ceph.topology",
  osdDrain: "ceph.osd-drain",
  osdRefill: "ceph.osd-refill",
  osdPurge: "ceph.osd-purge",
} as const;

/** Lanes of the seats: what concerns all of them takes in both the votes and the monitors. */
export const lanes = {
  seats: "seats",
  votes: "seats/votes",
  monitors: "seats/monitors",
  rebuild: "rebuild",
} as const;

/** The lane of an entry: entries of one lane follow each other. */
export function laneOf(entry: Pick<Entry, "kind" | "body">): string {
  switch (entry.kind) {
    // One change of the voters at a time, and one of the monitors: etcd and Ceph each count for themselves.
    case kinds.voter:
    case kinds.voterOut:
      return lanes.votes;
    case kinds.bootstrap:
    case kinds.monitor:
    case kinds.monitorOut:
      return lanes.monitors;
    case kinds.renumber:
    case kinds.rekey:
    case kinds.networks:
      return lanes.seats;
    // Not behind the changes that wait for the monitors: those wait for this.
    case kinds.rebuild:
      return lanes.rebuild;
    case kinds.daemon: {
      const { type, handle: name } = daemonBody.parse(entry.body);
      return `${type}.${name}`;
    }
    case kinds.daemonOut: {
      const { type, handle: name } = daemonOutBody.parse(entry.body);
      return `${type}.${name}`;
    }
    case kinds.osdDrain:
    case kinds.osdRefill:
    case kinds.osdPurge:
      return `osd ${osdPurgeBody.pick({ uuid: true }).safeParse(entry.body).data?.uuid}`;
    case kinds.failureDomain:
    case kinds.poolProfile:
    case kinds.topology:
      return "crush";
    default:
      return `${entry.kind} ${subjectOf(entry.body)}`;
  }
}

function subjectOf(body: Json): string {
  const subject = body !== null && typeof body === "object" && !Array.isArray(body) ? body.peer : undefined;
  return typeof subject === "string" ? subject : JSON.stringify(body);
}

/** What any Ceph daemon or client of a node needs to reach the cluster; handed over with orders, never journaled. */
export const cephAccess = z.object({
  fsid: brandedFsid,
  adminKey: z.string().min(1).max(200),
  publicNetwork: z.string().max(1024),
  clusterNetwork: z.string().max(1024).nullable(),
  monitors: z
    .array(
      z.object({
        name: z.string().max(64),
        addresses: z.array(monitorAddress).max(8),
      }),
    )
    .max(50),
});
export type CephAccess = z.infer<typeof cephAccess>;

/** A certificate chain and its key, both PEM. */
export const certificatePair = z.object({
  certificate: z.string().min(1).max(65_536),
  key: z.string().min(1).max(65_536),
});
export type CertificatePair = z.infer<typeof certificatePair>;

export const renumberPayload = z.object({ access: cephAccess });
export const rebuildPayload = z.object({ access: cephAccess, monKey: z.string().min(1).max(200) });
export const rekeyPayload = z.object({ access: cephAccess, monKey: z.string().min(1).max(200) });
export const bootstrapPayload = z.object({ adminKey: z.string(), monKey: z.string() });
export const monitorPayload = z.object({
  access: cephAccess,
  monKey: z.string().max(200),
});
export const daemonPayload = z.object({
  access: cephAccess,
  /** Empty for what is no client of Ceph. */
  key: z.string().max(200),
  tls: certificatePair.optional(),
});
export const voterPayload = z.object({
  /** All etcd members with the new one, by handle. */
  members: z.array(z.object({ handle: brandedHandle, peer: brandedPeer })).max(20),
});
