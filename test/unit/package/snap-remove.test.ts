import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it } from "vitest";

const hook = join(import.meta.dirname, "../../../snap/hooks/remove");
const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();

let common: string;
const running: ChildProcess[] = [];

beforeEach(() => {
  common = mkdtempSync(join(tmpdir(), "snap-remove-"));
});
afterEach(() => {
  for (const one of running.splice(0)) one.kill("SIGKILL");
  rmSync(common, { recursive: true });
});

/** A process that ends with TERM, or does not. */
async function begin(deaf = false): Promise<ChildProcess> {
  const ignore = deaf ? "trap '' TERM; " : "";
  const child = spawn("sh", ["-c", `${ignore}echo; while :; do read -r _; done`], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  running.push(child);
  await once(child.stdout as NodeJS.ReadableStream, "data");
  return child;
}

function startOf({ pid }: ChildProcess): string {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(") ") + 2).split(" ")[19] ?? "";
}

function record(unit: string, name: "supervisor.pid" | "child", text: string): void {
  const folder = join(common, "state", "supervisors", unit);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), `${text}\n`);
}

const isThere = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode === null && signalCode === null;
const run = () => promisify(execFile)("sh", [hook], { env: { PATH: process.env.PATH, SNAP_COMMON: common } });

it("ends supervisors, and daemons that have none, and nobody who has a former number", async () => {
  const [supervisor, orphan, stranger, older] = [
    await begin(),
    await begin(true),
    await begin(),
    await begin(),
  ];
  record("mon.n1", "supervisor.pid", `${supervisor.pid} ${startOf(supervisor)} ${boot}`);
  record("osd.0", "child", `${orphan.pid} ${startOf(orphan)} ${boot} 0a1b`);
  record("osd.1", "supervisor.pid", `${stranger.pid} 1 ${boot}`);
  record("osd.2", "supervisor.pid", `${older.pid} ${startOf(older)} another-boot`);
  record("osd.3", "supervisor.pid", "");
  const gone = Promise.all([once(supervisor, "exit"), once(orphan, "exit")]);
  await run();
  expect((await gone).map(([, signal]) => signal)).toEqual(["SIGTERM", "SIGKILL"]);
  expect([isThere(stranger), isThere(older)]).toEqual([true, true]);
});

it("is content where nothing was ever started", async () => {
  await expect(run()).resolves.toMatchObject({ stderr: "" });
});
