import { setTimeout as delay } from "node:timers/promises";
import { isRefusal } from "./words.ts";

/**
 * What Ceph does not know, or heed, yet: tried again while it refuses with one of these errnos. Throws the last refusal
 * when the time is over, any other error at once.
 */
export async function whileRefused<T>(
  errnos: readonly string[],
  act: () => Promise<T>,
  wait: {
    readonly deadlineMs: number;
    readonly intervalMs: number;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<T> {
  const end = performance.now() + wait.deadlineMs;
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (!errnos.some((errno) => isRefusal(error, errno)) || performance.now() > end) throw error;
    }
    await delay(wait.intervalMs, undefined, wait.signal === undefined ? {} : { signal: wait.signal });
  }
}
