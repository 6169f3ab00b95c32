import { MicrocephError } from "../../errors/microceph-error.ts";

export interface Deadline {
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Do `work` within a deadline. The promise settles in time also when the work ignores its signal, as a write
 * to a dead peer does.
 * @throws DEADLINE_EXCEEDED, CANCELLED when the caller's signal aborts, and what `work` throws before that
 */
export async function withDeadline<T>(
  { deadlineMs, signal }: Deadline,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const stop = (error: MicrocephError): void => {
    // First, so that the caller sees this and not what the aborted work makes of it.
    reject(error);
    controller.abort(error);
  };
  const cancel = (): void => stop(new MicrocephError("CANCELLED", `${what}: cancelled`));
  if (signal?.aborted) throw new MicrocephError("CANCELLED", `${what}: cancelled`);
  const late = `${what}: no answer within ${deadlineMs} ms`;
  const timer = setTimeout(
    () => stop(new MicrocephError("DEADLINE_EXCEEDED", late, { data: { deadlineMs } })),
    deadlineMs,
  );
  timer.unref();
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    return await Promise.race([stopped, work(controller.signal)]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
    stopped.catch(() => undefined);
  }
}
