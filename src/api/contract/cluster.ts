import { z } from "zod";
import { presence } from "./mesh.ts";
import { name, type Shape, time } from "./shape.ts";

const networks = z
  .string()
  .min(1)
  .max(1024)
  .describe("CIDR of a subnet of this node; with those of other members between commas");

/** Found a cluster on this node; every field has a default. The job's result: {cluster, fsid}. */
export const bootstrapRequest = z.strictObject({
  name: name.optional(),
  microcephIp: z.union([z.ipv4(), z.ipv6()]).optional(),
  monIp: z.union([z.ipv4(), z.ipv6()]).optional(),
  publicNetwork: networks.optional(),
  clusterNetwork: networks.optional(),
  availabilityZone: z
    .string()
    .regex(/^[a-zA-Z0-9_.-]{1,63}$/)
    .optional(),
  v2Only: z.boolean().optional().describe("daemons speak the second messenger protocol alone"),
});

/** One row of `microceph cluster list`. */
export const clusterMember = z.object({
  name,
  address: z.string().describe("host:port"),
  role: z.enum(["voter", "stand-by", "spare", "PENDING"]),
  fingerprint: z.string(),
  status: z.enum(["ONLINE", "UNREACHABLE", "NOT FOUND", "UPGRADING", "NEEDS UPGRADE"]),
  presence,
  last_heartbeat: time.nullable(),
});
export type ClusterMember = Shape<typeof clusterMember>;
