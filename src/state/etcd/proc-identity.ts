import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** A process that cannot be mistaken for a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks between boot and its start: field 22 of /proc/PID/stat (proc(5)). */
  readonly startTime: number;
}

/** The identity of a live process, or undefined when there is none (a zombie is none). */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (stat === undefined) return undefined;
  // The command name, in brackets, may hold anything, brackets and blanks included.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  const startTime = Number(fields[19]);
  return state === "Z" || state === "X" || !Number.isSafeInteger(startTime) ? undefined : { pid, startTime };
}

export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  return (await identify(identity.pid))?.startTime === identity.startTime;
}

/** SIGKILL it, if it is still that process, and wait until it is gone. @returns whether there was one to kill */
export async function killProcess(identity: ProcessIdentity, deadlineMs: number): Promise<boolean> {
  if (!(await isAlive(identity))) return false;
  process.kill(identity.pid, "SIGKILL");
  const end = performance.now() + deadlineMs;
  while (await isAlive(identity)) {
    if (performance.now() > end)
      throw new Error(`process ${identity.pid} is still there ${deadlineMs} ms after SIGKILL`);
    await sleep(10);
  }
  return true;
}
