import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CephCommands, MonMap } from "../../../../src/ceph/command/commands.ts";
import { makeCephKey } from "../../../../src/ceph/config/keyring.ts";
import { monitorAddresses } from "../../../../src/ceph/config/monitor-address.ts";
import type { Step, Undo } from "../../../../src/ceph/control/agent.ts";
import { CephNode } from "../../../../src/ceph/control/ceph-node.ts";
import type { Outcome } from "../../../../src/ceph/control/controller.ts";
import { type CephAccess, kinds } from "../../../../src/ceph/control/decisions.ts";
import type { ExecutorDeps } from "../../../../src/ceph/control/executors.ts";
import {
  accessAfter,
  catchUp,
  type Renumbering,
  renumberExecutor,
  renumberingOf,
} from "../../../../src/ceph/control/renumber.ts";
import { cephSteps, cephUndo } from "../../../../src/ceph/control/steps.ts";
import { prepareMon, startMon } from "../../../../src/ceph/daemons/mon.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import { entryId, fsid, handle, type PeerId, peerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import type { Entry } from "../../../../src/state/journal/types.ts";
import { type FakeNode, fakeNode, nothing } from "../daemons/fake-node.ts";

const key = makeCephKey((size) => new Uint8Array(size), 0);
const cluster = fsid("00000000-1111-2222-3333-444444444444");
const names = ["n0", "n1", "n2"];
const peer = (n: number): PeerId => peerId(`12D3KooW${"abc"[n]?.repeat(44)}`);
const at = (network: string) =>
  names.map((name, n) => ({ name, addresses: monitorAddresses(`${network}.${n}`) }));
const access: CephAccess = {
  ...{ fsid: cluster, adminKey: key, publicNetwork: "10.0.0.0/24", clusterNetwork: null },
  monitors: at("10.0.0"),
};
const body = {
  ...{ publicNetwork: "10.9.0.0/24", clusterNetwork: null },
  monitors: at("10.9.0").map((monitor, n) => ({ ...monitor, peer: peer(n) })),
};

function decided(state: Entry["state"] = "open", handed = false): Entry {
  const number = { generation: 1, revision: 7 };
  return {
    ...{ id: entryId("7-a"), kind: kinds.renumber, body: body as Json, agent: null, state, number, handed },
    ...{ result: null, reason: "all moved", openedAt: "", closedAt: null, openedNumber: number },
  };
}

describe("the decision that renumbers all monitors", () => {
  let calls: string[];
  let entry: Entry;
  /** What the monitors answer, one after the other; null: nothing. The last one stays. */
  let maps: (MonMap["monitors"] | null)[];
  let own: (readonly string[] | null)[];
  /** Nodes whose agents fail; and what agents answer to a cancellation. */
  let failing: PeerId[];
  let promises: boolean;

  beforeEach(() => {
    calls = [];
    entry = decided();
    maps = [null, ranked("10.9.0")];
    own = [["10.9.0.0"], ["10.9.0.1"], ["10.9.0.2"]];
    failing = [];
    promises = true;
  });

  const ranked = (network: string) => at(network).map((monitor, rank) => ({ ...monitor, rank }));
  const number = (of: PeerId): number => names.findIndex((_, n) => peer(n) === of);
  const deps: Parameters<typeof renumberExecutor>[0] = {
    ceph: () =>
      ({
        quorumStatus: async () => {
          const monitors = maps.length > 1 ? maps.shift() : maps[0];
          if (!monitors) throw new MicrocephError("CEPH_UNREACHABLE", "nobody there");
          return { quorum: names, monMap: { epoch: 5, fsid: cluster, monitors } };
        },
      }) as unknown as CephCommands,
    access: async () => access,
    order: async (to, { payload }) => {
      calls.push(`order ${number(to)}`);
      expect(payload).toEqual({ access: accessAfter(access, body as never) });
      if (failing.includes(to)) throw new MicrocephError("PEER_UNREACHABLE", "away");
      return null;
    },
    handed: async () => {
      entry = { ...entry, handed: true };
    },
    restamp: async () => entry,
    cancel: async (to) => {
      calls.push(`cancel ${number(to)}`);
      return promises;
    },
    current: () => entry,
    addressesOf: (of) => own[number(of)] ?? null,
    adopt: async ({ publicNetwork }) => void calls.push(`adopt ${publicNetwork}`),
  } satisfies Partial<ExecutorDeps>;
  const carryOut = (): Promise<Outcome> => renumberExecutor(deps)(entry, new AbortController().signal);

  it("is given to all, and done when they meet with the new map", async () => {
    expect(await carryOut()).toMatchObject({ state: "done", result: { epoch: 5 } });
    expect(calls).toEqual(["order 0", "order 1", "order 2", "adopt 10.9.0.0/24"]);
  });

  it("is done with a majority; who is away is not asked", async () => {
    own[2] = null;
    expect(await carryOut()).toMatchObject({ state: "done" });
    expect(calls).toEqual(["order 0", "order 1", "adopt 10.9.0.0/24"]);
  });

  it("goes on later without a majority", async () => {
    failing = [peer(0), peer(1)];
    await expect(carryOut()).rejects.toMatchObject({ code: "NO_QUORUM" });
    expect(calls).not.toContain("adopt 10.9.0.0/24");
  });

  it("asks nobody again when they have met already", async () => {
    maps = [ranked("10.9.0")];
    expect(await carryOut()).toMatchObject({ state: "done" });
    expect(calls).toEqual([]);
  });

  it("is given up when the monitors answer where they were, with the promise of every agent that may have it", async () => {
    maps = [ranked("10.0.0")];
    expect(await carryOut()).toMatchObject({ state: "abandoned" });
    expect(calls).toEqual([]);
    entry = decided("open", true);
    expect(await carryOut()).toMatchObject({ state: "abandoned" });
    expect(calls).toEqual(["cancel 0", "cancel 1", "cancel 2"]);
  });

  it("is given up when a host has moved once more; not when one has injected the map already", async () => {
    own[1] = ["10.7.0.1"];
    entry = decided("open", true);
    expect(await carryOut()).toMatchObject({
      state: "abandoned",
      reason: "hosts of monitors have moved again",
    });
    promises = false;
    maps = [null, ranked("10.9.0")];
    expect(await carryOut()).toMatchObject({ state: "done" });
  });

  it("counts once it is done, the last one", () => {
    expect(renumberingOf([decided("abandoned"), decided()])).toBeNull();
    expect(renumberingOf([decided("done")])).toMatchObject({ entry: "7-a", publicNetwork: "10.9.0.0/24" });
  });
});

describe("a node whose monitors or address have moved", () => {
  let fake: FakeNode;
  let node: CephNode;
  let memory: Map<string, Json>;
  let restarted: string[];
  let addresses: string[];
  /** What `monmaptool --print` shows. */
  let printed: string;
  const self = handle("n1");

  beforeEach(async () => {
    memory = new Map();
    restarted = [];
    addresses = ["10.0.0.1"];
    printed = "epoch 3\n0: v1:10.0.0.0:6789/0 mon.n0\n1: [v2:10.0.0.1:3300/0] mon.n1\n";
    fake = await fakeNode(async (program, args) => {
      if (args.includes("--mkfs")) await mkdir(join(args[args.indexOf("--mon-data") + 1] ?? "", "store.db"));
      if (program === "monmaptool" && args.includes("--print")) {
        return {
          ...nothing,
          stdout: printed,
        };
      }
      return nothing;
    });
    const { runner } = fake.deps;
    node = new CephNode(self, {
      ...fake.deps,
      runner: {
        ...runner,
        restart: async (unit) => {
          restarted.push(unit);
          return runner.restart(unit);
        },
      },
      memory: {
        get: (name) => memory.get(name),
        put: (name, value) => void memory.set(name, value),
        delete: (name) => void memory.delete(name),
      },
      commands: () =>
        ({ reconnect: () => undefined, stop: async () => undefined }) as unknown as CephCommands,
      addressIn: (network) => addresses.find((one) => one.startsWith(network.slice(0, 6))) ?? null,
      interfaceIn: () => "eth0",
      hasAddress: (address) => addresses.includes(address),
      extraConfig: undefined,
      upMs: 50,
    });
    await node.configure(access);
    for (const unit of ["mon.n1", "mgr.n1", "osd.4"]) await runner.ensure(unit, { argv: ["true"] } as never);
  });
  afterEach(() => fake.remove());

  const config = (): Promise<string> => readFile(fake.deps.paths.cephConf, "utf8");
  const move = { id: "7-a", access: accessAfter(access, body as never) };
  const { id: entry, number } = decided();
  const payload = { access: move.access } as unknown as Json;
  const order = { entry, kind: kinds.renumber, number, body: body as Json, payload };

  it("restarts what is bound to an address that it has no more, once, and never a monitor", async () => {
    expect(await node.followMove(null)).toBe(false);
    addresses = ["10.0.0.77"];
    expect(await node.followMove(null)).toBe(true);
    // Nothing answers for the OSD: it is restarted some times more.
    expect(restarted).toEqual(["mgr.n1", ...Array<string>(5).fill("osd.4")]);
    expect(await config()).toContain("public addr = 10.0.0.77");
    expect(await node.followMove(null)).toBe(false);
  });

  it("waits for no OSD once other addresses of the monitors are decided, and follows those", async () => {
    await node.followMove(null);
    addresses = ["10.0.0.77"];
    expect(await node.followMove(null, () => restarted.length < 2)).toBe(true);
    expect(restarted).toEqual(["mgr.n1", "osd.4"]);
    addresses = ["10.9.0.1"];
    expect(await node.followMove(move)).toBe(true);
    expect(await config()).toContain("v2:10.9.0.2:3300");
    expect(restarted.slice(2, 4)).toEqual(["mgr.n1", "osd.4"]);
  });

  it("restarts nothing while the old address is there too, or none is", async () => {
    await node.followMove(null);
    addresses = ["10.0.0.77", "10.0.0.1"];
    expect(await node.followMove(null)).toBe(false);
    addresses = [];
    expect(await node.followMove(null)).toBe(false);
    expect(restarted).toEqual([]);
  });

  it("finds the monitors where a decision has put them, also when it comes back later", async () => {
    await node.followMove(null);
    addresses = ["10.9.0.1"];
    expect(await node.followMove(move)).toBe(true);
    expect(await config()).toContain("v2:10.9.0.2:3300");
    expect(await config()).toContain("public network = 10.9.0.0/24");
    // Nothing answers for the OSD: it is restarted some times more.
    expect(restarted).toEqual(["mgr.n1", ...Array<string>(5).fill("osd.4")]);
    expect(await node.followMove(move)).toBe(false);
  });

  it("which has a monitor injects the whole map into it, after the confirmation", async () => {
    await prepareMon(fake.deps, { handle: self, fsid: cluster, monitors: [], monKey: key });
    await startMon(fake.deps, { handle: self, address: "10.0.0.1" });
    let before: string[] = [];
    const confirm = async (): Promise<void> => {
      before = [...fake.units.keys(), ...fake.calls.flat().filter((word) => word === "--inject-monmap")];
    };
    const step = cephSteps(node)[kinds.renumber] as Step;
    await step(order, { confirm, signal: new AbortController().signal, log: fake.deps.log });
    expect(before).toEqual(["mgr.n1", "osd.4"]);
    const changes = fake.calls.filter((call) => call.includes("--addv") || call.includes("--rm"));
    expect(changes.flatMap((call) => call.slice(1, -1))).toEqual([
      ...["--rm", "n0", "--rm", "n1"],
      ...["--addv", "n0", "[v2:10.9.0.0:3300,v1:10.9.0.0:6789]"],
      ...["--addv", "n1", "[v2:10.9.0.1:3300,v1:10.9.0.1:6789]"],
      ...["--addv", "n2", "[v2:10.9.0.2:3300,v1:10.9.0.2:6789]"],
    ]);
    expect(fake.units.get("mon.n1")?.argv.slice(-2)).toEqual(["--public-addr", "10.9.0.1"]);
    expect(node.monAddress()).toBe("10.9.0.1");
  });

  it("which was away when the others met gives its monitor their map, once, and at the address that it has", async () => {
    await prepareMon(fake.deps, { handle: self, fsid: cluster, monitors: [], monKey: key });
    node.rememberMonAddress("10.0.0.1", { generation: 1, revision: 1 });
    const met = renumberingOf([decided("done")]) as Renumbering;
    fake.calls.length = 0;
    const injected = (): number => fake.calls.filter((call) => call.includes("--inject-monmap")).length;
    // Where it was, or on the way; and others have been decided since.
    expect(await catchUp(node, met, () => true)).toBe(false);
    addresses = ["10.7.0.1"];
    expect(await catchUp(node, met, () => true)).toBe(false);
    addresses = ["10.9.0.1"];
    expect(await catchUp(node, met, () => false)).toBe(false);
    expect([injected(), fake.units.has("mon.n1")]).toEqual([0, true]);
    expect(await catchUp(node, met, () => true)).toBe(true);
    expect(injected()).toBe(1);
    expect(fake.units.get("mon.n1")?.argv.slice(-2)).toEqual(["--public-addr", "10.9.0.1"]);
    expect(node.monAddress()).toBe("10.9.0.1");
    expect(await catchUp(node, met, () => true)).toBe(false);
    // Not the monitor that a later decision took out.
    expect(await node.dropMonitor({ generation: 1, revision: 8 })).toBe(true);
    expect(await catchUp(node, met, () => true)).toBe(false);
  });

  it("which has a monitor puts the former map back as long as nobody has met with the new one", async () => {
    await prepareMon(fake.deps, { handle: self, fsid: cluster, monitors: [], monKey: key });
    await startMon(fake.deps, { handle: self, address: "10.0.0.1" });
    node.rememberMonAddress("10.0.0.1", { generation: 1, revision: 1 });
    const step = cephSteps(node)[kinds.renumber] as Step;
    const tools = {
      confirm: async () => undefined,
      signal: new AbortController().signal,
      log: fake.deps.log,
    };
    await step(order, tools);
    // Begun again after a crash it finds its own map in the store; the former one is what was there at first.
    printed = "epoch 4\n0: v2:10.9.0.1:3300/0 mon.n1\n";
    await step(order, tools);
    fake.calls.length = 0;
    const undo = cephUndo(node)[kinds.renumber] as Undo;
    printed = body.monitors
      .map(({ name }, n) => `${n}: [v2:10.9.0.${n}:3300/0,v1:10.9.0.${n}:6789/0] mon.${name}\n`)
      .join("");
    expect(await undo(body as Json, entry)).toBe("reverted");
    const additions = fake.calls.filter((call) => call.includes("--addv"));
    expect(additions.flatMap((call) => call.slice(1, -1))).toEqual([
      ...["--addv", "n0", "[v1:10.0.0.0:6789]"],
      ...["--addv", "n1", "[v2:10.0.0.1:3300]"],
    ]);
    expect(fake.units.get("mon.n1")?.argv.slice(-2)).toEqual(["--public-addr", "10.0.0.1"]);
    // Once it has another map, and after another decision, the map is left alone.
    printed = "epoch 5\n0: v1:10.0.0.0:6789/0 mon.n0\n";
    fake.calls.length = 0;
    expect(await undo(body as Json, entry)).toBe("reverted");
    expect(await undo(body as Json, entryId("8-a"))).toBe(true);
    expect(fake.calls.flat()).not.toContain("--inject-monmap");
  });

  it("which has a monitor does not inject a decision that is overtaken, and starts the monitor again", async () => {
    await prepareMon(fake.deps, { handle: self, fsid: cluster, monitors: [], monKey: key });
    node.rememberMonAddress("10.0.0.1", { generation: 1, revision: 1 });
    const confirm = async (): Promise<void> => {
      throw new MicrocephError("STALE_DECISION", "no longer open");
    };
    const step = cephSteps(node)[kinds.renumber] as Step;
    const tools = { confirm, signal: new AbortController().signal, log: fake.deps.log };
    await expect(step(order, tools)).rejects.toMatchObject({ code: "STALE_DECISION" });
    expect(fake.calls.flat()).not.toContain("--inject-monmap");
    expect(fake.units.get("mon.n1")?.argv.slice(-2)).toEqual(["--public-addr", "10.0.0.1"]);
    expect(await (cephUndo(node)[kinds.renumber] as Undo)(body as Json, entry)).toBe("reverted");
    expect(node.access?.publicNetwork).toBe("10.0.0.0/24");
  });
});
