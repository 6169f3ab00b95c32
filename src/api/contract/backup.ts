import { z } from "zod";
import { name, type Shape } from "./shape.ts";

const path = z.string().min(2).max(4096).describe("absolute path of the file on this node");
const passphrase = z.string().min(1).max(1024);

export const backupRequest = z.strictObject({ path, passphrase });
export const restoreRequest = z.strictObject({ path, passphrase });

/** The file that was written. */
export const backupReply = z.object({
  path: z.string(),
  bytes: z.int(),
  cluster: z.string(),
  name,
  /** RFC 3339. */
  at: z.string(),
  /** Whether what only Ceph's monitors keep is in it: keys of users, settings, keys of encrypted disks. */
  ceph_records: z.boolean(),
});
export type BackupReply = Shape<typeof backupReply>;

/** The cluster that this node is the only voter of now. */
export const restoreReply = z.object({
  cluster: z.string(),
  name,
  /** When the backup was made. */
  at: z.string(),
  handle: z.string(),
  generation: z.int(),
  /** Ceph's UUID; null when the cluster had no Ceph. */
  ceph: z.string().nullable(),
});
export type RestoreReply = Shape<typeof restoreReply>;
