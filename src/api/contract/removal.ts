import { z } from "zod";
import { name, nodeReference, type Shape, text } from "./shape.ts";

export const removalRequest = z.strictObject({
  node: nodeReference.describe("name, handle, or PeerId prefix of six or more characters"),
  dead: z.boolean().default(false).describe("it failed and does not come back: nothing of it is waited for"),
  force: z.boolean().default(false).describe("as `dead`, if it has failed; else without effect"),
  revoke: z
    .boolean()
    .default(false)
    .describe("it may be in other hands: what it knew opens nothing any more"),
  confirm_crush_downgrade: z
    .boolean()
    .default(false)
    .describe("copies may share hosts or racks afterwards, where fewer are left than there are copies"),
  prohibit_crush_scaledown: z
    .boolean()
    .default(false)
    .describe("where fewer hosts or racks are left than copies, keep the rule and have fewer copies"),
});

/** What the removal of a member does, in its order; nothing has been changed. */
export const removalPlan = z.object({
  name,
  handle: name,
  dead: z.boolean(),
  osds: z.array(z.int()),
  steps: z.array(z.string()),
  left: z.string().describe("what the cluster survives afterwards"),
});
export type RemovalPlan = Shape<typeof removalPlan>;

export const memberParams = z.strictObject({ node: nodeReference });
export const renameRequest = z.strictObject({ name });

export const removalReply = z.object({
  name,
  id: nodeReference,
  left: z.array(text).optional().describe("keys that were to be replaced and could not be, and why"),
});
export type RemovalReply = Shape<typeof removalReply>;

export const removalCancel = z.strictObject({ node: nodeReference });
