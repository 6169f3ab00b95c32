import { z } from "zod";
import { isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import { nfsSettings } from "../daemons/nfs-config.ts";
import { gatewayTls } from "./decisions.ts";

/** Services that are placed by name or by number; these are their names in the document, too. */
export type PlacedService = "rgw" | "nfs" | "ingress" | "rbd-mirror" | "cephfs-mirror";

const labelValue = z.string().min(1).max(63);
const port = z.int().min(1).max(65_535);
const where = {
  targets: z.array(z.custom<PeerId>(isPeerId)).max(1000),
  count: z.int().min(0).max(1000),
  zone: labelValue.optional(),
};
const wishes = {
  rgw: z.object({ ...where, port: port.nullable(), tls: gatewayTls.optional() }),
  nfs: nfsSettings.extend(where),
  "rbd-mirror": z.object(where),
  "cephfs-mirror": z.object(where),
  ingress: z.object({
    ...where,
    port,
    tlsPort: port.optional(),
    /** Where it is the address of NFS gateways; undefined: it is not. */
    nfsPort: port.optional(),
    /** Whether it is that of S3 gateways, and of what managers show. */
    fronts: z.array(z.enum(["rgw", "dashboard"])).optional(),
    vip: z.union([z.ipv4(), z.ipv6()]),
    prefix: z.int().min(1).max(128),
  }),
} as const;
export type Wish<Service extends PlacedService> = z.output<(typeof wishes)[Service]>;

/** Whether NFS gateways have a common address, so that they see the ingress where their clients are. */
export function isNfsFronted(services: Readonly<Record<string, Json>>): boolean {
  return wishFor("ingress", services)?.nfsPort !== undefined;
}

/** The wish, as the document has it; null when none is, or none that can be read. */
export function wishFor<Service extends PlacedService>(
  service: Service,
  services: Readonly<Record<string, Json>>,
): Wish<Service> | null {
  return (wishes[service].safeParse(services[service]).data as Wish<Service> | undefined) ?? null;
}
