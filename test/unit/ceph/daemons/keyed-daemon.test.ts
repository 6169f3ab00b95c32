import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { makeCephKey } from "../../../../src/ceph/config/keyring.ts";
import { hasKeyedDaemon } from "../../../../src/ceph/daemons/keyed-daemon.ts";
import { mdsEntity, prepareMds, removeMds, startMds } from "../../../../src/ceph/daemons/mds.ts";
import { mgrEntity, prepareMgr, startMgr } from "../../../../src/ceph/daemons/mgr.ts";
import { waitUntil } from "../../../../src/ceph/daemons/wait-until.ts";
import { handle } from "../../../../src/ids/ids.ts";
import { type FakeNode, fakeNode } from "./fake-node.ts";

const n1 = handle("n1");
const key = (seconds: number): string => makeCephKey((size) => new Uint8Array(size), seconds * 1000);
let node: FakeNode;

beforeEach(async () => {
  node = await fakeNode();
});
afterEach(() => node.remove());

it("is prepared, started, and prepared again without a change", async () => {
  expect(await hasKeyedDaemon(node.deps, "mgr", n1)).toBe(false);
  await prepareMgr(node.deps, { handle: n1, key: key(1) });
  const path = join(node.deps.paths.dataDir("mgr", "n1"), "keyring");
  const before = await stat(path);
  await prepareMgr(node.deps, { handle: n1, key: key(1) });
  expect((await stat(path)).ino).toBe(before.ino);
  await prepareMgr(node.deps, { handle: n1, key: key(2) });
  expect(await readFile(path, "utf8")).toBe(`[mgr.n1]\n\tkey = ${key(2)}\n`);
  await startMgr(node.deps, n1);
  expect(await hasKeyedDaemon(node.deps, "mgr", n1)).toBe(true);
  expect(node.units.get("mgr.n1")?.argv[0]).toBe("ceph-mgr");
  expect(mgrEntity(n1).entity).toBe("mgr.n1");
});

it("a metadata server is removed with its folder", async () => {
  await prepareMds(node.deps, { handle: n1, key: key(1) });
  await startMds(node.deps, n1);
  expect([...node.units.keys()]).toEqual(["mds.n1"]);
  await removeMds(node.deps, n1);
  await removeMds(node.deps, n1);
  expect(await hasKeyedDaemon(node.deps, "mds", n1)).toBe(false);
  expect(node.units.size).toBe(0);
  expect(mdsEntity(n1).capabilities.osd).toBe("allow *");
});

it("waiting ends with what is found, at the deadline, by the signal, or by an error", async () => {
  let looks = 0;
  const third = async (): Promise<number | undefined> => (++looks === 3 ? looks : undefined);
  expect(await waitUntil("it", third, { deadlineMs: 5000, intervalMs: 1 })).toBe(3);
  const never = async (): Promise<undefined> => undefined;
  await expect(waitUntil("it", never, { deadlineMs: 20, intervalMs: 1 })).rejects.toMatchObject({
    code: "DEADLINE_EXCEEDED",
  });
  const abort = new AbortController();
  const waiting = waitUntil("it", never, { deadlineMs: 60_000, intervalMs: 60_000, signal: abort.signal });
  abort.abort();
  await expect(waiting).rejects.toMatchObject({ code: "CANCELLED" });
  const broken = async (): Promise<undefined> => {
    throw new Error("broken");
  };
  await expect(waitUntil("it", broken, { deadlineMs: 1000 })).rejects.toThrow("broken");
});
