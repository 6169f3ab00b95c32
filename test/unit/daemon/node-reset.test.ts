import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { finishReset, markReset } from "../../../src/daemon/node-reset.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "reset-"));
  for (const folder of [
    ...["etcd/member", "etcd.restored/member", "monitor-rebuild/store.db"],
    ...["conf", "data/osd/ceph-3", "data/mon/ceph-n1", "run", "supervisors"],
  ]) {
    await mkdir(join(dir, folder), { recursive: true });
  }
  for (const file of [
    "state.db",
    "node.key",
    "conf/ceph.conf",
    "data/osd/ceph-3/osd-backing.img",
    "daemon.log",
  ]) {
    await writeFile(join(dir, file), file);
  }
});
afterEach(() => rm(dir, { recursive: true, force: true }));

it("nothing goes without the decision", async () => {
  expect(await finishReset(dir)).toBe(false);
  expect(await readdir(dir)).toContain("node.key");
});

it("a reset takes identity, keys and state, and sets OSDs aside with what they hold; run again it is done", async () => {
  await markReset(dir, 0);
  expect(await finishReset(dir)).toBe(true);
  expect((await readdir(dir)).sort()).toEqual(["daemon.log", "kept"]);
  const kept = join(dir, "kept", "1970-01-01T000000.000Z", "osd", "ceph-3", "osd-backing.img");
  expect(await readFile(kept, "utf8")).toContain("osd-backing");
  expect(await finishReset(dir)).toBe(false);
});

it("a reset that was cut short at any file is completed", async () => {
  await markReset(dir, 0);
  await mkdir(join(dir, "kept", "1970-01-01T000000.000Z"), { recursive: true });
  await rm(join(dir, "state.db"));
  await rm(join(dir, "etcd"), { recursive: true });
  expect(await finishReset(dir)).toBe(true);
  expect(await readdir(join(dir, "kept", "1970-01-01T000000.000Z", "osd"))).toEqual(["ceph-3"]);
  expect(await readdir(dir)).not.toContain("node.key");
});
