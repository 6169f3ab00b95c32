import { setTimeout as delay } from "node:timers/promises";
import { MicrocephError } from "../../errors/microceph-error.ts";

export interface WaitOptions {
  /** Milliseconds until DEADLINE_EXCEEDED. */
  readonly deadlineMs: number;
  /** Milliseconds between two looks; default 50. */
  readonly intervalMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Look until `look` gives something other than undefined. Errors of `look` end it. Throws DEADLINE_EXCEEDED
 * with `what` in the message, CANCELLED when the signal fires.
 */
export async function waitUntil<T>(
  what: string,
  look: () => Promise<T | undefined>,
  { deadlineMs, intervalMs = 50, signal }: WaitOptions,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    if (signal?.aborted) throw new MicrocephError("CANCELLED", `waiting for ${what} was cancelled`);
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() >= end) {
      throw new MicrocephError("DEADLINE_EXCEEDED", `${what} did not happen within ${deadlineMs} ms`, {
        data: { deadlineMs },
      });
    }
    await delay(intervalMs, undefined, signal ? { signal } : {}).catch(() => undefined);
  }
}
