import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { cephPaths } from "../../../../src/ceph/config/ceph-paths.ts";
import type { DaemonDeps } from "../../../../src/ceph/daemons/deps.ts";
import type { Runner, UnitSpec, UnitStatus } from "../../../../src/ceph/runner/runner.ts";
import type { RunResult, runProgram } from "../../../../src/process/run-program.ts";

type Run = (program: string, args: readonly string[]) => Promise<RunResult | undefined>;

/** A node whose programs and units are the test's own. */
export interface FakeNode {
  readonly deps: DaemonDeps;
  readonly units: Map<string, UnitSpec>;
  readonly calls: string[][];
  remove(): Promise<void>;
}

export const nothing: RunResult = { exitCode: 0, stdout: "", stderr: "" };

export async function fakeNode(run: Run = async () => nothing): Promise<FakeNode> {
  const state = await mkdtemp(join(tmpdir(), "node-"));
  const units = new Map<string, UnitSpec>();
  const calls: string[][] = [];
  const status = (unit: string): UnitStatus => ({
    unit,
    state: units.has(unit) ? "running" : "stopped",
    pid: null,
    supervisorPid: null,
    restarts: 0,
    lastExit: null,
    reason: "",
    since: 0,
  });
  const runner: Runner = {
    open: async () => undefined,
    close: async () => undefined,
    ensure: async (unit, spec) => {
      const action = units.has(unit) ? "unchanged" : "started";
      units.set(unit, spec);
      return { action, status: status(unit) };
    },
    stop: async (unit) => void units.delete(unit),
    restart: async (unit) => status(unit),
    status: async (unit) => status(unit),
    list: async () => [...units.keys()].map(status),
    onChange: () => () => undefined,
  };
  const runAll: typeof runProgram = async (program, args) => {
    calls.push([program, ...args]);
    return (await run(program, args)) ?? nothing;
  };
  return {
    deps: {
      keys: () => null,
      paths: cephPaths(state),
      runner,
      log: pino({ level: "silent" }),
      run: runAll,
    },
    units,
    calls,
    remove: () => rm(state, { recursive: true, force: true }),
  };
}

/** The value that follows an option in an argument list. */
export function after(args: readonly string[], option: string): string {
  return args[args.indexOf(option) + 1] ?? "";
}
