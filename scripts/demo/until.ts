import { setTimeout as delay } from "node:timers/promises";
import { messageOf } from "../../src/errors/microceph-error.ts";
import { LabError } from "../lab/lab-error.ts";

/**
 * Look until there is something; an error counts as "not yet". `look` says by `waiting` what is missing.
 * Throws DEADLINE_EXCEEDED with what was missing last.
 */
export async function until<T>(
  what: string,
  deadlineMs: number,
  look: (waiting: (text: string) => void) => Promise<T | undefined>,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  let missing = "";
  for (;;) {
    try {
      const found = await look((text) => {
        missing = text;
      });
      if (found !== undefined) return found;
    } catch (error) {
      missing = messageOf(error);
    }
    if (performance.now() > end) {
      throw new LabError(
        "DEADLINE_EXCEEDED",
        `${what}: not after ${Math.round(deadlineMs / 1000)} s${missing === "" ? "" : ` (${missing})`}`,
      );
    }
    await delay(300);
  }
}
