import { stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cephPaths } from "../../../../src/ceph/config/ceph-paths.ts";
import { makeCephKey } from "../../../../src/ceph/config/keyring.ts";
import { NodeStandby } from "../../../../src/ceph/control/standby.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import { handle } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import { type FakeNode, fakeNode } from "../daemons/fake-node.ts";

const key = makeCephKey((size) => new Uint8Array(size), 0);
const number = (revision: number) => ({ generation: 1, revision });
let fake: FakeNode;
let lacking = false;
let mds: NodeStandby;
let mirror: NodeStandby;

beforeEach(async () => {
  fake = await fakeNode();
  const memory = new Map<string, Json>();
  const deps = {
    ...fake.deps,
    memory: {
      get: (name: string) => memory.get(name),
      put: (name: string, value: Json) => void memory.set(name, value),
      delete: (name: string) => void memory.delete(name),
    },
  };
  mds = new NodeStandby("mds", handle("n1"), deps);
  mirror = new NodeStandby("rbd-mirror", handle("n1"), {
    ...deps,
    run: async (program) => {
      if (lacking) throw new MicrocephError("MISSING_PROGRAM", `${program} is not installed`);
      return { exitCode: 0, stdout: "", stderr: "" };
    },
  });
  lacking = false;
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

describe("what copies images of other sites", () => {
  const order = { key, by: number(5), confirm: async () => undefined };

  it("runs under a name of its own, again after a boot, and not after it was taken off", async () => {
    await mirror.place(order);
    const { argv = [] } = fake.units.get("rbd-mirror.n1") ?? {};
    expect(argv.slice(0, 2)).toEqual(["rbd-mirror", "-f"]);
    expect(argv).toContain("client.rbd-mirror.n1");
    fake.units.clear();
    await mirror.start();
    expect([...fake.units.keys()]).toEqual(["rbd-mirror.n1"]);
    expect(await mirror.drop(number(6))).toBe(true);
    await mirror.start();
    expect(fake.units.size).toBe(0);
  });

  it("is refused before anything is changed where its socket would have too long a path", async () => {
    const long = handle("a".repeat(63));
    const { paths } = fake.deps;
    const deep = cephPaths(join(paths.state, "d".repeat(40)));
    const memory = { get: () => undefined, put: () => undefined, delete: () => undefined };
    for (const type of ["rbd-mirror", "cephfs-mirror"] as const) {
      const refused = new NodeStandby(type, long, { ...fake.deps, paths: deep, memory }).place(order);
      await expect(refused, type).rejects.toMatchObject({ code: "PATH_TOO_LONG" });
    }
    expect([fake.units.size, fake.calls]).toEqual([0, []]);
  });

  it("is refused before anything is changed where its program is not installed", async () => {
    lacking = true;
    await expect(mirror.place(order)).rejects.toMatchObject({ code: "MISSING_PROGRAM" });
    lacking = false;
    await mirror.start();
    expect(fake.units.size).toBe(0);
    expect(await mirror.drop(number(6))).toBe(false);
  });
});
