import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { controlOsd, reportOsds } from "../../../../src/ceph/daemons/osd-control.ts";
import { complaintIn } from "../../../../src/ceph/daemons/osd-devices.ts";
import { osdId } from "../../../../src/ids/ids.ts";
import { type FakeNode, fakeNode } from "./fake-node.ts";

let node: FakeNode;

beforeEach(async () => {
  node = await fakeNode();
});
afterEach(() => node.remove());

async function osd(id: number, device: string): Promise<void> {
  const home = node.deps.paths.dataDir("osd", osdId(id));
  await mkdir(home, { recursive: true });
  await writeFile(join(home, "ready"), "");
  await writeFile(join(home, "fsid"), "u\n");
  await symlink(device, join(home, "block"));
}

describe("an OSD of this node", () => {
  it("that is stopped stays so until it is started", async () => {
    await osd(3, "/dev/null");
    await controlOsd(node.deps, osdId(3), "stop");
    expect(await reportOsds(node.deps)).toMatchObject([
      { osd: 3, stopped: true, state: "stopped", reason: "stopped by an operator" },
    ]);
    // It does not come up here, but it is wanted again and its supervisor has it.
    await expect(controlOsd(node.deps, osdId(3), "start", { upDeadlineMs: 1 })).rejects.toMatchObject({
      code: "CEPH_DAEMON_DOWN",
    });
    expect(node.units.has("osd.3")).toBe(true);
    expect(await reportOsds(node.deps)).toMatchObject([{ stopped: false, state: "running", reason: null }]);
  });

  it("whose device is gone says so, and its neighbour does not care", async () => {
    await osd(1, "/dev/null");
    await osd(2, "/dev/no-such-disk");
    await mkdir(join(node.deps.paths.supervisors, "osd.2"), { recursive: true });
    await writeFile(
      join(node.deps.paths.supervisors, "osd.2/log"),
      "2026-11-22T10:00:00.000+0000 7f1 -1  ** ERROR: unable to open OSD superblock: (2) No such file\n",
    );
    await node.deps.runner.ensure("osd.1", { argv: ["true"] });
    const reports = await reportOsds(node.deps);
    expect(reports[0]).toMatchObject({ osd: 1, state: "running", reason: null });
    expect(reports[1]?.reason).toBe(
      "/dev/no-such-disk is not there; ERROR: unable to open OSD superblock: (2) No such file",
    );
  });

  it("that is not here is not found", async () => {
    await expect(controlOsd(node.deps, osdId(9), "restart")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("what a daemon complained of last", () => {
  const line = (text: string): string => `2026-11-22T10:00:00.000+0000 7f0012ab -1 ${text}\n`;
  it.each<[string, string | null]>([
    ["", null],
    ["starting osd.0\n", null],
    [
      `${line("bdev read error: (5) Input/output error")}${line("all went on")}`,
      "bdev read error: (5) Input/output error",
    ],
    [
      line(" ** ERROR: osd init failed: (5) Input/output error"),
      "ERROR: osd init failed: (5) Input/output error",
    ],
    [`${line("a first word")}${line("Falling back to public interface")}`, "a first word"],
  ])("of %j is %j", (log, complaint) => {
    expect(complaintIn(log)).toBe(complaint);
  });
});
