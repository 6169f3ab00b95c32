import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { LabError } from "./lab-error.ts";
import { checkout, type NodeFiles, nodeStateDir } from "./layout.ts";
import { allPids, commandLine, signal, startTime } from "./processes.ts";

const initScript = join(checkout, "scripts", "lab", "node-init.sh");

/** Host pid of the process that holds the node's namespaces, or undefined when the node is down. */
export function holderOf(files: NodeFiles): number | undefined {
  let text: string;
  try {
    text = readFileSync(files.holder, "utf8");
  } catch {
    return undefined;
  }
  const [pid, start] = text.trim().split(" ");
  return pid !== undefined && startTime(Number(pid)) === start && commandLine(Number(pid)).includes(files.dir)
    ? Number(pid)
    : undefined;
}

/** Make the node's namespaces; its host pid when everything in it is in place. */
export async function createHolder(files: NodeFiles, node: string, ip: string): Promise<number> {
  await killHolders(files.dir);
  rmSync(files.holder, { force: true });
  for (const dir of [files.state, files.disks, join(files.etc, "ceph")]) mkdirSync(dir, { recursive: true });
  writeNames(files, node, ip);
  // The first child after unsharing the PID namespace is its init; the outer shell ends at once.
  const child = spawn(
    "unshare",
    [
      ...["--net", "--mount", "--uts", "--ipc", "--pid", "sh", "-c", 'setsid sh "$@" &', "sh"],
      ...[initScript, files.dir, node],
    ],
    { stdio: ["ignore", "pipe", "pipe"], env: { PATH: process.env.PATH ?? "/usr/sbin:/usr/bin:/sbin:/bin" } },
  );
  let said = "";
  const deadline = setTimeout(() => child.stdout.destroy(), 20_000);
  try {
    await new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      const listen = (chunk: Buffer) => {
        said += chunk.toString();
        if (/^ready$/m.test(said)) resolve();
      };
      child.stdout.on("data", listen);
      child.stderr.on("data", listen);
      child.stdout.once("close", () => resolve());
    });
  } finally {
    clearTimeout(deadline);
    child.stdout.destroy();
    child.stderr.destroy();
  }
  const pid = holderOf(files);
  if (pid === undefined || !/^ready$/m.test(said)) {
    await killHolders(files.dir);
    throw new LabError(
      "PROGRAM_FAILED",
      `cannot make the host ${node} (the lab needs CAP_SYS_ADMIN): ${said.trim() || "no answer in 20 s"}`,
    );
  }
  return pid;
}

/** Files that the node sees in /etc. */
export function writeNames(files: NodeFiles, node: string, ip: string): void {
  const hosts = `127.0.0.1 localhost\n::1 localhost ip6-localhost\n${ip} ${node}\n`;
  const content = { hosts, hostname: `${node}\n`, "resolv.conf": "", "machine-id": machineId(files.dir) };
  for (const [name, text] of Object.entries(content)) {
    // Written in place: the files are mounted in a running node.
    writeFileSync(join(files.etc, name), text);
  }
}

/** Any 32 hex digits that differ from node to node and stay the same. */
function machineId(text: string): string {
  let hash = 0n;
  for (const byte of Buffer.from(text)) hash = (hash * 1_000_003n + BigInt(byte)) % (1n << 128n);
  return `${hash.toString(16).padStart(32, "0")}\n`;
}

/** Kill what holds namespaces for nodes at or below `dir`, recorded or not, and wait until it is gone. */
export async function killHolders(dir: string): Promise<void> {
  const mine = (pid: number): boolean => {
    const args = commandLine(pid);
    const at = args.findIndex((arg) => arg.endsWith("/node-init.sh"));
    const nodeDir = at < 0 ? undefined : args[at + 1];
    return nodeDir !== undefined && (nodeDir === dir || nodeDir.startsWith(`${dir}/`));
  };
  for (let round = 0; round < 500; round += 1) {
    const left = allPids().filter(mine);
    if (left.length === 0) return;
    for (const pid of left) signal(pid, "SIGKILL");
    // The end of a PID namespace has no event for a stranger: look again.
    await delay(10);
  }
  throw new LabError("DEADLINE_EXCEEDED", `processes of ${dir} do not end; see: ps ax | grep node-init.sh`);
}

/** Directories that a node mounts over, made when the machine has none; all labs share them. */
const mountPoints = [nodeStateDir, "/etc/ceph"];

export function ensureMountPoints(root: string): void {
  for (const dir of mountPoints) {
    if (existsSync(dir)) continue;
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(root, "made"), `${dir}\n`, { flag: "a" });
  }
}

/** Remove what `ensureMountPoints` made, when no node of any lab is left. */
export function removeMountPoints(root: string): void {
  const record = join(root, "made");
  // Removing a directory would unmount it in every other node.
  if (
    !existsSync(record) ||
    allPids().some((pid) => commandLine(pid).some((arg) => arg.endsWith("/node-init.sh")))
  ) {
    return;
  }
  for (const dir of new Set(readFileSync(record, "utf8").trim().split("\n"))) {
    try {
      if (mountPoints.includes(dir)) rmdirSync(dir);
    } catch {
      // Somebody uses it now.
    }
  }
  rmSync(record, { force: true });
}
