import { z } from "zod";
import { newPoolName } from "./pools.ts";
import { type Shape, text } from "./shape.ts";

const fileSystemName = z.string().min(1).max(200);

export const fileSystemRow = z.object({
  name: fileSystemName,
  metadata_pool: z.string(),
  data_pools: z.array(z.string()).describe("the first is where new files go unless told otherwise"),
  active: z.array(text).describe("metadata servers that serve it now"),
  standby: z.int().describe("metadata servers that stand by for any file system"),
  bytes: z.number().nullable().describe("stored by users, before copies; null while no manager tells"),
});
export type FileSystemRow = Shape<typeof fileSystemRow>;

export const fileSystemRequest = z.strictObject({
  name: newPoolName.max(48),
  size: z.int().min(1).max(10).optional().describe("copies; default: what new pools get"),
  confirmed: z.boolean().default(false).describe("a single copy is meant"),
});

export const fileSystemParams = z.strictObject({ name: fileSystemName });
export const fileSystemRemoval = z.strictObject({
  confirmed: z.boolean().default(false).describe("all files go"),
});
