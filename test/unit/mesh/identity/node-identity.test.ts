import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isPeerId } from "../../../../src/ids/ids.ts";
import { fingerprintWords } from "../../../../src/mesh/identity/fingerprint.ts";
import { fingerprintWordList } from "../../../../src/mesh/identity/fingerprint-word-list.ts";
import { loadOrCreateIdentity } from "../../../../src/mesh/identity/node-identity.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "identity-"));
});
afterEach(() => rm(directory, { recursive: true }));

describe("node identity", () => {
  it("is made once and private, and nothing else stays behind", async () => {
    const state = join(directory, "state");
    const first = await loadOrCreateIdentity(state);
    expect(isPeerId(first.peerId)).toBe(true);
    expect((await loadOrCreateIdentity(state)).peerId).toBe(first.peerId);
    expect((await stat(join(state, "node.key"))).mode & 0o777).toBe(0o600);
    expect(await readdir(state)).toEqual(["node.key"]);
  });

  it("is the same for starts that race", async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateIdentity(directory)));
    expect(new Set(all.map(({ peerId }) => peerId)).size).toBe(1);
    expect(await readdir(directory)).toEqual(["node.key"]);
  });

  it("is made private again", async () => {
    const path = join(directory, "node.key");
    const { peerId } = await loadOrCreateIdentity(directory);
    const text = await readFile(path);
    await rm(path);
    await writeFile(path, text, { mode: 0o644 });
    expect((await loadOrCreateIdentity(directory)).peerId).toBe(peerId);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it.each(["", "nonsense", "CAESQA=="])("is never replaced: %j is refused as damaged", async (text) => {
    await writeFile(join(directory, "node.key"), text);
    await expect(loadOrCreateIdentity(directory)).rejects.toMatchObject({ code: "STATE_CORRUPT" });
    expect(await readFile(join(directory, "node.key"), "utf8")).toBe(text);
  });
});

describe("fingerprint words", () => {
  const clusterKey = Buffer.alloc(32, 1).toString("base64");

  it("are four, and differ for another node or another cluster", async () => {
    const one = await loadOrCreateIdentity(join(directory, "1"));
    const two = await loadOrCreateIdentity(join(directory, "2"));
    const words = fingerprintWords(clusterKey, one.peerId);
    expect(words.split("-").every((word) => fingerprintWordList.includes(word))).toBe(true);
    expect(words.split("-")).toHaveLength(4);
    expect(fingerprintWords(clusterKey, one.peerId)).toBe(words);
    expect(fingerprintWords(clusterKey, two.peerId)).not.toBe(words);
    expect(fingerprintWords(Buffer.alloc(32, 2).toString("base64"), one.peerId)).not.toBe(words);
  });

  it("come from 1024 words of three to eight letters, no two alike in their first four", () => {
    expect(fingerprintWordList).toHaveLength(1024);
    expect(fingerprintWordList.filter((word) => !/^[a-z]{3,8}$/.test(word))).toEqual([]);
    expect(new Set(fingerprintWordList.map((word) => word.slice(0, 4))).size).toBe(1024);
  });
});
