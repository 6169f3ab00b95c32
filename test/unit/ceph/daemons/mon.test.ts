import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeCephKey, renderKeyring } from "../../../../src/ceph/config/keyring.ts";
import { bootstrapMon, prepareMon, removeMon, startMon } from "../../../../src/ceph/daemons/mon.ts";
import { fsid, handle } from "../../../../src/ids/ids.ts";
import { after, type FakeNode, fakeNode, nothing } from "./fake-node.ts";

const key = makeCephKey((size) => new Uint8Array(size), 0);
const cluster = fsid("00000000-1111-2222-3333-444444444444");
const mon = { handle: handle("n1"), fsid: cluster, address: "10.0.0.1", monKey: key, keys: [] };

const monitors = [{ name: "n2", addresses: [{ type: "v2", address: "10.0.0.2:3300" } as const] }];

let node: FakeNode;
let makesStore: boolean;
let keyring: string;
let dies: boolean;

beforeEach(async () => {
  makesStore = true;
  dies = false;
  node = await fakeNode(async (_, args) => {
    if (!args.includes("--mkfs")) return nothing;
    keyring = await readFile(after(args, "--keyring"), "utf8");
    if (makesStore) await mkdir(join(after(args, "--mon-data"), "store.db"));
    if (dies) throw new Error("killed");
    return nothing;
  });
});

afterEach(() => node.remove());

const names = (): Promise<string[]> => readdir(join(node.deps.paths.data, "mon"));

describe("a monitor's store", () => {
  it("is made once, with all keys, in one rename", async () => {
    expect(await bootstrapMon(node.deps, { ...mon, keys: [{ entity: "client.admin", key }] })).toBe("made");
    expect(node.calls[0]).toEqual(
      expect.arrayContaining(["--addv", "n1", "[v2:10.0.0.1:3300,v1:10.0.0.1:6789]", "--fsid", cluster]),
    );
    expect(keyring).toContain("[mon.]");
    expect(keyring).toContain("[client.admin]");
    expect(await names()).toEqual(["ceph-n1"]);
    expect(await bootstrapMon(node.deps, mon)).toBe("present");
    expect(await prepareMon(node.deps, { ...mon, monitors })).toBe("present");
    expect(node.calls.filter((call) => call.includes("--mkfs"))).toHaveLength(1);
  });

  it("of a time when the monitors had another key is set aside, and one is made that can join", async () => {
    await prepareMon(node.deps, { ...mon, monitors });
    const home = node.deps.paths.dataDir("mon", "n1");
    await writeFile(join(home, "keyring"), renderKeyring([{ entity: "mon.", key }]));
    expect(await prepareMon(node.deps, { ...mon, monitors })).toBe("present");
    const later = makeCephKey((size) => new Uint8Array(size), 5_000);
    expect(await prepareMon(node.deps, { ...mon, monKey: later, monitors })).toBe("made");
    expect(await names()).toEqual(["ceph-n1", "ceph-n1.aside-1"]);
  });

  it("that is to join knows those whom it asks", async () => {
    await prepareMon(node.deps, { ...mon, monitors });
    expect(node.calls[0]).toEqual([
      ...["monmaptool", "--create", "--addv", "n2", "[v2:10.0.0.2:3300]", "--fsid", cluster],
      expect.stringMatching(/monmap$/),
    ]);
    expect(node.calls[1]).toEqual(expect.arrayContaining(["--mkfs", "--monmap", node.calls[0]?.at(-1)]));
  });

  it("is no store when mkfs says nothing and makes nothing", async () => {
    makesStore = false;
    await expect(bootstrapMon(node.deps, mon)).rejects.toThrow("inside the public network");
    expect(await names()).toEqual([]);
  });

  it("is made afresh after mkfs was cut short, and after a kill -9 that left its folders", async () => {
    dies = true;
    await expect(prepareMon(node.deps, { ...mon, monitors })).rejects.toThrow("killed");
    const folder = join(node.deps.paths.data, "mon");
    await mkdir(join(folder, "ceph-n1.new-0123/store.db"), { recursive: true });
    await mkdir(join(folder, "ceph-n1.new-0123.in"));
    // Half a store under the final name, without the marker: an older way of dying.
    await mkdir(join(folder, "ceph-n1/store.db"), { recursive: true });
    dies = false;
    expect(await prepareMon(node.deps, { ...mon, monitors })).toBe("made");
    expect(await names()).toEqual(["ceph-n1"]);
  });

  it("of another cluster is left alone", async () => {
    await bootstrapMon(node.deps, mon);
    const other = { ...mon, fsid: fsid("99999999-1111-2222-3333-444444444444") };
    await expect(bootstrapMon(node.deps, other)).rejects.toMatchObject({ code: "STATE_CORRUPT" });
  });

  it("with an unreadable marker is left alone", async () => {
    await bootstrapMon(node.deps, mon);
    await writeFile(join(node.deps.paths.dataDir("mon", "n1"), "microceph.json"), "{");
    await expect(bootstrapMon(node.deps, mon)).rejects.toMatchObject({ code: "STATE_CORRUPT" });
  });
});

describe("a monitor", () => {
  it("starts only when it was prepared, always with the same words", async () => {
    await expect(startMon(node.deps, mon)).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(node.units.size).toBe(0);
    await bootstrapMon(node.deps, mon);
    await startMon(node.deps, mon);
    expect(node.units.get("mon.n1")?.argv).toEqual([
      "ceph-mon",
      ...["-f", "-i", "n1", "-c", node.deps.paths.cephConf, "--public-addr", "10.0.0.1"],
    ]);
  });

  it("joins with the protocols that ceph.conf says", async () => {
    await bootstrapMon(node.deps, mon);
    await writeFile(node.deps.paths.cephConf, "[global]\nms bind msgr1 = false\n");
    await startMon(node.deps, mon);
    expect(node.units.get("mon.n1")?.argv.slice(-2)).toEqual(["--public-addrv", "[v2:10.0.0.1:3300]"]);
  });

  it("is cleaned up so that it can join again", async () => {
    await bootstrapMon(node.deps, mon);
    await startMon(node.deps, mon);
    await removeMon(node.deps, mon.handle);
    await removeMon(node.deps, mon.handle);
    expect(node.units.size).toBe(0);
    expect(await readdir(dirname(node.deps.paths.dataDir("mon", "n1")))).toEqual([]);
    expect(await bootstrapMon(node.deps, mon)).toBe("made");
  });
});
