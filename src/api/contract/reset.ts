import { z } from "zod";
import { nodeReference, type Shape } from "./shape.ts";

export const resetRequest = z.strictObject({
  keep_disks: z
    .boolean()
    .default(false)
    .describe("forget the OSDs of this node, and leave what is on their disks as it is"),
});

/** The identity that is given up. */
export const resetReply = z.object({ id: nodeReference });
export type ResetReply = Shape<typeof resetReply>;
