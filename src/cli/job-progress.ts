import { type ApiClient, jobError } from "../api/client.ts";
import type { Job } from "../api/contract/jobs.ts";
import { isMicrocephError, MicrocephError } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import { printable } from "./render/sanitize.ts";
import { duration } from "./render/words.ts";

/** No operation is silent for longer. */
const longestSilenceMs = 2000;

/** The line that shows a job: how far, what now, for how long. */
export function progressLine(job: Job | undefined, elapsedMs: number): string {
  if (!job) return `[ … ] waiting for the daemon to come back (${duration(elapsedMs)})`;
  return `[${String(Math.round(job.progress)).padStart(3)}%] ${printable(job.step)} (${duration(elapsedMs)})`;
}

/**
 * Wait for a job with its progress on standard error: one line that changes on a terminal, else a line per
 * step and at least every two seconds; each begins with the label, where there is one. Throws the job's error, or CANCELLED on Ctrl-C (the job goes on).
 */
export async function followJob(client: ApiClient, started: Job, io: CliIo, label?: string): Promise<Job> {
  const { stderr } = io;
  // Several on one line would overwrite each other.
  const oneLine = stderr.isTTY && label === undefined;
  const startedAt = io.now();
  let job: Job | undefined = started;
  let shown = { step: "", at: Number.NEGATIVE_INFINITY };
  const show = (): void => {
    const line = `${label === undefined ? "" : `${label}: `}${progressLine(job, io.now() - startedAt)}`;
    if (oneLine) stderr.write(`\r\u001b[K${line}`);
    else {
      const step = job?.step ?? "away";
      if (step === shown.step && io.now() - shown.at < longestSilenceMs) return;
      shown = { step, at: io.now() };
      stderr.write(`${line}\n`);
    }
  };
  const stopTicking = io.every(oneLine ? 500 : longestSilenceMs / 4, show);
  try {
    const ended = await client.finishJob(started, {
      signal: io.signal,
      onLook: (look) => {
        job = look;
        if (look?.state === undefined || look.state === "running") show();
      },
    });
    if (ended.state === "failure") throw jobError(ended);
    return ended;
  } catch (error) {
    if (io.signal.aborted && isMicrocephError(error, "CANCELLED")) {
      throw new MicrocephError("CANCELLED", `no longer waiting; the daemon goes on with job ${started.id}`);
    }
    throw error;
  } finally {
    stopTicking();
    if (oneLine) stderr.write("\r\u001b[K");
  }
}
