import { readFile } from "node:fs/promises";

/** What tells a process from a later one with the same number. */
export interface ProcessRecord {
  readonly pid: number;
  /** Start time in clock ticks since boot: field 22 of /proc/PID/stat (proc_pid_stat(5)). */
  readonly start: string;
  /** The boot in which it was started. */
  readonly boot: string;
}

export async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}

/** Start time of a running process; undefined when it is gone or only a zombie. */
export async function startTime(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // The program's name, in parentheses, may itself hold blanks and parentheses.
  const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ");
  if (!fields || fields[0] === "Z" || fields[0] === "X") return undefined;
  return fields[19];
}

export async function isAlive(record: ProcessRecord | undefined): Promise<boolean> {
  if (!record || record.boot !== (await bootId())) return false;
  return (await startTime(record.pid)) === record.start;
}

/** Reads `PID START BOOT …` as the supervisor script writes it; undefined when it is anything else. */
export function parseProcessRecord(text: string | undefined): ProcessRecord | undefined {
  const match = /^([0-9]{1,10}) ([0-9]{1,20}) ([0-9a-f-]{36})( [0-9a-f]{1,64})?\n?$/.exec(text ?? "");
  if (!match?.[1] || !match[2] || !match[3]) return undefined;
  const pid = Number(match[1]);
  return pid > 1 ? { pid, start: match[2], boot: match[3] } : undefined;
}
