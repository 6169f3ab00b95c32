import { z } from "zod";
import { nfsClient, nfsClusterId, nfsPath, nfsSquash } from "../../ids/nfs.ts";
import { disableServiceRequest, enableGatewayRequest } from "./placed-services.ts";
import type { Shape } from "./shape.ts";

export const enableNfsRequest = enableGatewayRequest.pick({ targets: true, count: true, zone: true }).extend({
  cluster_id: nfsClusterId.describe("name of the service; there is one of them"),
  bind_address: z
    .union([z.ipv4(), z.ipv6()])
    .optional()
    .describe("as before when it is left out, at first all of a host's; 0.0.0.0: all"),
  bind_port: z.int().min(1).max(65_535).optional().describe("as before when it is left out; 2049 at first"),
  v4_min_version: z
    .int()
    .min(0)
    .max(2)
    .optional()
    .describe("lowest minor version of NFS 4; as before when it is left out, 1 at first"),
});
export const disableNfsRequest = disableServiceRequest.extend({ cluster_id: nfsClusterId.optional() });

const pseudo = nfsPath.refine((path) => path !== "/", "a path below /");

export const nfsExportRow = z.object({
  pseudo_path: nfsPath.describe("the path by which clients know it"),
  fs: z.string(),
  path: nfsPath.describe("the folder of the file system that they see"),
  read_only: z.boolean(),
  squash: nfsSquash.describe("whose requests are made as nobody's: none's, root's, or all"),
  clients: z.array(nfsClient).describe("addresses and networks that may mount it; none: all"),
});
export type NfsExportRow = Shape<typeof nfsExportRow>;

export const nfsExportRequest = z.strictObject({
  pseudo_path: pseudo,
  fs: z.string().min(1).max(200),
  path: nfsPath.default("/"),
  read_only: z.boolean().default(false),
  squash: nfsSquash.default("none"),
  clients: z.array(nfsClient).max(64).default([]),
});
export const nfsExportRemoval = z.strictObject({ pseudo_path: pseudo });
