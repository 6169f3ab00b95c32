import { z } from "zod";
import { messageOf } from "../../errors/microceph-error.ts";
import { parseDiskSpecs } from "./disk-spec.ts";
import { type Shape, text } from "./shape.ts";

/** An OSD of the cluster; MicroCeph's keys. */
export const configuredDisk = z.object({
  osd: z.int().min(0),
  path: z.string(),
  location: z.string().describe("name of its node"),
});
export type ConfiguredDisk = Shape<typeof configuredDisk>;

/** An empty block device of the asked node. */
export const availableDisk = z.object({
  model: z.string(),
  sizeBytes: z.int().min(0),
  type: z.string(),
  path: z.string(),
});
export type AvailableDisk = Shape<typeof availableDisk>;

const specs = z
  .union([z.string().min(1), z.array(z.string().min(1)).min(1).max(1000)])
  .superRefine((path, context) => {
    try {
      parseDiskSpecs(typeof path === "string" ? [path] : path);
    } catch (error) {
      context.addIssue({ code: "custom", message: messageOf(error) });
    }
  });

/** MicroCeph's body keys. The job's result is a `diskReport`. */
export const addDisksRequest = z.strictObject({
  path: specs.describe("block devices, or one loop,SIZE,COUNT"),
  wipe: z.boolean().default(false).describe("erase what is on the devices; refused while mounted"),
});

/** What became of each disk; `error` is empty on success. */
export const diskReport = z.object({
  report: z.array(z.object({ path: z.string(), report: z.enum(["Success", "Failure"]), error: text })),
});
export type DiskReport = Shape<typeof diskReport>;
