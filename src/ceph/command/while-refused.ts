import { setTimeout as delay } from "node:timers/promises";
import { isRefusal } from "./words.ts";

/** What a manager refuses with that has just been told of a module: it does not know the module's commands yet. */
const unloaded = ["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ETIMEDOUT", "EIO"];
/** Milliseconds that a manager has to load a module. */
const loadMs = 90_000;

/** A command of a module that was just enabled: as `whileRefused`. */
export function whileLoading<T>(act: () => Promise<T>, signal: AbortSignal): Promise<T> {
  return whileRefused(unloaded, act, { deadlineMs: loadMs, intervalMs: 1_000, signal });
}

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
