import { z } from "zod";
import { type Shape, text } from "./shape.ts";

/** Names of sites, as MicroCeph has them. */
export const siteName = z
  .string()
  .regex(/^[a-z0-9]{1,63}$/, "a site's name is 1 to 63 lower-case letters and digits")
  .refine((one) => !["ceph", "ganesha", "radosgw"].includes(one), "that name is reserved");

export const exportRequest = z.strictObject({
  remote: siteName.describe("what the other site is called here"),
});
export const exportReply = z.object({
  remote: z.string(),
  token: z.string().describe("for `remote import` at that site; it has a key in it, of its own rights only"),
});
export type ExportReply = Shape<typeof exportReply>;

export const remoteParams = z.strictObject({ name: siteName });
export const importRequest = z.strictObject({
  token: z.string().min(1).max(8192),
  local_name: siteName.describe("what this site is called there: it must be what the token was made for"),
});
export const remoteRow = z.object({
  name: z.string(),
  local_name: z.string().nullable().describe("what this site is called there; null while it is not imported"),
  imported: z.boolean().describe("this site can reach that one"),
  exported: z.boolean().describe("that site was given a key of this one"),
});
export type RemoteRow = Shape<typeof remoteRow>;

const poolName = z.string().regex(/^[A-Za-z0-9_.-]{1,128}$/);
const imageName = z.string().regex(/^[A-Za-z0-9_.][A-Za-z0-9_.:+-]{0,127}$/);
const resource = {
  pool: poolName,
  image: imageName.optional().describe("one image; left out: the whole pool"),
};
/** Ceph's: a number of days, hours or minutes. */
const schedule = z.string().regex(/^[1-9][0-9]{0,4}[dhm]$/, "an interval is a number of d, h or m");

export const enableReplicationRequest = z.strictObject({
  ...resource,
  remote: siteName,
  type: z.enum(["journal", "snapshot"]).default("journal"),
  schedule: schedule.optional().describe("how often a snapshot is mirrored"),
  skip_auto_enable: z.boolean().default(false).describe("images that have no journal are left as they are"),
});
export const disableReplicationRequest = z.strictObject({
  ...resource,
  confirmed: z.boolean().default(false).describe("that the copies at the other site go is meant"),
});
export const configureReplicationRequest = z.strictObject({ pool: poolName, image: imageName, schedule });
export const resyncRequest = z.strictObject({
  ...resource,
  confirmed: z.boolean().default(false).describe("what was written here alone is lost"),
});
export const siteRequest = z.strictObject({
  remote: siteName,
  force: z.boolean().default(false).describe("also where the other site has not handed over"),
});
export const replicationQuery = z.strictObject({ pool: poolName.optional() });

export const replicatedImage = z.object({
  pool: z.string(),
  image: z.string(),
  type: z.string(),
  is_primary: z.boolean(),
  /** As the daemon here says: `up+replaying`, `up+stopped`, `up+error`; `unknown` where none says anything. */
  state: text,
  description: text,
  last_update: z.string(),
});
export type ReplicatedImage = Shape<typeof replicatedImage>;
export const replicatedPool = z.object({
  pool: z.string(),
  mode: z.enum(["pool", "image"]),
  remotes: z.array(z.string()),
  images: z.array(replicatedImage),
});
export type ReplicatedPool = Shape<typeof replicatedPool>;
/** Result of the jobs. */
export const siteReply = z.object({ remote: z.string(), changed: z.array(z.string()) });
export type SiteReply = Shape<typeof siteReply>;
