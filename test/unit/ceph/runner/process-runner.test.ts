import { execFile, spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ProcessRunner } from "../../../../src/ceph/runner/process-runner.ts";
import { isAlive, startTime } from "../../../../src/ceph/runner/processes.ts";
import type { UnitSpec, UnitStatus } from "../../../../src/ceph/runner/runner.ts";
import { specHash, UnitFolder } from "../../../../src/ceph/runner/unit-folder.ts";

const turn = (): Promise<void> => new Promise((next) => setImmediate(next));
const log = pino({ level: "silent" });
const program: UnitSpec = { argv: ["sleep", "1000"], stopSeconds: 2 };

let folder: string;
let runner: ProcessRunner;

function newRunner(backOff = { firstMs: 20, mostMs: 80, resetMs: 60_000 }): ProcessRunner {
  return new ProcessRunner({ folder, sweepMs: 60_000, backOff }, { log });
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "runner-"));
  runner = newRunner();
  await runner.open();
});

afterEach(async () => {
  for (const { unit } of await runner.list()) await runner.stop(unit, { removeAlso: true });
  await runner.close();
  await rm(folder, { recursive: true, force: true });
});

/** Waits for a status by the supervisor's own word, with the runner's change events. */
function seen(unit: string, accept: (status: UnitStatus) => boolean): Promise<UnitStatus> {
  return new Promise((found) => {
    const look = (status: UnitStatus | undefined): void => {
      if (status?.unit !== unit || !accept(status)) return;
      off();
      found(status);
    };
    const off = runner.onChange(look);
    void runner.status(unit).then(look);
  });
}

function running(unit: string): Promise<UnitStatus> {
  return seen(unit, ({ state, pid }) => state === "running" && pid !== null);
}

/** Every process that runs the program of this test's folder, by its environment. */
async function programs(mark: string): Promise<number[]> {
  const { stdout } = await promisify(execFile)("sh", [
    "-c",
    `for p in /proc/[0-9]*; do tr '\\0' '\\n' <$p/environ 2>/dev/null | grep -qx 'MARK=${mark}' && echo $\{p#/proc/}; done; true`,
  ]);
  const alive: number[] = [];
  for (const pid of stdout.split("\n").filter(Boolean).map(Number)) {
    if ((await startTime(pid)) !== undefined) alive.push(pid);
  }
  return alive;
}

describe("the process runner", () => {
  it("starts a unit once and then leaves it alone", async () => {
    const first = await runner.ensure("osd.1", program);
    expect(first.action).toBe("started");
    const before = await running("osd.1");
    const second = await runner.ensure("osd.1", { stopSeconds: 2, argv: ["sleep", "1000"] });
    expect(second.action).toBe("unchanged");
    expect(second.status.pid).toBe(before.pid);
    expect((await runner.list()).map(({ unit }) => unit)).toEqual(["osd.1"]);
  });

  it("runs the program in a session of its own, without our streams, with exactly its environment", async () => {
    const file = join(folder, "out");
    const script = `ps -o sid= -p $$ >${file}; env >>${file}; exec sleep 1000`;
    await runner.ensure("a.b", {
      argv: ["sh", "-c", script],
      env: { PATH: "/usr/bin:/bin", TEXT: 'it\'s "quoted" $HOME\nand more' },
    });
    const { pid } = await running("a.b");
    const read = async (): Promise<string> => readFile(file, "utf8").catch(() => "");
    let text = await read();
    while (!text.includes("and more")) text = await read();
    expect(text).toContain('TEXT=it\'s "quoted" $HOME\nand more');
    expect(text).not.toContain("npm_");
    const own = await readFile("/proc/self/stat", "utf8");
    expect(Number(text.split("\n")[0])).not.toBe(Number(own.slice(own.lastIndexOf(")") + 2).split(" ")[3]));
    while (!(await readFile(`/proc/${pid}/cmdline`, "utf8")).startsWith("sleep")) await turn();
    const unit = `${folder}/a.b`;
    const descriptors = async (): Promise<Record<string, string>> => {
      const names = await readdir(`/proc/${pid}/fd`);
      const target = (name: string) => readlink(`/proc/${pid}/fd/${name}`).catch(() => "");
      return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await target(name)])));
    };
    // While it is being loaded, the loader has one library after the other open as the first free one.
    let open = await descriptors();
    while ("3" in open) {
      await turn();
      open = await descriptors();
    }
    expect(open).toEqual({
      0: "/dev/null",
      1: `${unit}/log`,
      2: `${unit}/log`,
      8: `${unit}/child.lock`,
    });
  });

  it("is adopted by the next daemon process, the program untouched", async () => {
    await runner.ensure("osd.1", program);
    const { pid } = await running("osd.1");
    await runner.close();
    runner = newRunner();
    await runner.open();
    const again = await runner.ensure("osd.1", program);
    expect(again).toMatchObject({ action: "unchanged", status: { pid, state: "running", restarts: 0 } });
  });

  it("restarts a killed program with a growing pause and says why", async () => {
    await runner.ensure("osd.1", { argv: ["sh", "-c", "exit 3"], stopSeconds: 1 });
    const status = await seen("osd.1", ({ restarts }) => restarts >= 4);
    expect(status.lastExit).toBe(3);
    const waiting = await seen("osd.1", ({ state, restarts }) => state === "waiting" && restarts >= 4);
    expect(waiting.reason).toBe("ended with status 3; starts again in 0.080 s");
  });

  it("begins again with the shortest pause after a long run", async () => {
    await runner.close();
    runner = newRunner({ firstMs: 10, mostMs: 10_000, resetMs: 0 });
    await runner.open();
    await runner.ensure("osd.1", { argv: ["sh", "-c", "exit 1"] });
    const waiting = await seen("osd.1", ({ state, restarts }) => state === "waiting" && restarts >= 5);
    expect(waiting.reason).toContain("in 0.010 s");
  });

  it("stops with TERM, then KILL, and leaves nothing", async () => {
    const stubborn: UnitSpec = {
      argv: ["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"],
      env: { PATH: "/usr/bin:/bin", MARK: folder },
      stopSeconds: 0.3,
    };
    await runner.ensure("osd.1", { ...stubborn, stopSeconds: 1 });
    await running("osd.1");
    await runner.stop("osd.1");
    expect(await programs(folder)).toEqual([]);
    expect(await runner.status("osd.1")).toMatchObject({ state: "stopped", pid: null, supervisorPid: null });
    await runner.stop("osd.1", { removeAlso: true });
    expect(await runner.status("osd.1")).toBeUndefined();
    await runner.stop("osd.1", { removeAlso: true });
  });

  it("reports a changed spec and restarts only when asked", async () => {
    await runner.ensure("osd.1", program);
    const { pid } = await running("osd.1");
    const changed: UnitSpec = { ...program, argv: ["sleep", "2000"] };
    expect(await runner.ensure("osd.1", changed)).toMatchObject({ action: "differs", status: { pid } });
    const restarted = await runner.ensure("osd.1", changed, { restartIfChanged: true });
    expect(restarted.action).toBe("restarted");
    const now = await seen(
      "osd.1",
      (status) => status.state === "running" && status.pid !== null && status.pid !== pid,
    );
    // For a moment it is still the script that becomes the program.
    const words = async (): Promise<string[]> =>
      (await readFile(`/proc/${now.pid}/cmdline`, "utf8")).split("\0");
    while ((await words())[0] !== "sleep") await turn();
    expect(await words()).toContain("2000");
  });

  it("adopts the program of a killed supervisor, and still restarts it when it dies", async () => {
    const marked: UnitSpec = { ...program, env: { PATH: "/usr/bin:/bin", MARK: folder } };
    await runner.ensure("osd.1", marked);
    const before = await running("osd.1");
    process.kill(before.supervisorPid ?? 0, "SIGKILL");
    const record = await new UnitFolder(folder, "osd.1").supervisor();
    while (await isAlive(record)) await turn();
    expect(await runner.status("osd.1")).toMatchObject({ state: "unsupervised", pid: before.pid });
    expect((await runner.ensure("osd.1", marked)).action).toBe("started");
    const after = await seen("osd.1", (status) => status.state === "running");
    expect(after.pid).toBe(before.pid);
    expect(await programs(folder)).toEqual([before.pid]);
    process.kill(before.pid ?? 0, "SIGKILL");
    const fresh = await seen(
      "osd.1",
      ({ state, pid }) => state === "running" && pid !== null && pid !== before.pid,
    );
    expect(await programs(folder)).toEqual([fresh.pid]);
  });

  it("ends the left-over program of another spec before it starts the new one", async () => {
    const marked: UnitSpec = { ...program, env: { PATH: "/usr/bin:/bin", MARK: folder } };
    await runner.ensure("osd.1", marked);
    const before = await running("osd.1");
    process.kill(before.supervisorPid ?? 0, "SIGKILL");
    const record = await new UnitFolder(folder, "osd.1").supervisor();
    while (await isAlive(record)) await turn();
    await runner.ensure("osd.1", { ...marked, argv: ["sleep", "3000"] });
    const after = await seen(
      "osd.1",
      (status) => status.state === "running" && status.pid !== null && status.pid !== before.pid,
    );
    expect(await programs(folder)).toEqual([after.pid]);
  });

  it("never has two programs, even where the first one's record was lost", async () => {
    const marked: UnitSpec = { ...program, env: { PATH: "/usr/bin:/bin", MARK: folder } };
    await runner.ensure("osd.1", marked);
    const before = await running("osd.1");
    const record = await new UnitFolder(folder, "osd.1").supervisor();
    process.kill(before.supervisorPid ?? 0, "SIGKILL");
    while (await isAlive(record)) await turn();
    // As if the supervisor had been killed between the fork and the record.
    const lost = await readFile(join(folder, "osd.1/child"), "utf8");
    await unlink(join(folder, "osd.1/child"));
    await runner.ensure("osd.1", marked);
    expect(await programs(folder)).toEqual([before.pid]);
    await writeFile(join(folder, "osd.1/child"), lost);
    const after = await seen("osd.1", (status) => status.state === "running");
    expect(after.pid).toBe(before.pid);
  });

  it("completes a folder that was half written by a killed daemon", async () => {
    for (const [index, file] of ["run.sh", "spec.json", "status", "supervisor.pid", "child"].entries()) {
      const unit = `osd.${index}`;
      await mkdir(join(folder, unit), { recursive: true });
      await writeFile(join(folder, unit, file), '{"argv');
      expect((await runner.ensure(unit, program)).action, file).toBe("started");
      await running(unit);
    }
  });

  it("starts one program when several supervisors are started at once", async () => {
    const marked: UnitSpec = { ...program, env: { PATH: "/usr/bin:/bin", MARK: folder } };
    const files = new UnitFolder(folder, "osd.1");
    await files.write(marked);
    const script = resolve(import.meta.dirname, "../../../../src/ceph/runner/supervise.sh");
    const args = [script, files.path, specHash(marked), "2000", "20", "80", "60000"];
    const supervisors = [1, 2, 3, 4].map(() =>
      spawn("sh", args, { detached: true, stdio: "ignore", cwd: "/" }),
    );
    const ended = supervisors.map((each) => new Promise((done) => each.once("exit", () => done(each))));
    const first = await Promise.race(ended);
    expect((await runner.ensure("osd.1", marked)).action).toMatch(/unchanged|started/);
    const { pid } = await running("osd.1");
    expect(await programs(folder)).toEqual([pid]);
    expect(first).toBeDefined();
    expect(supervisors.filter((each) => each.exitCode === null).length).toBeLessThanOrEqual(3);
  });

  it("finishes a stop that was cut short before it starts the unit again", async () => {
    await runner.ensure("osd.1", program);
    const { pid } = await running("osd.1");
    await new UnitFolder(folder, "osd.1").forbid();
    expect((await runner.ensure("osd.1", program)).action).toBe("started");
    const after = await seen(
      "osd.1",
      ({ state, pid: now }) => state === "running" && now !== null && now !== pid,
    );
    expect(await isAlive(await new UnitFolder(folder, "osd.1").child())).toBe(true);
    expect(after.restarts).toBe(0);
  });

  it("repairs a dead supervisor by itself", async () => {
    await runner.close();
    runner = new ProcessRunner({ folder, sweepMs: 20 }, { log });
    await runner.open();
    await runner.ensure("osd.1", program);
    const before = await running("osd.1");
    process.kill(before.supervisorPid ?? 0, "SIGKILL");
    const after = await seen(
      "osd.1",
      (status) => status.state === "running" && status.supervisorPid !== before.supervisorPid,
    );
    expect(after.pid).toBe(before.pid);
  });

  it("lets its units outlive a killed daemon process and its group", async () => {
    const source = resolve(import.meta.dirname, "../../../../src/ceph/runner/process-runner.ts");
    const code = `
      import { ProcessRunner } from ${JSON.stringify(source)};
      const log = { warn() {}, error() {} };
      const runner = new ProcessRunner({ folder: ${JSON.stringify(folder)} }, { log });
      await runner.open();
      await runner.ensure("osd.1", ${JSON.stringify(program)});
      console.log("ready");
      setInterval(() => undefined, 1000);`;
    // A file that is inherited all the way down, as some harnesses have one.
    const daemon = spawn(
      "bash",
      [
        "-c",
        'exec 200>&1; exec "$@"',
        "bash",
        process.execPath,
        "--input-type=module-typescript",
        "-e",
        code,
      ],
      { detached: true, stdio: ["ignore", "pipe", "inherit"] },
    );
    await new Promise((ready) => daemon.stdout.once("data", ready));
    const ended = new Promise((gone) => daemon.once("close", gone));
    process.kill(-(daemon.pid ?? 0), "SIGKILL");
    // `close` needs every holder of its standard output to be gone: the unit holds none, nor what was inherited.
    await ended;
    expect((await runner.ensure("osd.1", program)).action).toBe("unchanged");
    expect((await running("osd.1")).restarts).toBe(0);
  });

  it.each(["", "Osd.1", "../osd", "osd.", "osd.a/b", "osd..", `osd.${"a".repeat(200)}`])(
    "refuses the unit name %j",
    async (unit) => {
      await expect(runner.ensure(unit, program)).rejects.toMatchObject({ code: "USAGE" });
    },
  );
});
