import { z } from "zod";
import { name, nodeReference, type Shape } from "./shape.ts";

/** MicroCeph's words and defaults. */
export const maintenanceRequest = z.strictObject({
  status: z.enum(["maintenance", "non-maintenance"]),
  force: z.boolean().default(false).describe("go on although the checks fail"),
  dry_run: z.boolean().default(false).describe("only say what would be done"),
  set_noout: z.boolean().default(true).describe("Ceph does not move the data of this host's OSDs meanwhile"),
  stop_osds: z.boolean().default(false).describe("stop the host's OSDs, also over a restart of the host"),
  check_only: z.boolean().default(false).describe("only check"),
  ignore_check: z.boolean().default(false).describe("do not check"),
});
export const maintenanceParams = z.strictObject({ node: nodeReference });

export const maintenanceStep = z.object({
  name: z.string(),
  error: z.string().describe("empty when it succeeded, or was not carried out"),
});
export type MaintenanceStep = Shape<typeof maintenanceStep>;

/** Result of the job. */
export const maintenanceReport = z.object({
  node: name,
  /** Whether the steps were carried out, or would have been. */
  done: z.boolean(),
  steps: z.array(maintenanceStep),
  /** What is at stake meanwhile. */
  warnings: z.array(z.string()),
});
export type MaintenanceReport = Shape<typeof maintenanceReport>;
