import { z } from "zod";
import { name, nodeReference, type Shape } from "./shape.ts";

export const migrationRequest = z.strictObject({
  source: nodeReference.describe("member that is to carry less"),
  destination: nodeReference.describe("member that takes it over"),
});

/** Result of the job. */
export const migrationReply = z.object({
  source: name,
  destination: name,
  moved: z.array(z.enum(["voter", "mon", "mgr", "mds"])),
});
export type MigrationReply = Shape<typeof migrationReply>;
