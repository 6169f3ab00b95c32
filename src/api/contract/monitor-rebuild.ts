import { z } from "zod";
import { name, nodeReference, type Shape } from "./shape.ts";

export const rebuildRequest = z.strictObject({
  lost: z
    .array(nodeReference)
    .max(100)
    .describe("hosts of OSDs that do not answer, by name or PeerId: each is gone for good"),
});

/** What rebuilding the monitors would do; nothing has been changed. */
export const rebuildPlan = z.object({
  /** Why it is refused now; null when it can be done. */
  refused: z.string().nullable(),
  hosts: z.array(
    z.object({
      name,
      presence: z.string(),
      /** OSDs that it says it has. */
      osds: z.int(),
    }),
  ),
  /** Hosts of OSDs that do not answer: each must be declared lost. */
  lost: z.array(name),
  steps: z.array(z.string()),
});
export type RebuildPlan = Shape<typeof rebuildPlan>;

/** Result of the job. */
export const rebuildReply = z.object({
  /** The host of the only monitor there is now. */
  monitor: z.string(),
  hosts: z.array(
    z.object({
      host: z.string(),
      /** OSDs that gave their maps. */
      osds: z.array(z.int()),
      /** Those that did not, each with the reason. */
      left: z.array(z.string()),
    }),
  ),
  /** File systems that are known again. */
  file_systems: z.array(z.string()),
});
export type RebuildReply = Shape<typeof rebuildReply>;
