import { z } from "zod";
import { name, type Shape, text } from "./shape.ts";

const networks = z.string().min(1).max(1024);

/** What is not given stays as it is. */
export const networksChange = z.strictObject({
  publicNetwork: networks
    .optional()
    .describe("subnets (CIDR, comma list) in which monitors, OSDs and clients meet"),
  clusterNetwork: networks
    .nullable()
    .optional()
    .describe("subnets (CIDR, comma list) for the OSDs among themselves; null: the public network"),
  skip_restart: z
    .boolean()
    .default(false)
    .describe("restart nothing: OSDs use another cluster network after their next start"),
});

export const networksShown = z.object({
  publicNetwork: networks,
  clusterNetwork: networks.nullable(),
  members: z.array(
    z.object({
      node: name,
      /** Addresses that Ceph's daemons on it have; null: it has none in that network. */
      public: z.string().nullable(),
      cluster: z.string().nullable(),
      addresses: z.array(z.string()),
    }),
  ),
});
export type NetworksShown = Shape<typeof networksShown>;

/** Result of the job. */
export const networksReply = z.object({
  publicNetwork: text,
  clusterNetwork: text.nullable(),
  restarted: z.array(z.string()),
  /** OSDs use the cluster network that they started with. */
  pending: z.boolean(),
});
export type NetworksReply = Shape<typeof networksReply>;
