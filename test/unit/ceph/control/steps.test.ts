import { Buffer } from "node:buffer";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CephCommands, MonMap } from "../../../../src/ceph/command/commands.ts";
import { makeCephKey } from "../../../../src/ceph/config/keyring.ts";
import { monitorAddresses } from "../../../../src/ceph/config/monitor-address.ts";
import type { Order, Step } from "../../../../src/ceph/control/agent.ts";
import { CephNode } from "../../../../src/ceph/control/ceph-node.ts";
import { kinds } from "../../../../src/ceph/control/decisions.ts";
import { cephSteps, cephUndo } from "../../../../src/ceph/control/steps.ts";
import { keptKey } from "../../../../src/ceph/daemons/keyed-daemon.ts";
import { prepareMon, startMon } from "../../../../src/ceph/daemons/mon.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import { entryId, fsid, handle } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import { after, type FakeNode, fakeNode, nothing } from "../daemons/fake-node.ts";

const key = makeCephKey((size) => new Uint8Array(size), 0);
const cluster = fsid("00000000-1111-2222-3333-444444444444");
const self = handle("n1");
const access = {
  fsid: cluster,
  adminKey: key,
  publicNetwork: "10.0.0.0/24",
  clusterNetwork: null,
  monitors: [{ name: "n0", addresses: [{ type: "v2" as const, address: "10.0.0.10:3300" }] }],
};
const monitorOrder = { handle: self, address: "10.0.0.1", monmapEpoch: 3 };

let fake: FakeNode;
let node: CephNode;
let memory: Map<string, Json>;
/** What the monitors' map says; an error when they do not answer. */
let map: MonMap | MicrocephError;
/** What was asked of Ceph, in order. */
let asked: string[];
let settings: Map<string, string>;
/** With which a monitor's store was made last. */
let keyring: string;
let socket: Server | undefined;

function mapOf(...names: string[]): MonMap {
  const monitors = names.map((name, rank) => ({ name, rank, addresses: [] }));
  return { epoch: 4, fsid: cluster, monitors };
}

/** The monitor of this node, answering on its admin socket. */
async function monitorSays(quorum: readonly string[], ...names: string[]): Promise<void> {
  const mons = names.map((name, rank) => ({ name, rank, public_addrs: { addrvec: [] } }));
  const status = JSON.stringify({
    ...{ name: self, rank: names.indexOf(self), state: "probing", election_epoch: 1 },
    quorum: quorum.map((name) => names.indexOf(name)),
    monmap: { epoch: 4, fsid: cluster, mons },
  });
  const head = Buffer.alloc(4);
  head.writeUInt32BE(Buffer.byteLength(status));
  socket = createServer((stream) => {
    stream.on("error", () => undefined);
    stream.once("data", () => stream.end(Buffer.concat([head, Buffer.from(status)])));
  });
  await mkdir(fake.deps.paths.run, { recursive: true });
  await new Promise<void>((ready) => socket?.listen(fake.deps.paths.adminSocket("mon", self), ready));
}

beforeEach(async () => {
  memory = new Map();
  asked = [];
  settings = new Map();
  map = mapOf("n0");
  fake = await fakeNode(async (_, args) => {
    if (args.includes("ceph-mon")) {
      keyring = await readFile(after(args, "--keyring"), "utf8");
      await mkdir(join(after(args, "--mon-data"), "store.db"));
    }
    return nothing;
  });
  const ceph = {
    stop: async () => undefined,
    monMap: async () => {
      asked.push("monMap");
      if (map instanceof MicrocephError) throw map;
      return map;
    },
    createReplicatedRule: async () => 1,
    configGet: async (who: string, name: string) => settings.get(`${who} ${name}`),
    configSet: async (who: string, name: string, value: string) => void settings.set(`${who} ${name}`, value),
  } as unknown as CephCommands;
  node = new CephNode(self, {
    ...fake.deps,
    memory: {
      get: (name) => memory.get(name),
      put: (name, value) => void memory.set(name, value),
      delete: (name) => void memory.delete(name),
    },
    commands: () => ceph,
    addressIn: () => "10.0.0.1",
    interfaceIn: () => "eth0",
    hasAddress: () => true,
    extraConfig: undefined,
  });
});

afterEach(async () => {
  socket?.close();
  socket = undefined;
  await fake.remove();
});

const stores = (): Promise<string[]> => readdir(join(fake.deps.paths.data, "mon")).catch(() => []);

function order(kind: string, body: Json, payload: Json): Order {
  const number = { generation: 1, revision: 5 };
  return { entry: entryId("5-a"), kind, number, body, payload };
}

/** Run a step; `confirm` says whether the decision is still open. */
async function run(kind: string, body: Json, payload: Json, confirm: () => Promise<void>): Promise<Json> {
  const step = cephSteps(node)[kind] as Step;
  const signal = new AbortController().signal;
  return step(order(kind, body, payload), { confirm, signal, log: fake.deps.log });
}

const open = async (): Promise<void> => undefined;
const closed = async (): Promise<void> => {
  throw new MicrocephError("STALE_DECISION", "no longer open");
};
const monPayload = { access, monKey: key };
const monBody = { ...monitorOrder };

describe("the order for a monitor", () => {
  it("starts it after the confirmation and waits until it is in quorum", async () => {
    let before = -1;
    const confirm = async (): Promise<void> => {
      before = fake.units.size;
      await monitorSays(["n1"], "n0", "n1");
    };
    expect(await run(kinds.monitor, monBody, monPayload, confirm)).toEqual({ epoch: 4 });
    expect(before).toBe(0);
    expect([...fake.units.keys()]).toEqual(["mon.n1"]);
  });

  it("has it ask often whether it was let in, by what ceph.conf says while it starts", async () => {
    const { runner, paths } = fake.deps;
    let read = "";
    const ensure = runner.ensure.bind(runner);
    vi.spyOn(runner, "ensure").mockImplementation(async (...args) => {
      read = await readFile(paths.cephConf, "utf8");
      return ensure(...args);
    });
    await run(kinds.monitor, monBody, monPayload, () => monitorSays(["n1"], "n0", "n1"));
    expect(read).toContain("\nmon probe timeout = 0.1\n");
    expect(await readFile(paths.cephConf, "utf8")).not.toContain("probe timeout");
  });

  it("needs neither confirmation nor start when it was carried out before", async () => {
    await monitorSays(["n1"], "n0", "n1");
    expect(await run(kinds.monitor, monBody, monPayload, closed)).toEqual({ epoch: 4 });
    expect(fake.units.size).toBe(0);
  });

  it("starts nothing when the decision is no longer open", async () => {
    await expect(run(kinds.monitor, monBody, monPayload, closed)).rejects.toMatchObject({
      code: "STALE_DECISION",
    });
    expect(fake.units.size).toBe(0);
    // Prepared it may be: that touches this node's disk only.
    expect(await stores()).toEqual(["ceph-n1"]);
  });

  it.each<[string, Json]>([
    ["no access", { monKey: key }],
    ["an address that is none", monPayload],
  ])("with %s is refused before anything is done", async (what, payload) => {
    const body = what.startsWith("an address") ? { ...monBody, address: "n1.example" } : monBody;
    await expect(run(kinds.monitor, body, payload, open)).rejects.toThrow();
    expect(fake.calls).toEqual([]);
    expect(node.access).toBeNull();
  });
});

describe("the order for the first monitor", () => {
  const body = {
    ...{ fsid: cluster, handle: self, address: "10.0.0.1" },
    ...{ publicNetwork: "10.0.0.0/24", clusterNetwork: null },
  };

  it("makes it, and chooses our rule for new pools only where nobody has chosen one", async () => {
    await monitorSays(["n1"], "n1");
    const done = await run(kinds.bootstrap, body, { adminKey: key, monKey: key }, open);
    expect(done).toEqual({ monitor: "n1" });
    // The manager waits for nobody: the monitor was made with its key.
    expect([...fake.units.keys()]).toEqual(["mon.n1", "mgr.n1"]);
    const managerKey = await keptKey(fake.deps, "mgr", self);
    expect(keyring).toContain(`[mgr.n1]\n\tkey = ${managerKey}\n\tcaps mon = "profile mgr"`);
    expect(settings.get("global osd_pool_default_crush_rule")).toBe("1");
    settings.set("global osd_pool_default_crush_rule", "7");
    await run(kinds.bootstrap, body, { adminKey: key, monKey: key }, open);
    expect(settings.get("global osd_pool_default_crush_rule")).toBe("7");
    expect(await keptKey(fake.deps, "mgr", self)).toBe(managerKey);
  });

  it("starts nothing when the decision is no longer open", async () => {
    await expect(run(kinds.bootstrap, body, { adminKey: key, monKey: key }, closed)).rejects.toMatchObject({
      code: "STALE_DECISION",
    });
    expect(fake.units.size).toBe(0);
  });
});

describe("the order for a manager or metadata server", () => {
  it.each(["mgr", "mds"] as const)("%s: key and start only after the confirmation", async (type) => {
    const body = { type, handle: self };
    await expect(run(kinds.daemon, body, { access, key }, closed)).rejects.toMatchObject({
      code: "STALE_DECISION",
    });
    expect(fake.units.size).toBe(0);
    await run(kinds.daemon, body, { access, key }, open);
    expect([...fake.units.keys()]).toEqual([`${type}.n1`]);
    const keyring = await readFile(join(fake.deps.paths.dataDir(type, self), "keyring"), "utf8");
    expect(keyring).toContain(key);
  });
});

describe("taking a monitor back", () => {
  const undo = async (): Promise<boolean | "reverted"> =>
    cephUndo(node)[kinds.monitor]?.(monBody, entryId("1-a")) ?? false;

  /** As an interrupted order leaves it: prepared, started, not answering. */
  async function begun(): Promise<void> {
    await node.configure(access);
    await prepareMon(fake.deps, { handle: self, fsid: cluster, monitors: [], monKey: key });
    await startMon(fake.deps, { handle: self, address: "10.0.0.1" });
  }

  it.each<[string, () => Promise<void>]>([
    ["was never begun", async () => undefined],
    ["was started and does not answer", begun],
    [
      "runs and is not in the map",
      async () => {
        await begun();
        await monitorSays([], "n0");
      },
    ],
  ])("removes one that %s", async (_what, prepare) => {
    await prepare();
    expect(await undo()).toBe(true);
    expect(fake.units.size).toBe(0);
    expect(await stores()).toEqual([]);
  });

  it("leaves one alone that says it is in the map", async () => {
    await begun();
    await monitorSays(["n1"], "n0", "n1");
    expect(await undo()).toBe(false);
    expect(asked).toEqual([]);
    expect([...fake.units.keys()]).toEqual(["mon.n1"]);
  });

  it.each<[string, () => Promise<void>]>([
    ["does not answer", async () => undefined],
    ["said a moment ago that it is not", () => monitorSays([], "n0")],
  ])(
    "keeps one that is in the map but %s: without its store the others could lose their majority",
    async (_w, now) => {
      await begun();
      await now();
      map = mapOf("n0", "n1");
      expect(await undo()).toBe(false);
      expect([...fake.units.keys()]).toEqual(["mon.n1"]);
      expect(await stores()).toEqual(["ceph-n1"]);
    },
  );

  it("promises nothing, and keeps it running, while nobody can tell what the map says", async () => {
    await begun();
    map = new MicrocephError("CEPH_UNREACHABLE", "the monitors do not answer");
    await expect(undo()).rejects.toMatchObject({ code: "CEPH_UNREACHABLE" });
    expect([...fake.units.keys()]).toEqual(["mon.n1"]);
    expect(await stores()).toEqual(["ceph-n1"]);
  });
});

describe("addresses of a monitor", () => {
  it.each([
    ["10.0.0.1", "10.0.0.1:3300", "10.0.0.1:6789"],
    ["fd00::1", "[fd00::1]:3300", "[fd00::1]:6789"],
  ])("%s on both protocols", (address, second, first) => {
    expect(monitorAddresses(address)).toEqual([
      { type: "v2", address: second },
      { type: "v1", address: first },
    ]);
  });
});
