import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { callDaemon } from "./control-socket.ts";
import { enterArguments, nodeEnvironment } from "./enter.ts";
import { LabError } from "./lab-error.ts";
import { checkout, type NodeFiles, nodeStateDir } from "./layout.ts";
import { descendsFrom, type LabProcess, processesOf, signal } from "./processes.ts";

export interface DaemonOptions {
  readonly admission: string | undefined;
  readonly expect: number | undefined;
}

const labConfig = join(checkout, "scripts", "lab", "ceph-extra.conf");

/** What `microcephd` is started with in a node. */
export function daemonCommand(options: DaemonOptions, environment = process.env): string[] {
  return [
    environment.MICROCEPH_LAB_DAEMON ?? join(checkout, "bin", "microcephd"),
    ...["--state-dir", nodeStateDir],
    ...["--extra-ceph-config", environment.MICROCEPH_LAB_CEPH_CONFIG ?? labConfig],
    ...(options.admission === undefined ? [] : ["--admission", options.admission]),
    ...(options.expect === undefined ? [] : ["--expect", String(options.expect)]),
  ];
}

/** Start the daemon as a boot does: from nothing, with a clean environment and nobody to wait for it. */
export async function startDaemon(
  holder: number,
  files: NodeFiles,
  options: DaemonOptions,
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  const log = openSync(files.log, "a", 0o640);
  try {
    // The shell ends at once, so that the node's init adopts the daemon.
    // The environment is the daemon's alone, not that of the programs that bring it into the node.
    const set = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    const boot = ["sh", "-c", 'setsid "$@" </dev/null >&2 &', "sh", "env", ...set, ...daemonCommand(options)];
    const child = spawn("nsenter", enterArguments(holder, boot, "/"), {
      stdio: ["ignore", "ignore", log],
      env: nodeEnvironment(),
    });
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    if (code !== 0)
      throw new LabError("PROGRAM_FAILED", `cannot start the daemon: nsenter ended with ${code}`);
  } finally {
    closeSync(log);
  }
}

/** The daemon among a node's processes: the one that runs microcephd with a state directory. */
export function findDaemon(processes: readonly LabProcess[]): LabProcess | undefined {
  // Before its own options come Node and what Node is told.
  const daemons = processes.filter(({ args }) =>
    args
      .slice(0, Math.max(0, args.indexOf("--state-dir")))
      .some((arg) => basename(arg).startsWith("microcephd")),
  );
  return daemons.find((one) => !daemons.some((other) => other.pid === one.parent));
}

/** Wait until the daemon answers on its control socket; throws DAEMON_NOT_READY with its last log lines. */
export async function waitForApi(
  holder: number,
  files: NodeFiles,
  node: string,
  deadlineMs: number,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  let lastSeen = performance.now();
  for (;;) {
    try {
      await callDaemon(holder, "GET", "/1.0", undefined, 2000);
      return;
    } catch (error) {
      const alive = findDaemon(processesOf(holder)) !== undefined;
      if (alive) lastSeen = performance.now();
      if (performance.now() > end || performance.now() - lastSeen > 1000) {
        const what = alive ? `does not answer within ${deadlineMs / 1000} s` : "ended";
        throw new LabError(
          "DAEMON_NOT_READY",
          `microcephd on ${node} ${what}. Last lines of ${files.log}:\n${lastLines(files.log, 15)}`,
          error,
        );
      }
      await delay(50);
    }
  }
}

export function lastLines(path: string, count: number): string {
  if (!existsSync(path)) return "(nothing)";
  return readFileSync(path, "utf8").trimEnd().split("\n").slice(-count).join("\n") || "(nothing)";
}

const cephDaemons = /^(ceph-(mon|mgr|mds|osd)|radosgw|rbd-mirror|cephfs-mirror|ganesha\.nfsd)$/;

function isCephDaemon(one: LabProcess): boolean {
  return cephDaemons.test(basename(one.args[0] ?? ""));
}

/** Ceph's daemons and what supervises them, supervisors first. */
export function cephProcesses(processes: readonly LabProcess[], holder: number): LabProcess[] {
  const daemons = processes.filter(isCephDaemon);
  const microcephd = findDaemon(processes)?.pid;
  const supervises = (one: LabProcess): boolean =>
    one.pid !== holder &&
    one.pid !== microcephd &&
    !isCephDaemon(one) &&
    (daemons.some((daemon) => daemon.parent === one.pid) ||
      one.args.slice(0, 3).some((arg) => /(^|\/)supervis[a-z-]*\.sh$/.test(arg)));
  return [...processes.filter(supervises), ...daemons];
}

/** What is stopped by `pause`: the daemon, its etcd and its `ceph` child, but none of Ceph's daemons. */
export function pausedProcesses(processes: readonly LabProcess[]): LabProcess[] {
  const daemon = findDaemon(processes);
  if (daemon === undefined) return [];
  const isChild = (one: LabProcess): boolean =>
    descendsFrom(one, daemon.pid, processes) &&
    (basename(one.args[0] ?? "") === "etcd" || one.args.slice(0, 2).some((arg) => basename(arg) === "ceph"));
  return [daemon, ...processes.filter((one) => one !== daemon && isChild(one))];
}

/** The processes that run a program: `daemon`, `etcd`, `ceph-mon`, … */
export function processesOfProgram(processes: readonly LabProcess[], program: string): LabProcess[] {
  if (program === "daemon") {
    const daemon = findDaemon(processes);
    return daemon === undefined ? [] : [daemon];
  }
  // The second word is the program's where the first is its interpreter.
  return processes.filter(({ args }) => args.slice(0, 2).some((arg) => basename(arg) === program));
}

/**
 * SIGKILL what `choose` names at one moment and wait until it is gone. What the daemon starts afterwards is
 * its own affair. Those that would start others (the first of `choose`) are stopped before the final look.
 */
export async function killChosen(
  holder: number,
  choose: (processes: readonly LabProcess[]) => readonly LabProcess[],
): Promise<number> {
  for (const one of choose(processesOf(holder))) signal(one.pid, "SIGSTOP");
  const chosen = new Set(choose(processesOf(holder)).map((one) => one.pid));
  for (const pid of chosen) signal(pid, "SIGKILL");
  for (let round = 0; round < 1000; round += 1) {
    if (!processesOf(holder).some((one) => chosen.has(one.pid))) return chosen.size;
    await delay(10);
  }
  throw new LabError("DEADLINE_EXCEEDED", "processes do not end within 10 s of SIGKILL");
}
