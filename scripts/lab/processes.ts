import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** One process of a node, as the host sees it. */
export interface LabProcess {
  /** Pid on the host. */
  readonly pid: number;
  /** Pid in the node. */
  readonly innerPid: number;
  readonly parent: number;
  /** One letter of proc(5): R, S, D, T (stopped), Z (zombie)… */
  readonly state: string;
  readonly args: readonly string[];
}

/** Start time in clock ticks since boot; together with the pid it names a process for ever. */
export function startTime(pid: number): string | undefined {
  return statFields(pid)?.[19];
}

/** Fields of /proc/PID/stat from the state (the third) on; the name before them may hold anything. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

/** Command line of a process; none for zombies, kernel threads and the gone. */
export function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
  } catch {
    return [];
  }
}

export function allPids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number);
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}

/** Pid of the process in its innermost PID namespace. */
function innerPid(pid: number): number | undefined {
  try {
    const line = /^NSpid:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return line === undefined ? undefined : Number(line.trim().split(/\s+/).at(-1));
  } catch {
    return undefined;
  }
}

/** Every living process in the PID namespace that `holder` is the init of, the holder itself included. */
export function processesOf(holder: number): LabProcess[] {
  const namespace = namespaceOf(holder);
  if (namespace === undefined) return [];
  const found: LabProcess[] = [];
  for (const pid of allPids()) {
    if (namespaceOf(pid) !== namespace) continue;
    const fields = statFields(pid);
    const inner = innerPid(pid);
    if (fields?.[0] === undefined || inner === undefined || fields[0] === "Z") continue;
    found.push({
      pid,
      innerPid: inner,
      parent: Number(fields[1]),
      state: fields[0],
      args: commandLine(pid),
    });
  }
  return found;
}

/** Whether `process` descends from `ancestor` (host pid). */
export function descendsFrom(process: LabProcess, ancestor: number, among: readonly LabProcess[]): boolean {
  const byPid = new Map(among.map((one) => [one.pid, one]));
  for (let at: LabProcess | undefined = process; at !== undefined; at = byPid.get(at.parent)) {
    if (at.parent === ancestor) return true;
  }
  return false;
}

/** Send a signal; a process that is gone already is fine. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
