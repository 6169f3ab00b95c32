import { z } from "zod";
import type { DecisionNumber } from "../../state/journal/types.ts";

/** A decision's number, as a node remembers it. */
export const decisionNumber = z.object({ generation: z.int(), revision: z.int() });

/** Decisions are ordered by generation, then by revision. */
export function isLater(a: DecisionNumber, b: DecisionNumber): boolean {
  return (a.generation - b.generation || a.revision - b.revision) > 0;
}
