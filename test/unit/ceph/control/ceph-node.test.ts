import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CephCommands } from "../../../../src/ceph/command/commands.ts";
import { makeCephKey } from "../../../../src/ceph/config/keyring.ts";
import { CephNode } from "../../../../src/ceph/control/ceph-node.ts";
import { fsid, handle } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import type { DecisionNumber } from "../../../../src/state/journal/types.ts";
import { type FakeNode, fakeNode } from "../daemons/fake-node.ts";

const cluster = fsid("00000000-1111-2222-3333-444444444444");
const self = handle("n1");
/** Of the decision that made the monitor, one before it and one after. */
const [earlier, made, later] = [4, 5, 6].map((revision) => ({ generation: 1, revision })) as [
  DecisionNumber,
  DecisionNumber,
  DecisionNumber,
];
let fake: FakeNode;
let node: CephNode;
let memory: Map<string, Json>;
let asked: number;

const monitorsOf = (...names: string[]) =>
  names.map((name) => ({
    name,
    addresses: [{ type: "v2" as const, address: `10.0.0.${name.slice(1)}:3300` }],
  }));

/** A node whose disk has the monitor of a cluster with these. */
async function withMonitors(...names: string[]): Promise<void> {
  const home = fake.deps.paths.dataDir("mon", self);
  await mkdir(join(home, "store.db"), { recursive: true });
  await writeFile(join(home, "microceph.json"), `{"fsid":"${cluster}"}`);
  await node.configure({
    fsid: cluster,
    adminKey: makeCephKey((size) => new Uint8Array(size), 0),
    publicNetwork: "10.0.0.0/24",
    clusterNetwork: null,
    monitors: monitorsOf(...names),
  });
  node.rememberMonAddress("10.0.0.1", made);
}

const mayJoin =
  (answer: boolean, meanwhile = async (): Promise<unknown> => undefined) =>
  async () => {
    asked += 1;
    await meanwhile();
    return answer;
  };
const runs = (): boolean => fake.units.has(`mon.${self}`);

beforeEach(async () => {
  asked = 0;
  memory = new Map();
  fake = await fakeNode();
  node = new CephNode(self, {
    ...fake.deps,
    memory: {
      get: (name) => memory.get(name),
      put: (name, value) => void memory.set(name, value),
      delete: (name) => void memory.delete(name),
    },
    commands: () => ({ stop: async () => undefined }) as unknown as CephCommands,
    addressIn: () => "10.0.0.1",
    interfaceIn: () => "eth0",
    hasAddress: () => true,
    extraConfig: undefined,
  });
});
afterEach(async () => {
  await node.stop();
  await fake.remove();
});

describe("a monitor at the start of its node", () => {
  it("starts once the others have been heard", async () => {
    await withMonitors("n1", "n2", "n3");
    let early = true;
    await node.startAll(
      mayJoin(true, async () => {
        early = runs();
      }),
    );
    expect([asked, early, runs()]).toEqual([1, false, true]);
  });

  it("waits for nobody when it is the only one", async () => {
    await withMonitors("n1");
    await node.startAll(mayJoin(false));
    expect([asked, runs()]).toEqual([0, true]);
  });

  it("stays stopped when the others went on without it, and when it was dropped meanwhile", async () => {
    await withMonitors("n1", "n2", "n3");
    await node.startAll(mayJoin(false));
    expect(runs()).toBe(false);
    await node.startAll(mayJoin(true, () => node.dropMonitor(later)));
    expect(runs()).toBe(false);
  });
});

describe("a monitor that is taken out", () => {
  const exists = (): boolean => existsSync(fake.deps.paths.dataDir("mon", self));

  it("is removed with its store, once", async () => {
    await withMonitors("n1", "n2", "n3");
    await node.startAll(mayJoin(true));
    expect(await node.dropMonitor(later)).toBe(true);
    expect([runs(), exists(), node.monAddress()]).toEqual([false, false, null]);
    expect(await node.dropMonitor(later)).toBe(false);
  });

  it("is not the one that a later decision has made here, which the journal's copy may not have yet", async () => {
    await withMonitors("n1", "n2", "n3");
    await node.startAll(mayJoin(true));
    expect(await node.dropMonitor(earlier)).toBe(false);
    expect([runs(), exists(), node.monAddress()]).toEqual([true, true, "10.0.0.1"]);
  });
});
