import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readFileIfPresent, removeTemporaries, writeFileAtomic } from "../../../src/files/atomic-file.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "mc-atomic-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it("removes what killed runs have left, and nothing else", async () => {
  await mkdir(join(folder, "conf"));
  const kept = ["conf/ceph.conf", "state.db", ".hidden.tmp", "conf/notes.tmp"];
  const left = ["conf/.ceph.conf.0123456789ab.tmp", "node.key.0123456789ab.tmp"];
  for (const name of [...kept, ...left]) await writeFile(join(folder, name), "");
  expect(await removeTemporaries(folder)).toBe(2);
  const found = await readdir(folder, { recursive: true });
  expect(found.sort()).toEqual(["conf", ...kept].sort());
});

describe("writeFileAtomic", () => {
  it("keeps a whole file when many write it at once, and leaves nothing beside it", async () => {
    const path = join(folder, "ceph.conf");
    const texts = Array.from({ length: 20 }, (_, n) => `${n}\n`.repeat(2000));
    await Promise.all(texts.map((text) => writeFileAtomic(path, text)));
    expect(texts).toContain(await readFile(path, "utf8"));
    expect(await readdir(folder)).toEqual(["ceph.conf"]);
  });

  it("sets the mode whatever the file had before", async () => {
    const path = join(folder, "keyring");
    await writeFile(path, "old", { mode: 0o644 });
    await writeFileAtomic(path, "new", 0o600);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it("leaves the old file and no rest when it cannot write", async () => {
    await expect(writeFileAtomic(join(folder, "absent", "file"), "x")).rejects.toMatchObject({
      code: "ENOENT",
    });
    expect(await readFileIfPresent(join(folder, "absent"))).toBeUndefined();
    expect(await readdir(folder)).toEqual([]);
  });
});
