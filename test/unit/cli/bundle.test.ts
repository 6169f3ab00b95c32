import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runServer } from "../api/running-server.ts";

let directory = "";
let program = "";
let bundled: string[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "mc-cli-"));
  program = join(directory, "microceph.cjs");
  const { metafile } = await build({
    entryPoints: [resolve("src/cli/main.ts")],
    outfile: program,
    bundle: true,
    platform: "node",
    target: "node26",
    format: "cjs",
    metafile: true,
    logLevel: "error",
  });
  bundled = Object.keys(metafile.inputs);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Run the bundle as a process; `onOutput` may talk back to it. */
function run(
  args: readonly string[],
  onOutput: (child: ReturnType<typeof spawn>) => void = () => undefined,
): Promise<Ended> {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (text) => {
      stdout += text;
      onOutput(child);
    });
    child.stderr.on("data", (text) => {
      stderr += text;
    });
    child.on("error", failed);
    child.on("close", (code) => done({ code, stdout, stderr }));
  });
}

describe("the program as one file", () => {
  test("carries commander and no other library", () => {
    const packages = new Set(
      bundled.flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []),
    );
    expect([...packages]).toEqual(["commander"]);
  });

  test("talks to a daemon and passes exit codes and streams on", async () => {
    await using api = await runServer();
    const status = await run(["--state-dir", api.stateDir, "status"]);
    expect(status).toMatchObject({ code: 0, stderr: "" });
    expect(status.stdout).toMatch(/^MicroCeph deployment summary:\n/);
    const yaml = await run(["--state-dir", api.stateDir, "mesh", "status", "--format", "yaml"]);
    expect(yaml.stdout).toMatch(/^asOf: /);
    const usage = await run(["--state-dir", api.stateDir, "mesh", "deny"]);
    expect(usage).toMatchObject({ code: 2, stdout: "" });
    expect(usage.stderr).toMatch(/\[USAGE\]/);
  });

  test("ends a stream on Ctrl-C in good order", async () => {
    await using api = await runServer();
    api.operations.emit("daemon.started", { version: "1" });
    const ended = await run(["--state-dir", api.stateDir, "events", "--follow", "--since", "0"], (child) =>
      child.kill("SIGINT"),
    );
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(ended.stdout).toContain("daemon.started");
  });

  test("without a daemon says so", async () => {
    const ended = await run(["--state-dir", directory, "status"]);
    expect(ended.code).toBe(3);
    expect(ended.stderr).toMatch(/^Error: no daemon answers on .* \[DAEMON_NOT_RUNNING\]\nHint: /);
  });
});
