import { z } from "zod";
import { siteName } from "./replication.ts";
import { type Shape, text } from "./shape.ts";

const volume = z.string().regex(/^[A-Za-z0-9_.-]{1,128}$/);
/** Of a file system: from its root, no part of it `.` or `..`. */
const directory = z
  .string()
  .max(4096)
  .regex(/^\/[^\0\n]*$/)
  .refine((path) => !path.split("/").some((part) => part === "." || part === ".."), "a path from the root");
const part = z.string().regex(/^[A-Za-z0-9_.-]{1,128}$/);
const what = {
  dir_path: directory.optional().describe("a folder"),
  subvolume: part.optional().describe("or a subvolume"),
  subvolume_group: part.optional().describe("of this group"),
};

export const enableFileReplicationRequest = z.strictObject({ volume, remote: siteName, ...what });
export const disableFileReplicationRequest = z.strictObject({
  volume,
  ...what,
  force: z.boolean().default(false).describe("the whole file system, with folders that are mirrored"),
});
export const fileReplicationQuery = z.strictObject({ volume: volume.optional() });
export const fileProgressQuery = z.strictObject({ volume });

/** What the daemon that copies a folder says of it. */
export const folderProgress = z.object({
  path: z.string(),
  /** `idle`, `syncing`, `failed`; `unknown` where no daemon says anything. */
  state: text,
  /** Name of the last snapshot that is at the other site. */
  last_snapshot: z.string().nullable(),
  synced: z.int().describe("snapshots since the daemon started"),
  deleted: z.int(),
  renamed: z.int(),
});
export type FolderProgress = Shape<typeof folderProgress>;
export const replicatedFileSystem = z.object({
  volume: z.string(),
  remotes: z.array(z.string()),
  folders: z.array(folderProgress),
});
export type ReplicatedFileSystem = Shape<typeof replicatedFileSystem>;
