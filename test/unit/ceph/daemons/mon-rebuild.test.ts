import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collectOsdMaps } from "../../../../src/ceph/daemons/mon-rebuild.ts";
import { backingFile, readyMarker } from "../../../../src/ceph/daemons/osd.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import { after, type FakeNode, fakeNode, nothing } from "./fake-node.ts";

describe("the maps that a host's OSDs have", () => {
  let fake: FakeNode;
  /** What the tool says of an OSD that gives nothing. */
  let broken: Map<string, string>;

  beforeEach(async () => {
    broken = new Map();
    fake = await fakeNode(async (_program, args) => {
      const said = broken.get(after(args, "--data-path"));
      if (said !== undefined) throw new MicrocephError("PROGRAM_FAILED", said);
      return nothing;
    });
    for (const osd of [0, 1]) {
      const home = fake.deps.paths.dataDir("osd", osd);
      await mkdir(home, { recursive: true });
      for (const file of [readyMarker, backingFile]) await writeFile(join(home, file), "");
      await symlink(backingFile, join(home, "block"));
      await fake.deps.runner.ensure(`osd.${osd}`, { argv: ["true"] } as never);
    }
  });
  afterEach(() => fake.remove());

  const collect = () => collectOsdMaps(fake.deps, join(fake.deps.paths.rebuild));
  const home = (osd: number): string => fake.deps.paths.dataDir("osd", osd);

  it("are gathered of each, and one that gives nothing is named", async () => {
    broken.set(home(0), "mount failed: (5) Input/output error");
    const { osds, left } = await collect();
    expect(osds).toEqual([1]);
    expect(left).toEqual([expect.stringContaining("osd.0: mount failed")]);
    expect([...fake.units.keys()].sort()).toEqual(["osd.0", "osd.1"]);
  });

  it("are not gathered in part because there is no room for them", async () => {
    broken.set(home(0), "rocksdb: IO error: No space left on device");
    await expect(collect()).rejects.toMatchObject({ code: "DISK_FULL" });
    expect([...fake.units.keys()].sort()).toEqual(["osd.0", "osd.1"]);
  });
});
