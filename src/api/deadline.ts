import { MicrocephError } from "../errors/microceph-error.ts";

/**
 * Run with a signal that aborts when `caller` does or after `deadlineMs`, and do not wait for work that
 * ignores it. Throws DEADLINE_EXCEEDED or CANCELLED.
 */
export async function withDeadline<T>(
  deadlineMs: number,
  caller: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ending = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let onLeave: (() => void) | undefined;
  const ended = new Promise<never>((_, reject) => {
    const end = (error: MicrocephError): void => {
      reject(error);
      ending.abort(error);
    };
    timer = setTimeout(
      () => end(new MicrocephError("DEADLINE_EXCEEDED", `no answer within ${deadlineMs} ms`)),
      deadlineMs,
    );
    onLeave = () => end(new MicrocephError("CANCELLED", "the caller left"));
    if (caller.aborted) onLeave();
    else caller.addEventListener("abort", onLeave, { once: true });
  });
  try {
    return await Promise.race([run(ending.signal), ended]);
  } finally {
    clearTimeout(timer);
    if (onLeave) caller.removeEventListener("abort", onLeave);
    ended.catch(() => undefined);
  }
}
