import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { pendingVersion, SnapRefresh } from "../../../src/daemon/snap-refresh.ts";
import type { runProgram } from "../../../src/process/run-program.ts";

// As snapd's own help shows it (`snapctl refresh --help`).
const ready =
  "pending: ready\nchannel: stable\nversion: 0.2.0~x1\nrevision: 2\nbase: false\nrestart: false\n";

describe("a refresh that snapd has ready", () => {
  it.each([
    [ready, "0.2.0~x1"],
    [ready.replace("ready", "inhibited"), "0.2.0~x1"],
    [ready.replace("0.2.0~x1", '"2"'), "2"],
    ["pending: ready\nbase: true\nrestart: false\n", "a newer version"],
    ["pending: none\nchannel: latest/stable\nversion: 1\n", null],
    ["", null],
    ["error: cannot do that\n", null],
  ])("is told by its version: %j", (text, version) => {
    expect(pendingVersion(text)).toBe(version);
  });

  it("is asked for at the start, and what changed is told", async () => {
    const asked: string[][] = [];
    const { promise: changed, resolve: onChange } = Promise.withResolvers<void>();
    const run: typeof runProgram = async (program, args) => {
      asked.push([program, ...args]);
      return { exitCode: 0, stdout: ready, stderr: "" };
    };
    const refresh = new SnapRefresh({ run, log: pino({ level: "silent" }), onChange });
    refresh.start();
    await changed;
    expect(refresh.pending).toBe("0.2.0~x1");
    expect(asked).toEqual([["snapctl", "refresh", "--pending"]]);
    await refresh.stop();
  });

  it("is none where snapd does not answer", async () => {
    const run: typeof runProgram = () => Promise.reject(new Error("there is no snapctl"));
    const refresh = new SnapRefresh({ run, log: pino({ level: "silent" }), onChange: () => undefined });
    refresh.start();
    await refresh.stop();
    expect(refresh.pending).toBeNull();
  });
});
