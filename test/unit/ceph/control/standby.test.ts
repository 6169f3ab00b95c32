import { stat } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeCephKey } from "../../../../src/ceph/config/keyring.ts";
import { NodeStandby } from "../../../../src/ceph/control/standby.ts";
import { handle } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import { type FakeNode, fakeNode } from "../daemons/fake-node.ts";

const key = makeCephKey((size) => new Uint8Array(size), 0);
const number = (revision: number) => ({ generation: 1, revision });
let fake: FakeNode;
let mds: NodeStandby;

beforeEach(async () => {
  fake = await fakeNode();
  const memory = new Map<string, Json>();
  mds = new NodeStandby("mds", handle("n1"), {
    ...fake.deps,
    memory: {
      get: (name) => memory.get(name),
      put: (name, value) => void memory.set(name, value),
      delete: (name) => void memory.delete(name),
    },
  });
});
afterEach(() => fake.remove());

const place = (revision: number): Promise<void> =>
  mds.place({ key, by: number(revision), confirm: async () => undefined });

describe("a metadata server that decisions place and take off", () => {
  it("runs, and leaves nothing behind when it is taken off", async () => {
    await place(5);
    expect([...fake.units.keys()]).toEqual(["mds.n1"]);
    expect(await mds.drop(number(6))).toBe(true);
    expect([...fake.units.keys()]).toEqual([]);
    await expect(stat(fake.deps.paths.dataDir("mds", "n1"))).rejects.toThrow("ENOENT");
    expect(await mds.drop(number(6))).toBe(false);
  });

  it("stays for a decision that a later one has overtaken", async () => {
    await place(7);
    expect(await mds.drop(number(6))).toBe(false);
    expect([...fake.units.keys()]).toEqual(["mds.n1"]);
  });

  it("is not begun when the decision is withdrawn at the last moment", async () => {
    const refused = mds.place({ key, by: number(5), confirm: () => Promise.reject(new Error("withdrawn")) });
    await expect(refused).rejects.toThrow("withdrawn");
    expect(fake.units.size).toBe(0);
    expect(await mds.drop(number(6))).toBe(false);
  });
});
