import { describe, expect, test } from "vitest";
import { parseDuration } from "../../../src/cli/duration.ts";
import { runCli } from "../../../src/cli/program.ts";
import { errorCodes } from "../../../src/errors/codes.ts";
import { runServer } from "../api/running-server.ts";
import { microceph, TestIo } from "./run-in-process.ts";

describe("usage errors exit 2, with code and hint, and ask the daemon nothing", () => {
  test.each([
    ["nothing", "an unknown command", "unknown command 'nothing'"],
    ["mesh nothing", "an unknown command of a group", "unknown command 'nothing'"],
    ["statsu", "a mistyped command", "Did you mean status?"],
    ["mesh", "a group alone", "`microceph mesh` takes one of: status, explain, approve"],
    ["status --frmat json", "an unknown flag", "unknown option '--frmat'"],
    ["status extra", "an argument too many", "too many arguments"],
    ["status --format xml", "an unknown format", "xml"],
    ["status --format csv", "csv of what is no list", "csv is for plain lists"],
    ["mesh deny", "an argument too few", "missing required argument 'node'"],
    ["mesh deny a b", "two nodes to deny", "too many arguments"],
    ["mesh approve", "nobody to approve", "--all"],
    ["mesh approve n4 --all", "some and all", "--all"],
    ["mesh admission open", "an unknown mode", "open"],
    ["mesh admission closed --for 1h", "a time for a mode without", "admission auto"],
    ["mesh admission --forever", "for ever of nothing", "admission auto"],
    ["mesh admission auto --for 1h --forever", "for a time and for ever", "exclude"],
    ["mesh admission auto --for soon", "no length of time", "no length of time"],
    ["mesh admission auto --for 0", "no time at all", "no length of time"],
    ["events --since x", "no number", "whole number"],
    ["disk add", "no disk", "no disk was named"],
    ["disk add loop,1K,3", "a unit that is none", "loop,SIZE,COUNT"],
    ["disk add loop,1M,3", "a size too small", "from 1G"],
    ["disk add loop,1G,0", "a count of none", "no count"],
    ["disk add loop,1G,3 /dev/vdb", "a loop spec with company", "stands alone"],
    ["disk add vdb", "a relative path", "absolute path"],
    ["disk add /dev/vdb /dev/vdb", "a disk twice", "twice"],
    ["cluster bootstrap now", "an argument where none goes", "too many arguments"],
    ["cluster bootstrap --mon-ip", "a flag without its value", "argument missing"],
    ["waitready --timeout never", "no number of seconds", "number of seconds"],
    ["waitready --timeout -1", "a negative time", "number of seconds"],
  ])("%s (%s)", async (line, _what, says) => {
    await using api = await runServer();
    const { code, stdout, stderr } = await microceph(api.stateDir, line);
    expect(stderr).toMatch(/^Error: .* \[USAGE\]\nHint: .+\n$/);
    expect(stderr).toContain(says);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(api.operations.calls).toEqual([]);
  });

  test("what the daemon refuses reads the same", async () => {
    await using api = await runServer();
    const { code, stderr } = await microceph(api.stateDir, "cluster bootstrap --mon-ip 10.0.0");
    expect(code).toBe(2);
    expect(stderr).toMatch(/^Error: body monIp: .* \[USAGE\]\n/);
  });

  test("a bad disk is refused before a daemon is looked for", async () => {
    const { code, stderr } = await microceph("/nonexistent", "disk add loop,1K,3");
    expect([code, stderr]).toEqual([2, expect.stringContaining("loop,SIZE,COUNT")]);
  });

  test("a flag with an empty value", async () => {
    const { code, stderr } = await microceph("/nonexistent", ["cluster", "bootstrap", "--name", ""]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("--name was given without a value")]);
  });

  test("a state directory too deep for a socket", async () => {
    const { code, stderr } = await microceph(`/${"x".repeat(120)}`, "status");
    expect([code, stderr]).toEqual([2, expect.stringContaining("too long")]);
  });
});

describe("exit codes come from the registry", () => {
  test("no daemon: 3", async () => {
    const { code, stderr } = await microceph("/nonexistent", "status");
    expect(code).toBe(3);
    expect(stderr).toBe(
      `Error: no daemon answers on /nonexistent/control.socket [DAEMON_NOT_RUNNING]\nHint: ${errorCodes.DAEMON_NOT_RUNNING.remedy}\n`,
    );
  });

  test("the state directory may come from the environment", async () => {
    await using api = await runServer();
    const io = new TestIo({ env: { MICROCEPH_STATE_DIR: api.stateDir } });
    expect(await runCli(["mesh", "fingerprint"], io)).toBe(0);
  });

  test("a fault of the daemon: 1, and --debug shows data and stack", async () => {
    await using api = await runServer();
    api.operations.mesh = async () => {
      throw new Error("boom\u001b[2J");
    };
    const { code, stderr } = await microceph(api.stateDir, "mesh status --debug");
    expect(code).toBe(1);
    expect(stderr).toContain("GET /1.0/mesh 500 ");
    expect(stderr).toContain("Error: boom\ufffd[2J [INTERNAL]");
    expect(stderr).toContain("Data: {}");
  });

  test("help and version: 0, without a daemon", async () => {
    const io = () => new TestIo();
    for (const args of [[], ["--help"], ["help"], ["help", "mesh"], ["mesh", "admission", "--help"]]) {
      const here = io();
      expect(await runCli(args, here), args.join(" ")).toBe(0);
      expect(here.stdout.text, args.join(" ")).toMatch(/^Usage: microceph/);
    }
    const here = io();
    expect(await runCli(["--version"], here)).toBe(0);
    const version = String.raw`(?:\d+\.\d+\.\d+|\(not installed\))`;
    expect(here.stdout.text).toMatch(
      new RegExp(`^microceph-mesh \\d+\\.\\d+\\.\\d+\nceph ${version}\netcd ${version}\nmesh protocol 1\n$`),
    );
  });
});

test.each([
  ["90", 90],
  ["90s", 90],
  ["30m", 1800],
  ["1h30m", 5400],
  ["7d", 604_800],
  ["2w", 1_209_600],
])("%s is a length of time", (text, seconds) => expect(parseDuration(text)).toBe(seconds));

test.each(["", "h", "1.5h", "1h 30m", "-1h", "1y", "0s", "99999999999w"])("%j is none", (text) => {
  expect(() => parseDuration(text)).toThrow(expect.objectContaining({ code: "USAGE" }));
});
