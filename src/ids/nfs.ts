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
