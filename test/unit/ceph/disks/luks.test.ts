import { randomBytes } from "node:crypto";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  encryptionSupport,
  isLuks,
  isLuksKey,
  luksAddKey,
  luksErase,
  luksFormat,
  luksOpensWith,
  luksRemoveKey,
  makeLuksKey,
  mappingName,
} from "../../../../src/ceph/disks/luks.ts";
import { contentOf } from "../../../../src/ceph/disks/pristine.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import { type RunResult, runProgram } from "../../../../src/process/run-program.ts";

// All but the mapping works without the kernel's help, so it runs on the real cryptsetup here; the mapping is
// tested in the virtual machine.
describe("a LUKS header", () => {
  const deps = { run: runProgram };
  const [key, another, stranger] = [1, 2, 3].map(() => makeLuksKey(randomBytes)) as [string, string, string];
  let dir = "";
  let device = "";

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "luks-"));
    device = join(dir, "disk.img");
    writeFileSync(device, "");
    truncateSync(device, 64 * 2 ** 20);
    await luksFormat(deps, device, key);
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it("opens with its key only, and the key is nowhere on the device", async () => {
    expect(await luksOpensWith(deps, device, key)).toBe(true);
    expect(await luksOpensWith(deps, device, stranger)).toBe(false);
    expect(readFileSync(device).includes(key)).toBe(false);
  });

  it("changes its key in steps that may each be run again", async () => {
    await luksAddKey(deps, device, key, another);
    await luksAddKey(deps, device, key, another);
    expect(await luksOpensWith(deps, device, key)).toBe(true);
    expect(await luksOpensWith(deps, device, another)).toBe(true);
    await luksRemoveKey(deps, device, key);
    await luksRemoveKey(deps, device, key);
    expect(await luksOpensWith(deps, device, key)).toBe(false);
    expect(await luksOpensWith(deps, device, another)).toBe(true);
  });

  it("refuses to add a key with one that does not open it, and tells no key", async () => {
    const failure = await luksAddKey(deps, device, stranger, key).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(MicrocephError);
    expect(String(failure)).not.toContain(stranger);
    expect(await luksOpensWith(deps, device, key)).toBe(false);
  });

  it("is gone for every key once erased, and the disk is empty for whoever looks", async () => {
    const end = openSync(device, "r+");
    writeSync(end, "ciphertext", 64 * 2 ** 20 - 512);
    closeSync(end);
    await luksErase(deps, device);
    await luksErase(deps, device);
    expect(await isLuks(deps, device)).toBe(false);
    expect(await luksOpensWith(deps, device, another)).toBe(false);
    expect(await contentOf(device, 64 * 2 ** 20)).toBeUndefined();
  });
});

describe("keys and names", () => {
  it("makes keys of 128 characters, and knows damaged ones", () => {
    expect(makeLuksKey(randomBytes)).toHaveLength(128);
    expect(isLuksKey(makeLuksKey(randomBytes))).toBe(true);
    expect(isLuksKey("short")).toBe(false);
    expect(isLuksKey(`${"a".repeat(127)}\n`)).toBe(false);
  });

  it("names mappings as MicroCeph does", () => {
    expect(mappingName("osd", 3)).toBe("luksosd-3");
    expect(mappingName("osd.wal", 3)).toBe("luksosd.wal-3");
  });
});

describe("the support for encryption", () => {
  const answers =
    (table: Record<string, string | Error>): typeof runProgram =>
    async (program, args): Promise<RunResult> => {
      const answer = table[`${program} ${args[0]}`] ?? table[program] ?? "";
      if (answer instanceof Error) throw answer;
      return { exitCode: 0, stdout: answer, stderr: "" };
    };
  const missing = new MicrocephError("MISSING_PROGRAM", "not installed");
  const failed = new MicrocephError("PROGRAM_FAILED", "cannot open /dev/mapper/control");

  it.each([
    ["everything is there", { dmsetup: "crypt            v1.24.0\nlinear v1.4.0" }, null],
    ["cryptsetup is missing", { cryptsetup: missing }, /cryptsetup-bin/],
    ["dmsetup is missing", { dmsetup: missing }, /package dmsetup/],
    ["there is no device mapper", { dmsetup: failed }, /modprobe dm_mod dm_crypt/],
    ["the target is missing", { dmsetup: "linear v1.4.0\nstriped v1.6.0" }, /modprobe dm_crypt/],
    ["modules cannot be loaded, but are there", { modprobe: missing, dmsetup: "crypt v1" }, null],
  ])("%s", async (_name, table, reason) => {
    const support = await encryptionSupport({ run: answers(table) });
    if (reason === null) expect(support).toEqual({ supported: true });
    else expect(support).toEqual({ supported: false, reason: expect.stringMatching(reason) });
  });
});
