import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Exclusive } from "../../../src/ceph/disks/exclusive.ts";
import { foundingWishKey } from "../../../src/daemon/cluster/genesis.ts";
import type { Daemon } from "../../../src/daemon/daemon.ts";
import { addDisksHere } from "../../../src/daemon/disk-jobs.ts";
import { bootstrapAlone, checkBootstrap } from "../../../src/daemon/job-runners.ts";
import type { JobTools } from "../../../src/daemon/jobs.ts";
import { MicrocephError } from "../../../src/errors/microceph-error.ts";
import type { Json } from "../../../src/ids/json.ts";
import { fakeNode } from "../ceph/daemons/fake-node.ts";

/** What of a daemon these jobs use, with its transitions under the test's hand. */
class FakeDaemon {
  readonly store = new Map<string, Json>();
  readonly calls: string[] = [];
  /** No interface of this host: its addresses are none of the test's. */
  readonly settings = { interfaces: ["none0"], meshPort: 0 };
  readonly identity = { peerId: "self" };
  versions = { ceph: "19.2.3", etcd: "3.5.16" };
  cluster: unknown = null;
  state = "fresh";
  /** Thrown by the founding. */
  refusal: Error | null = null;
  /** What the transitions that have begun lead to. */
  transition: () => Promise<void> = async () => undefined;

  get membership() {
    return {
      lifecycle: { state: this.state },
      bootstrapAlone: (options: Json) => {
        this.calls.push(`found ${JSON.stringify(options)} wish ${JSON.stringify(this.wish)}`);
        if (this.refusal) throw this.refusal;
        this.state = "founded";
        this.transition = async () => {
          this.cluster = runtime(this.calls);
        };
      },
    };
  }

  get wish(): Json {
    return this.store.get(foundingWishKey) ?? null;
  }

  now(): number {
    return 1_700_000_000_000;
  }

  settled(): Promise<void> {
    return this.transition();
  }

  readonly disks = { look: async () => undefined };
  readonly diskTurns = new Exclusive();

  asDaemon(): Daemon {
    const { store } = this;
    const facade = {
      put: (key: string, value: Json) => store.set(key, value),
      delete: (key: string) => store.delete(key),
      get: (key: string) => store.get(key),
    };
    return new Proxy(this, {
      get: (target, name) => {
        if (name === "store") return facade;
        const value = Reflect.get(target, name, target) as unknown;
        return typeof value === "function" ? value.bind(target) : value;
      },
    }) as unknown as Daemon;
  }
}

function runtime(calls: string[], cephNode: { commands: unknown } | null = null) {
  return {
    options: { cluster: { id: "c1" } },
    document: { setLabels: (_peer: string, labels: Json) => calls.push(`labels ${JSON.stringify(labels)}`) },
    whenCephAnswers: async (report: (step: string) => void) => {
      report("starting");
      calls.push("Ceph answers");
      return "fsid";
    },
    handle: "n1",
    deps: {
      cephNode,
      events: {
        // The first event of a member that has just joined: it is told of Ceph.
        next: async () => {
          calls.push("told of Ceph");
          if (cephNode !== null) cephNode.commands = {};
        },
      },
    },
    upkeep: { publishFacts: () => undefined, settleFacts: () => calls.push("facts") },
    cephView: { refresh: () => undefined },
  };
}

let daemon: FakeDaemon;
let server: Server | undefined;

beforeEach(() => {
  daemon = new FakeDaemon();
});
afterEach(async () => {
  server?.close();
  if (server) await once(server, "close");
  server = undefined;
});

function tools(memory: Json = null): JobTools {
  return {
    signal: new AbortController().signal,
    memory,
    remember: () => undefined,
    report: () => undefined,
  };
}

const run = (request = {}): Promise<Json> => bootstrapAlone(daemon.asDaemon(), request, tools());

describe("the job of a bootstrap", () => {
  it("puts its wish on disk before the founding, then waits for Ceph", async () => {
    const request = {
      name: "c",
      monIp: "10.0.0.1",
      clusterNetwork: "10.1.0.0/24",
      availabilityZone: "z",
      v2Only: true,
    };
    expect(await run(request)).toEqual({ cluster: "c1", fsid: "fsid" });
    const wish = { monIp: "10.0.0.1", clusterNetwork: "10.1.0.0/24", v2Only: true };
    expect(daemon.calls).toEqual([
      `found ${JSON.stringify({ clusterName: "c" })} wish ${JSON.stringify(wish)}`,
      "Ceph answers",
      'labels {"zone":"z"}',
    ]);
  });

  it("taken up after a crash, waits for the parts of what was founded before", async () => {
    daemon.state = "founded";
    daemon.transition = async () => {
      daemon.cluster = runtime(daemon.calls);
    };
    expect(await run()).toEqual({ cluster: "c1", fsid: "fsid" });
    expect(daemon.calls).toEqual(["Ceph answers"]);
  });

  it("leaves no wish behind when nothing was founded: a later founding is not its", async () => {
    daemon.refusal = new MicrocephError("NO_PUBLIC_NETWORK", "no address");
    await expect(run({ monIp: "10.0.0.1" })).rejects.toMatchObject({ code: "NO_PUBLIC_NETWORK" });
    expect(daemon.wish).toBeNull();
  });

  it("leaves the wish of the one that came first alone", async () => {
    const [first, second] = await Promise.allSettled([
      run({ monIp: "10.0.0.1" }),
      run({ monIp: "10.0.0.2" }),
    ]);
    expect(first).toMatchObject({ status: "fulfilled" });
    expect(second).toMatchObject({ reason: { code: "ALREADY_INITIALIZED" } });
    expect(daemon.wish).toMatchObject({ monIp: "10.0.0.1" });
  });

  it("founds nothing while the port for members is in use", async () => {
    server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    Object.assign(daemon.settings, { meshPort: (server.address() as AddressInfo).port });
    await expect(run()).rejects.toMatchObject({ code: "PORT_IN_USE" });
    expect(daemon.calls).toEqual([]);
    expect(daemon.wish).toBeNull();
  });
});

describe("what a bootstrap is refused for at once", () => {
  it.each<[string, object, Partial<FakeDaemon>, string]>([
    ["a claimed node", {}, { state: "claimed" }, "ALREADY_INITIALIZED"],
    ["a founder", {}, { state: "founding" }, "ALREADY_INITIALIZED"],
    ["a member", {}, { state: "member" }, "ALREADY_INITIALIZED"],
    ["no Ceph", {}, { versions: { ceph: "", etcd: "3" } }, "MISSING_PROGRAM"],
    ["no etcd", {}, { versions: { ceph: "19", etcd: "" } }, "MISSING_PROGRAM"],
    ["a strange address", { microcephIp: "192.0.2.1" }, {}, "USAGE"],
    ["a strange monitor address", { monIp: "192.0.2.1" }, {}, "USAGE"],
    ["a strange public network", { publicNetwork: "192.0.2.0/24" }, {}, "USAGE"],
    ["a strange cluster network", { clusterNetwork: "192.0.2.0/24" }, {}, "USAGE"],
  ])("%s", (_what, request, change, code) => {
    Object.assign(daemon, change);
    expect(() => checkBootstrap(daemon.asDaemon(), request)).toThrow(expect.objectContaining({ code }));
  });

  it("not a fresh node with both programs", () => {
    checkBootstrap(daemon.asDaemon(), {});
  });
});

describe("the job of adding disks", () => {
  const none = { specs: [], wipe: false };

  it("is refused outside a cluster", async () => {
    await expect(addDisksHere(daemon.asDaemon(), none, tools())).rejects.toMatchObject({
      code: "NOT_INITIALIZED",
    });
  });

  it.each<[string, Json, string[], object | null]>([
    ["begun now, tries at once", null, ["facts"], {}],
    ["on a member that is not told of Ceph yet, waits for that", null, ["told of Ceph", "facts"], null],
    // At the same moment its Ceph may be starting too: a failure now would be of the crash's making.
    [
      "taken up after a crash, waits for its cluster and for Ceph",
      { wanted: [], refused: [] },
      ["Ceph answers", "facts"],
      {},
    ],
  ])("%s", async (_what, memory, calls, commands) => {
    const node = await fakeNode();
    daemon.state = "member";
    daemon.transition = async () => {
      daemon.cluster = runtime(daemon.calls, { ...node, commands });
    };
    expect(await addDisksHere(daemon.asDaemon(), none, tools(memory))).toEqual({ report: [] });
    expect(daemon.calls).toEqual(calls);
    await node.remove();
  });
});
