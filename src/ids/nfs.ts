import { z } from "zod";

/** A path without anything that means something in a configuration file. */
export const nfsPath = z
  .string()
  .max(255)
  .regex(/^\/(?:[A-Za-z0-9._@+-]{1,128}(?:\/[A-Za-z0-9._@+-]{1,128})*)?$/)
  .refine((path) => !path.split("/").some((part) => part === "." || part === ".."));
/** Networks or hosts by number: names would be looked up at each request. */
export const nfsClient = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]);
export const nfsSquash = z.enum(["none", "root", "all"]);
/** Name of the service to its clients, as in MicroCeph. */
export const nfsClusterId = z.string().regex(/^\w[\w.-]{1,61}\w$/);
/**
 * Which of a service's gateways one is to its clients. It moves to another host with all that they hold; never do two
 * have one at a time.
 */
export const nfsRank = z.int().min(0).max(999);

export interface NfsIdentity {
  readonly cluster: string;
  readonly rank: number;
}

/** Name of a gateway in RADOS and to the metadata servers, which give its locks back to this name alone. */
export function nfsName({ cluster, rank }: NfsIdentity): string {
  return `${cluster}.${rank}`;
}

/** What a gateway is to the monitors, without "client.". */
export function nfsUser(identity: NfsIdentity): string {
  return `nfs.${nfsName(identity)}`;
}
