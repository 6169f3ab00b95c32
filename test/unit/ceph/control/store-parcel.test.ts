import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { receiveStore, sayAlive, sendStore } from "../../../../src/ceph/control/store-parcel.ts";

let root: string;
let from: string;
let to: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "parcel-"));
  from = join(root, "from");
  to = join(root, "to");
  await mkdir(join(from, "store.db"), { recursive: true });
  await writeFile(join(from, "kv_backend"), "rocksdb");
  await writeFile(join(from, "store.db", "CURRENT"), "");
  await writeFile(join(from, "store.db", "000004.sst"), Buffer.alloc(300_000, 7));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const text = (line: object): string => `${JSON.stringify(line)}\n`;

describe("a monitor store on its way", () => {
  it("arrives whole with its note, after signs of life, in the place of what was there", async () => {
    await mkdir(join(to, "store.db"), { recursive: true });
    await writeFile(join(to, "store.db", "old.sst"), "old");
    const [a, b] = duplexPair();
    const arrived = receiveStore(b, to);
    await sayAlive(a);
    await sayAlive(a);
    await sendStore(a, from, { entry: "7-x" });
    expect(await arrived).toEqual({ entry: "7-x" });
    expect((await readdir(join(to, "store.db"))).sort()).toEqual(["000004.sst", "CURRENT"]);
    expect((await readFile(join(to, "store.db", "000004.sst"))).equals(Buffer.alloc(300_000, 7))).toBe(true);
    expect(await readFile(join(to, "kv_backend"), "utf8")).toBe("rocksdb");
  });

  it("goes there and back over one stream, also while it is empty", async () => {
    const [a, b] = duplexPair();
    const there = (async () => {
      expect(await receiveStore(b, to)).toBe("go");
      await mkdir(join(to, "store.db"), { recursive: true });
      await writeFile(join(to, "store.db", "CURRENT"), "MANIFEST");
      await sendStore(b, to, "come");
    })();
    await sendStore(a, join(root, "none"), "go");
    expect(await receiveStore(a, join(root, "back"))).toBe("come");
    await there;
    expect(await readFile(join(root, "back", "store.db", "CURRENT"), "utf8")).toBe("MANIFEST");
  });

  it("is not taken, and nothing is touched, when its note does not pass", async () => {
    await mkdir(to);
    const [a, b] = duplexPair();
    const refused = receiveStore(b, to, async () => {
      throw new Error("who are you");
    });
    a.write(text({ v: 1, note: null, files: [{ path: "kv_backend", size: 4 }] }));
    await expect(refused).rejects.toThrow("who are you");
    expect(await readdir(to)).toEqual([]);
  });

  it.each([
    ["a path that leads out", { v: 1, note: null, files: [{ path: "store.db/../../x", size: 1 }] }],
    ["an absolute path", { v: 1, note: null, files: [{ path: "/etc/passwd", size: 1 }] }],
    ["another file beside", { v: 1, note: null, files: [{ path: "keyring", size: 1 }] }],
    ["a negative size", { v: 1, note: null, files: [{ path: "kv_backend", size: -1 }] }],
    ["more than a store ever is", { v: 1, note: null, files: [{ path: "kv_backend", size: 2 ** 45 }] }],
    ["another version", { v: 2, note: null, files: [] }],
    ["no note", { v: 1, files: [] }],
  ])("is refused with %s", async (_what, header) => {
    const [a, b] = duplexPair();
    a.write(text(header));
    await expect(receiveStore(b, to)).rejects.toMatchObject({ code: "UNSUPPORTED_BY_PEER" });
  });

  it("is refused when it is no JSON, or a line without an end", async () => {
    const [a, b] = duplexPair();
    a.write("nonsense\n");
    await expect(receiveStore(b, to)).rejects.toMatchObject({ code: "UNSUPPORTED_BY_PEER" });
    const [c, d] = duplexPair();
    c.on("error", () => undefined);
    const endless = receiveStore(d, to);
    for (let sent = 0; sent < 40; sent += 1) c.write(Buffer.alloc(65_536, 65));
    await expect(endless).rejects.toMatchObject({ code: "UNSUPPORTED_BY_PEER" });
  });

  it("says so when the other side ends in the middle", async () => {
    const [a, b] = duplexPair();
    a.end(`${text({ v: 1, note: null, files: [{ path: "kv_backend", size: 10 }] })}abc`);
    await expect(receiveStore(b, to)).rejects.toMatchObject({ code: "PEER_UNREACHABLE" });
  });

  it("does not write through a link that lies in its way", async () => {
    await mkdir(to);
    await writeFile(join(root, "precious"), "kept");
    await symlink(join(root, "precious"), join(to, "kv_backend"));
    const [a, b] = duplexPair();
    a.write(`${text({ v: 1, note: null, files: [{ path: "kv_backend", size: 3 }] })}abc`);
    await receiveStore(b, to);
    expect(await readFile(join(root, "precious"), "utf8")).toBe("kept");
  });
});
