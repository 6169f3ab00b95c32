import { z } from "zod";
import { type Shape, text, time } from "./shape.ts";

/** Total order of decisions: generation first, then revision. */
export const decisionNumber = z.object({ generation: z.int(), revision: z.int() });

/** One decision as people see it; bodies and results stay inside. */
export const journalEntry = z.object({
  id: z.string(),
  number: decisionNumber,
  kind: z.string(),
  state: z.enum(["open", "done", "abandoned"]),
  reason: text,
  agent: z.string().nullable().describe("PeerId of the node that carries it out"),
  openedAt: time,
  closedAt: time.nullable(),
});
export type JournalEntry = Shape<typeof journalEntry>;

export const journalQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1000).default(100).describe("newest entries"),
});
