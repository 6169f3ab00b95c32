import { describe, expect, it } from "vitest";
import { serviceName, startInSystemd } from "../../../../src/ceph/runner/start-supervisor.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import type { runProgram } from "../../../../src/process/run-program.ts";

const supervisor = {
  unit: "osd.3",
  argv: ["/bin/sh", "supervise.sh", "/state/supervisors/osd.3"] as [string, ...string[]],
  stopSeconds: 25,
};

function systemd(...refusals: string[]): { run: typeof runProgram; calls: string[][] } {
  const calls: string[][] = [];
  const run: typeof runProgram = async (program, args) => {
    calls.push([program, ...args]);
    const stderr = refusals.shift();
    if (stderr !== undefined) throw new MicrocephError("PROGRAM_FAILED", "refused", { data: { stderr } });
    return { exitCode: 0, stdout: "", stderr: "" };
  };
  return { run, calls };
}

describe("supervisors as services of systemd", () => {
  it.each([
    ["osd.3", "microceph-osd@3.service"],
    ["mon.node-1", "microceph-mon@node-1.service"],
    ["ingress", "microceph-ingress.service"],
  ])("are named after their units: %s", (unit, name) => {
    expect(serviceName(unit)).toBe(name);
  });

  it("have a control group each, and systemd stops nothing but the supervisor", async () => {
    const { run, calls } = systemd();
    await startInSystemd(run)(supervisor);
    const [call = []] = calls;
    expect(call).toEqual(
      expect.arrayContaining([
        "--unit=microceph-osd@3.service",
        "--slice=microceph.slice",
        "--property=KillMode=process",
        "--property=TimeoutStopSec=25",
        "--property=Before=microcephd.service",
      ]),
    );
    expect(call.slice(call.indexOf("--"))).toEqual(["--", ...supervisor.argv]);
  });

  it("wait until the service before has let go of its name", async () => {
    const taken = "Failed to start: Unit microceph-osd@3.service was already loaded or has a fragment file.";
    const { run, calls } = systemd(taken, taken);
    await startInSystemd(run)(supervisor);
    expect(calls).toHaveLength(3);
  });

  it("say what else systemd has against them", async () => {
    const { run, calls } = systemd("Failed to connect to bus");
    await expect(startInSystemd(run)(supervisor)).rejects.toMatchObject({ code: "PROGRAM_FAILED" });
    expect(calls).toHaveLength(1);
  });
});
