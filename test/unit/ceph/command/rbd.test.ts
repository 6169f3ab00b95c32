import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { CephProgram } from "../../../../src/ceph/command/rbd.ts";
import { isRefusal } from "../../../../src/ceph/command/words.ts";

const key = "AQC7xgtrFZQbDBAAbdzOj35bjnYq6lmbl7vgIw==";
const site = { monHost: "[v2:10.0.0.1:3300]", client: "remote.west", key };
const before = process.env.PATH;
let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "microceph-rbd-"));
  process.env.PATH = `${folder}:${before}`;
});
afterEach(async () => {
  process.env.PATH = before;
  await rm(folder, { recursive: true, force: true });
});

/** Stands in for the program. */
const rbd = (script: string): Promise<void> =>
  writeFile(join(folder, "rbd"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
const ask = (words: readonly string[]): Promise<string> =>
  CephProgram.foreign({ run: folder }, site, (program) => program.text("rbd", words));

it("reaches another cluster with a key in a file that nobody else may read, and that is gone afterwards", async () => {
  await rbd('echo "$@"; stat -c %a "$8"; cat "$8"');
  const [said = "", mode, given] = (await ask(["ls"])).split("\n");
  expect(said).toMatch(
    /^-c \/dev\/null --mon-host \[v2:10\.0\.0\.1:3300\] --id remote\.west --keyfile \S+ ls$/,
  );
  expect([mode, given]).toEqual(["600", key]);
  expect(await readdir(folder)).toEqual(["rbd"]);
});

it.each([
  [2, "ENOENT"],
  [16, "EBUSY"],
])("what ends with %i is Ceph's %s, in its last words, without the key", async (code, errno) => {
  await rbd(`echo log >&2; echo 'no ${key} there' >&2; exit ${code}`);
  const error = await ask(["ls"]).catch((thrown: unknown) => thrown);
  expect(isRefusal(error, errno)).toBe(true);
  expect((error as Error).message).toBe("no *** there");
  expect(await readdir(folder)).toEqual(["rbd"]);
});

it("what is no JSON is refused", async () => {
  await rbd("echo '{'");
  const asked = CephProgram.foreign({ run: folder }, site, (program) => program.json("rbd", ["ls"]));
  await expect(asked).rejects.toMatchObject({ code: "CEPH_REFUSED" });
});
