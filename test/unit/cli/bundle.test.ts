import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, stat, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundleProgram, bundleStart } from "../../../scripts/build/bundle.ts";
import { makeCache } from "../../../scripts/build/cache.ts";
import { runServer } from "../api/running-server.ts";

let directory = "";
let program = "";
let bundled: string[] = [];

const file = (suffix: string): string => join(directory, `microceph.${suffix}`);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "mc-cli-"));
  program = join(directory, "microceph.cjs");
  await bundleStart(program);
  const { inputs } = await bundleProgram("src/cli/main.ts", file("js"), { lateModules: true });
  bundled = Object.keys(inputs);
  makeCache(file("js"), ["--state-dir", join(directory, "none"), "status"]);
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

describe("the program as it is packed", () => {
  test("carries commander and no other library", () => {
    const packages = new Set(
      bundled.flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []),
    );
    expect([...packages]).toEqual(["commander"]);
  });

  test("loads of Node's modules only what a command needs", () => {
    const look =
      'process.on("exit", () => console.log(process.moduleLoadList.join("\\n"))); require(process.argv[1]);';
    const args = ["-e", look, program, "--state-dir", join(directory, "none"), "status"];
    const { stdout } = spawnSync(process.execPath, args, { encoding: "utf8" });
    const loaded = stdout.split("\n").map((line) => line.replace("NativeModule ", ""));
    expect(loaded).toEqual(expect.arrayContaining(["fs", "http"]));
    for (const name of ["child_process", "fs/promises", "crypto", "tls", "https", "readline"]) {
      expect(loaded).not.toContain(name);
    }
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

  test.each(["microceph", "microcephd"])(
    "starts from its code cache, as bin/%s starts Node",
    async (name) => {
      const script = await readFile(join("bin", name), "utf8");
      const options = /exec "\$node" (.*)"\$root\/dist\//.exec(script)?.[1]?.split(" ").filter(Boolean);
      const look = [
        'import { readFileSync } from "node:fs";',
        `import { compileProgram } from "${resolve("src/start/program.ts")}";`,
        "const [js, cache] = process.argv.slice(1);",
        'console.log(compileProgram(readFileSync(js, "latin1"), js, readFileSync(cache)).cached);',
      ].join("\n");
      const args = [...(options ?? ["--none"]), "--input-type=module", "-e", look, file("js"), file("cache")];
      expect(execFileSync(process.execPath, args, { encoding: "utf8" })).toBe("true\n");
      expect((await stat(file("cache"))).size).toBeGreaterThan(50_000);
    },
  );

  test("has the same code cache wherever and whenever it is made", async () => {
    const cache = await readFile(file("cache"));
    expect(cache.includes(directory, "latin1")).toBe(false);
    makeCache(file("js"), ["--state-dir", join(directory, "elsewhere"), "status"]);
    expect(cache.equals(await readFile(file("cache")))).toBe(true);
  });

  test("runs without a code cache, and with half of one", async () => {
    const usage = { code: 2, stdout: "", stderr: expect.stringContaining("unknown command 'nothing'") };
    await truncate(file("cache"), 40_000);
    expect(await run(["nothing"])).toEqual(usage);
    await rm(file("cache"));
    expect(await run(["nothing"])).toEqual(usage);
  });
});
