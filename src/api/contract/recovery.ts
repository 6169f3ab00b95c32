import { z } from "zod";
import { name, nodeReference, type Shape } from "./shape.ts";

export const recoveryRequest = z.strictObject({
  lost: z
    .array(nodeReference)
    .min(1)
    .max(100)
    .describe("every voter that does not answer, by name or PeerId: each is gone for good"),
});

/** What a member last knew of the journal. */
const knownNumber = z.object({ generation: z.int(), revision: z.int() }).nullable();

/** What a recovery on this node would do; nothing has been changed. */
export const recoveryPlan = z.object({
  /** The one that would decide alone: this node. */
  survivor: name,
  /** Why it is refused now; null when it can be done. */
  refused: z.string().nullable(),
  /** The new generation of decisions. */
  generation: z.int(),
  /** Voters that do not answer: all of them must be declared lost. */
  lost: z.array(name),
  members: z.array(
    z.object({
      name,
      voter: z.boolean(),
      monitor: z.boolean(),
      presence: z.string(),
      /** Its last decision; null: it could not be asked. */
      last: knownNumber,
    }),
  ),
  steps: z.array(z.string()),
});
export type RecoveryPlan = Shape<typeof recoveryPlan>;

/** Result of the job. */
export const recoveryReply = z.object({
  survivor: name,
  generation: z.int(),
  /** Whether Ceph's monitors answer. */
  ceph: z.boolean(),
});
export type RecoveryReply = Shape<typeof recoveryReply>;
