import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ClusterRuntime } from "../../../../src/daemon/cluster/cluster-runtime.ts";
import { MemberUpkeep } from "../../../../src/daemon/cluster/member-upkeep.ts";
import { type PeerId, peerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";

const voter: PeerId = peerId(`12D3KooW${"b".repeat(44)}`);
const access = {
  ...{ fsid: "00000000-1111-2222-3333-444444444444", adminKey: "k", publicNetwork: "10.0.0.0/24" },
  ...{ clusterNetwork: null, monitors: [] },
};

let facts: { addresses: string[] }[];
let address: string;
let entries: { kind: string; state: string }[];
let connected: PeerId[];
let asked: PeerId[];
let configured: unknown[];
let answer: Json;
let maps: number;
let hasCommands: boolean;
let upkeep: MemberUpkeep;
let clock: number;
let cephAnswers: boolean;
let moves: (string | null)[];
let clients: Record<string, string>[];
let reconnected: string[];

function runtime(): ClusterRuntime {
  const cephNode = {
    gateway: { drop: async (by: { revision: number }) => dropped("rgw", by.revision) },
    mgr: { drop: async (by: { revision: number }) => dropped("mgr", by.revision) },
    mds: { drop: async (by: { revision: number }) => dropped("mds", by.revision) },
    mirror: { drop: async (by: { revision: number }) => dropped("rbd-mirror", by.revision) },
    followClientOptions: async (options: Record<string, string>) => {
      clients.push(options);
      return true;
    },
    ingress: {
      get isHere() {
        return hasIngress;
      },
      drop: async (by: { revision: number }) => dropped("ingress", by.revision),
      follow: async (front: { backends: readonly { handle: string }[]; certificate: string | null }) => {
        followed.push([...front.backends.map(({ handle }) => handle), front.certificate ?? []].flat().join());
        if (unreachable) throw new Error("no ingress");
      },
    },
    nfs: {
      isHere: true,
      drop: async () => false,
      follow: async (exports: readonly { pseudo: string }[]) => {
        exported.push(exports.map(({ pseudo }) => pseudo).join());
        return true;
      },
    },
    get access() {
      return configured.at(-1) ?? null;
    },
    get commands() {
      const monMap = async () => {
        maps += 1;
        return { monitors: [] };
      };
      return hasCommands ? { monMap, reconnect: () => void reconnected.push("reconnect") } : null;
    },
    configure: async (given: unknown) => void configured.push(given),
    follow: async () => undefined,
    followNetworks: async ({ id, publicNetwork }: { id: string; publicNetwork: string }) => {
      networks.push(`${id} ${publicNetwork}`);
      return false;
    },
    followMove: async (move: { id: string } | null) => {
      moves.push(move?.id ?? null);
      return false;
    },
    osds: async () => [],
    services: async () => ["mon"],
  };
  return {
    handle: "n1",
    options: { settings: { name: "n1", lobbyPort: 7443 } },
    mesh: {
      port: 7444,
      connected: () => connected,
      request: async (peer: PeerId) => {
        asked.push(peer);
        return answer;
      },
    },
    journal: { entries: () => entries },
    document: {
      setFacts: (said: { addresses: string[] }) => void facts.push(said),
      view: () => ({
        settings: { "client-config._all.rbd_cache": "true", "client-config.n2.rbd_cache": "false" },
      }),
    },
    voters: () => [voter],
    front: () => ({ backends, certificate }),
    exports: () => [{ pseudo: "/home" }],
    cephView: { refresh: () => undefined, answers: cephAnswers },
    deps: {
      cephNode,
      log: pino({ level: "silent" }),
      versions: { ceph: "19", etcd: "3" },
      interfaces: () => [{ name: "eth0", address, cidr: `${address}/24`, defaultRoute: true }],
      disks: () => [],
      now: () => 0,
      steadyNow: () => clock,
    },
  } as unknown as ClusterRuntime;
}

let backends: { handle: string }[];
let certificate: string | null;
let exported: string[];
let networks: string[];
let followed: string[];
let unreachable: boolean;
let hasIngress: boolean;
let drops: string[];

function dropped(service: string, revision: number): boolean {
  drops.push(`${service} ${revision}`);
  return true;
}

beforeEach(() => {
  backends = [];
  certificate = null;
  followed = [];
  exported = [];
  networks = [];
  unreachable = false;
  hasIngress = true;
  drops = [];
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  facts = [];
  clock = 0;
  cephAnswers = false;
  moves = [];
  clients = [];
  reconnected = [];
  address = "10.0.0.1";
  entries = [];
  connected = [voter];
  asked = [];
  configured = [];
  answer = access;
  maps = 0;
  hasCommands = false;
  upkeep = new MemberUpkeep(runtime());
});
afterEach(() => {
  upkeep.stop();
  vi.useRealTimers();
});

/** Everything that was begun has ended: the fakes wait for nothing. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("what a member sees to", () => {
  it("says what it is at the start, and again when that has changed without a word", async () => {
    upkeep.start();
    await settle();
    expect(facts.at(-1)?.addresses).toEqual(["10.0.0.1"]);
    address = "10.0.0.2";
    vi.advanceTimersByTime(10_000);
    await settle();
    expect(facts.at(-1)?.addresses).toEqual(["10.0.0.2"]);
    upkeep.stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each<[string, () => void, number]>([
    ["not before Ceph is there", () => undefined, 0],
    ["not while it is being made", () => entries.push({ kind: "ceph.bootstrap", state: "open" }), 0],
    ["once it is", () => entries.push({ kind: "ceph.bootstrap", state: "done" }), 1],
  ])("asks a voter how to reach Ceph: %s", async (_what, arrange, times) => {
    arrange();
    upkeep.start();
    await settle();
    expect(asked).toHaveLength(times);
    upkeep.look();
    await settle();
    // It knows now, and asks no more.
    expect(asked).toHaveLength(times);
    expect(configured).toHaveLength(times);
  });

  it("asks nobody while no voter is connected, and again after an answer that is none", async () => {
    entries.push({ kind: "ceph.bootstrap", state: "done" });
    connected = [];
    upkeep.start();
    await settle();
    expect(asked).toEqual([]);
    connected = [voter];
    answer = null;
    upkeep.look();
    await settle();
    answer = access;
    upkeep.look();
    await settle();
    expect(asked).toEqual([voter, voter]);
    expect(configured).toEqual([access]);
  });

  it("asks another member where the monitors are when they do not answer for long", async () => {
    entries.push({ kind: "ceph.bootstrap", state: "done" });
    configured.push(access);
    hasCommands = true;
    upkeep.start();
    clock = 30_000;
    upkeep.look();
    await settle();
    expect(asked).toEqual([]);
    clock = 30_001;
    answer = { ...access, publicNetwork: "10.9.0.0/24" };
    upkeep.look();
    await settle();
    expect(configured.at(-1)).toEqual(answer);
    expect(reconnected).toHaveLength(1);
    clock = 60_000;
    upkeep.look();
    await settle();
    expect(asked).toHaveLength(1);
  });

  it("takes no network from a member that knows less of the decisions than this one", async () => {
    const body = { publicNetwork: "10.9.0.0/24", clusterNetwork: "10.8.0.0/24", monitors: [] };
    const monitors = [{ name: "n1", peer: voter, addresses: [] }];
    entries.push({ kind: "ceph.bootstrap", state: "done" });
    entries.push({
      ...{ id: "8-a", body: { ...body, monitors } },
      kind: "ceph.renumber",
      state: "done",
    } as never);
    configured.push(access);
    upkeep.start();
    clock = 30_001;
    answer = { ...access, adminKey: "another" };
    upkeep.look();
    await settle();
    const { publicNetwork, clusterNetwork } = body;
    expect(configured.at(-1)).toEqual({ ...access, adminKey: "another", publicNetwork, clusterNetwork });
  });

  it("has Ceph's daemons follow the last renumbering that is done", async () => {
    configured.push(access);
    const body = {
      publicNetwork: "10.9.0.0/24",
      clusterNetwork: null,
      monitors: [{ name: "n1", peer: voter, addresses: [] }],
    };
    upkeep.start();
    entries.push({ ...{ id: "7-a", body }, kind: "ceph.renumber", state: "open" } as never);
    await settle();
    upkeep.journalChanged();
    await settle();
    entries.push({ ...{ id: "8-a", body }, kind: "ceph.renumber", state: "done" } as never);
    upkeep.journalChanged();
    await settle();
    expect(moves).toEqual([null, null, "8-a"]);
    // Whatever another member said of the networks meanwhile.
    expect(networks).toEqual(["8-a 10.9.0.0/24"]);
  });

  it("reads the monitor map anew when a monitor was decided, and one reading at a time", async () => {
    hasCommands = true;
    upkeep.followMonMap();
    upkeep.followMonMap();
    await settle();
    expect(maps).toBe(1);
    entries.push({ kind: "ceph.mon", state: "done" });
    upkeep.journalChanged();
    await settle();
    upkeep.journalChanged();
    await settle();
    expect(maps).toBe(2);
  });

  it("tells its ingress of gateways that come and go, once of each change, and again after a failure", async () => {
    upkeep.start();
    await settle();
    backends = [{ handle: "n2" }];
    upkeep.followGateways();
    upkeep.journalChanged();
    await settle();
    unreachable = true;
    backends = [{ handle: "n2" }, { handle: "n3" }];
    upkeep.followGateways();
    await settle();
    unreachable = false;
    upkeep.look();
    await settle();
    certificate = "abc";
    upkeep.followGateways();
    await settle();
    expect(followed).toEqual(["", "n2", "n2,n3", "n2,n3", "n2,n3,abc"]);
  });

  it("does not look for gateways where there is no ingress, and does once there is", async () => {
    hasIngress = false;
    backends = [{ handle: "n2" }];
    upkeep.start();
    await settle();
    expect(followed).toEqual([]);
    hasIngress = true;
    upkeep.followGateways();
    await settle();
    expect(followed).toEqual(["n2"]);
  });

  it("stops what was taken off this node, and nothing of another", async () => {
    const off = (type: string, handle: string, revision: number) => {
      const number = { generation: 1, revision };
      const body = { type, handle };
      entries.push({
        ...{ number, openedNumber: number, body },
        kind: "ceph.daemon-out",
        state: "done",
      } as never);
    };
    off("rgw", "n1", 5);
    off("ingress", "n2", 6);
    off("mds", "n1", 7);
    upkeep.journalChanged();
    await settle();
    expect(drops).toEqual(["rgw 5", "mds 7"]);
  });

  it("tells clients on its host what the document says, from its start on", async () => {
    upkeep.start();
    await settle();
    expect(clients).toEqual([{ rbd_cache: "true" }]);
  });

  it("its NFS gateway shows what is exported", () => {
    new MemberUpkeep(runtime()).followExports();
    expect(exported).toEqual(["/home"]);
  });
});
