import { describe, expect, test } from "vitest";
import { runServer } from "../api/running-server.ts";
import { microceph, TestIo } from "./run-in-process.ts";

/** Run the guide with these answers. */
async function guide(api: Awaited<ReturnType<typeof runServer>>, ...answers: string[]) {
  const io = new TestIo();
  io.answers = answers;
  io.onPause = () => {
    const { report } = api.operations;
    api.operations.report = { ...report, self: { ...report.self, state: "member" } };
  };
  return microceph(api.stateDir, "init", io);
}

function fresh(api: Awaited<ReturnType<typeof runServer>>): void {
  const { report } = api.operations;
  api.operations.report = { ...report, self: { ...report.self, state: "fresh" }, cluster: null };
}

describe("the guide through the first set-up", () => {
  test("founds a cluster, makes a token, and adds disks until there are enough", async () => {
    await using api = await runServer();
    fresh(api);
    api.operations.jobResult = { report: [{ path: "loop,4G,3", report: "Success", error: "" }] };
    const done = await guide(api, "", "attic", "", "n9", "", "loop,4G,3", "");
    expect([done.code, done.stderr]).toEqual([0, expect.stringContaining("loop,4G,3: Success")]);
    expect(api.operations.inputOf("bootstrap")).toMatchObject({ name: "attic" });
    expect(api.operations.inputOf("addDisks")).toMatchObject({ path: ["loop,4G,3"], wipe: false });
    expect(api.operations.joinTokens.map(({ name }) => name)).toEqual(["n9"]);
    // The token alone is the output, so that it can be passed on.
    expect(done.stdout.trim().split("\n")).toHaveLength(1);
  });

  test("asks again for what it cannot take, and joins the cluster that was chosen by its words", async () => {
    await using api = await runServer();
    fresh(api);
    const done = await guide(api, "0", "many", "2", "", "/dev/sdb", "perhaps", "yes", "no", "");
    expect(done.code, done.stderr).toBe(0);
    expect(done.stderr).toContain("A number from 1 to");
    expect(api.operations.inputOf("join")).toMatchObject({ cluster: expect.any(String) });
    expect(api.operations.inputOf("addDisks")).toMatchObject({
      path: ["/dev/sdb"],
      wipe: true,
      encrypt: false,
    });
  });

  test("founds nothing on a node that is a member, says what was refused, and goes on", async () => {
    await using api = await runServer();
    api.operations.jobFailure = { code: "DISK_IN_USE", message: "/dev/sdb is mounted" };
    const done = await guide(api, "", "/dev/sdb", "no", "no", "");
    expect([done.code, done.stderr]).toEqual([0, expect.stringContaining("[DISK_IN_USE]")]);
    expect(JSON.stringify(api.operations.calls)).not.toContain("bootstrap");
  });

  test("ends with a usage error when the input ends", async () => {
    await using api = await runServer();
    fresh(api);
    const ended = await guide(api);
    expect([ended.code, ended.stderr]).toEqual([2, expect.stringContaining("the input ended")]);
  });
});
