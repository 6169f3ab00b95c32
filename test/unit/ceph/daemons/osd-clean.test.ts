import { existsSync } from "node:fs";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backingFile, readyMarker } from "../../../../src/ceph/daemons/osd.ts";
import { cleanOsd, purgedHere } from "../../../../src/ceph/daemons/osd-clean.ts";
import { osdId } from "../../../../src/ids/ids.ts";
import { type FakeNode, fakeNode } from "./fake-node.ts";

const uuid = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
const other = "bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee";
let node: FakeNode;
let home: string;

beforeEach(async () => {
  node = await fakeNode();
  home = node.deps.paths.dataDir("osd", osdId(3));
  await mkdir(home, { recursive: true });
  await writeFile(join(home, "fsid"), `${uuid}\n`);
  await writeFile(join(home, readyMarker), "");
  await writeFile(join(home, backingFile), "data");
  await symlink(backingFile, join(home, "block"));
});
afterEach(() => node.remove());

describe("what a purged OSD leaves behind", () => {
  it("is named when the journal says purged and Ceph's map lacks it", async () => {
    const found = await purgedHere(node.deps, new Set([uuid]), async () => [{ uuid: other }]);
    expect(found.map(({ osd }) => osd)).toEqual([3]);
  });

  it.each([
    ["it is in Ceph's map still", [uuid], [{ uuid }]],
    ["another one was purged", [other], []],
  ])("is left alone when %s", async (_why, purged, inMap) => {
    expect(await purgedHere(node.deps, new Set(purged), async () => inMap)).toEqual([]);
  });

  it("is left alone while Ceph does not answer", async () => {
    const silent = async (): Promise<never> => {
      throw new Error("no quorum");
    };
    await expect(purgedHere(node.deps, new Set([uuid]), silent)).rejects.toThrow("no quorum");
  });

  it("goes, process and file, and going again is no error", async () => {
    const [local] = await purgedHere(node.deps, new Set([uuid]), async () => []);
    if (local === undefined) throw new Error("not found");
    await cleanOsd(node.deps, local);
    expect(existsSync(home)).toBe(false);
    await cleanOsd(node.deps, local);
  });
});
