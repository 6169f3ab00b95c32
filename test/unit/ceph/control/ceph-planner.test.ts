import { beforeEach, describe, expect, it } from "vitest";
import type { CephCommands, OsdTree, Pool } from "../../../../src/ceph/command/commands.ts";
import { monitorAddresses } from "../../../../src/ceph/config/monitor-address.ts";
import { cephPlanners } from "../../../../src/ceph/control/ceph-planner.ts";
import type { Proposal } from "../../../../src/ceph/control/controller.ts";
import type { CrushChange } from "../../../../src/ceph/control/crush-estimate.ts";
import { isCephsOwn, liveOsds } from "../../../../src/ceph/control/crush-facts.ts";
import { kinds } from "../../../../src/ceph/control/decisions.ts";
import type { SeatWish } from "../../../../src/ceph/plan/seats.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import { entryId, handle, osdId, type PeerId, peerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import type { Entry } from "../../../../src/state/journal/types.ts";

const peer = (n: number): PeerId => peerId(`12D3KooW${"abcdefgh".charAt(n).repeat(44)}`);
const gib = 2 ** 20;
const options = {
  daemonLimit: 3,
  settleMs: 5_000,
  crushPauseMs: 2_500,
  unusedPauseMs: 250,
  quietMs: 60_000,
  freeMoveBytes: 10 * 2 ** 30,
};
let cephChanges = 0;

let nodes: number;
let voters: number[];
let entries: Entry[];
let monitors: string[];
let asked: string[];
let now: number;
let hosts: string[];
let pools: Pool[];
let rules: { id: number; name: string; failureDomain: string }[];
let settings: Map<string, string>;
let managerThere: boolean;
let hasCeph: boolean;
let reasons: Map<string, readonly string[]>;
let noAddress: boolean;
/** OSDs below this number have reported their size. */
let sized: number;
let wishes: Map<string, string>;
let zones: Map<string, string | null>;
let buckets: OsdTree["buckets"];
let wouldMove: number;
let estimated: CrushChange[];
let again: number[];
let leaving: Map<number, "moving" | "dead">;
/** Present addresses of those that have moved. */
let addresses: Map<number, string>;
/** The monitors do not answer; or these are out of quorum. */
let silent: boolean;
let out: string[];

const ceph = {
  quorumStatus: async () => {
    asked.push("quorumStatus");
    if (silent) throw new MicrocephError("CEPH_UNREACHABLE", "no monitor answers");
    const quorum = monitors.filter((name) => !out.includes(name));
    return { quorum, monMap: { epoch: 9, monitors: monitors.map(placed) } };
  },
  monMap: async () => {
    asked.push("monMap");
    return { epoch: 9, monitors: monitors.map((name) => ({ name })) };
  },
  osdTree: async (): Promise<OsdTree> => {
    asked.push("osdTree");
    return { osds: hosts.map(osd), hosts: [], buckets };
  },
  mgrStat: async () => ({ available: managerThere }),
  osdDf: async () =>
    hosts.map((_, id) => ({ id: osdId(id), sizeKiB: id < sized ? 10 * gib : 0, usedKiB: 0 })),
  crushRules: async () => rules,
  pools: async () => pools,
  osdDump: async () => ({ nearfullRatio: 0.85 }),
  configGet: async (who: string, key: string) => settings.get(`${who} ${key}`),
} as unknown as CephCommands;

function osd(host: string, id: number): OsdTree["osds"][number] {
  const weight = { reweight: 1, crushWeight: 1, deviceClass: "ssd" };
  return { id: osdId(id), name: `osd.${id}`, up: true, ...weight, host, rack: null };
}

function pool(name: string, change: Partial<Pool> = {}): Pool {
  const shape = { size: 3, minSize: 2, crushRule: 1, pgNum: 1, erasure: false };
  return { id: 1, name, ...shape, applications: [], ...change };
}

function entry(kind: string, body: Json, state: Entry["state"] = "done", revision = 100): Entry {
  const number = { generation: 1, revision };
  return {
    ...{ id: entryId("1-a"), kind, body, agent: null, state, number, handed: false, result: null },
    ...{ reason: "", openedAt: "", closedAt: null, openedNumber: number },
  };
}

let v2Only = false;

function bootstrapped(name: string): Json {
  const networks = { publicNetwork: "10.0.0.0/24", clusterNetwork: null };
  return { handle: name, address: `10.0.0.${name.slice(1)}`, fsid: "", ...networks };
}

function monitorOf(name: string): Json {
  return { handle: name, address: `10.0.0.${name.slice(1)}`, monmapEpoch: 1 };
}

const seated = (name: string): Entry => entry(kinds.monitor, monitorOf(name));

function placed(name: string) {
  return { name, addresses: monitorAddresses(`10.0.0.${name.slice(1)}`, v2Only) };
}

beforeEach(() => {
  services = {};
  v2Only = false;
  addresses = new Map();
  silent = false;
  out = [];
  nodes = 1;
  voters = [0];
  entries = [entry(kinds.bootstrap, bootstrapped("n0"))];
  monitors = ["n0"];
  asked = [];
  now = 1_000_000;
  hosts = [];
  pools = [pool("rbd")];
  rules = [
    { id: 1, name: "microceph_auto_osd", failureDomain: "osd" },
    { id: 2, name: "replicated_rule", failureDomain: "host" },
  ];
  settings = new Map([["global osd_pool_default_crush_rule", "1"]]);
  managerThere = true;
  hasCeph = true;
  reasons = new Map();
  noAddress = false;
  sized = Number.POSITIVE_INFINITY;
  wishes = new Map();
  zones = new Map();
  buckets = [];
  wouldMove = 0;
  estimated = [];
  again = [];
  leaving = new Map();
  seatWishes = new Map();
  dead = [];
  answering = [];
  probed = [];
});

/** Members that are away; addresses at which something listens, and those that were tried. */
let dead: string[];
let answering: string[];
let probed: string[];

let seatWishes: ReadonlyMap<number, SeatWish> = new Map();

let services: Readonly<Record<string, Json>> = {};

function planners() {
  return cephPlanners(options, {
    self: peer(0),
    members: () =>
      Array.from({ length: nodes }, (_, n) => ({
        ...{ peer: peer(n), handle: handle(`n${n}`), zone: null, admitted: n },
        alive: !dead.includes(`n${n}`),
        leaving: leaving.get(n) ?? null,
        seats: seatWishes.get(n) ?? null,
        address: noAddress ? null : (addresses.get(n) ?? `10.0.0.${n}`),
        addresses: [addresses.get(n) ?? `10.0.0.${n}`],
        ...{ lost: false, servicesLost: false, steady: true },
      })),
    voters: async () => voters.map(peer),
    monitorsLost: () => [],
    lostForGood: () => new Set<PeerId>(),
    networks: () => ({
      publicNetwork: "10.0.0.0/24",
      clusterNetwork: null,
      own: ["10.0.0.0/24", "10.9.0.0/24"],
    }),
    addressIn: (all, network) => all.find((one) => one.startsWith(network.replace(/0\/24$/, ""))) ?? null,
    entries: () => entries,
    ceph: () => (hasCeph ? ceph : null),
    cephChanges: () => cephChanges,
    services: () => services,
    setting: (name) => wishes.get(name),
    later: (ms) => void again.push(ms),
    zones: () => ({ members: zones, former: new Set() }),
    estimate: async (change) => {
      estimated.push(change);
      return { copies: 1, bytes: wouldMove, pools: [] };
    },
    listens: async ({ host, port }) => {
      probed.push(`${host}:${port}`);
      return answering.includes(host);
    },
    handOver: () => undefined,
    explain: (subject, why) => void reasons.set(subject, why),
    now: () => now,
  });
}

async function plan(
  name: "seats" | "monitorsBeside" | "daemons" | "gateways" | "nfs" | "crush",
  made = planners(),
): Promise<readonly Proposal[]> {
  return (await made[name]?.(new AbortController().signal, 1)) ?? [];
}

/** As often as an idle controller does, until the facts have settled. */
async function settled(): Promise<readonly Proposal[]> {
  const made = planners();
  for (const _ of [0, 1, 2]) {
    const proposals = await plan("crush", made);
    if (proposals.length > 0) return proposals;
    now += 5_000;
  }
  return [];
}

describe("seats", () => {
  it("asks Ceph nothing while there is nothing to ask it about", async () => {
    expect(await plan("seats")).toEqual([]);
    nodes = 3;
    expect(await plan("seats")).toMatchObject([
      { kind: kinds.voter, body: { peer: peer(1), handle: "n1" }, agent: peer(1), lane: "seats/votes" },
    ]);
    expect(asked).toEqual([]);
  });

  it("seats voters before Ceph is there", async () => {
    nodes = 3;
    hasCeph = false;
    expect(await plan("seats")).toMatchObject([{ kind: kinds.voter }]);
  });

  it("plans a monitor from the map that it has read, and says from which", async () => {
    nodes = 3;
    voters = [0, 1, 2];
    expect(await plan("seats")).toMatchObject([
      {
        ...{ kind: kinds.monitor, agent: peer(1), lane: "seats/monitors" },
        body: { handle: "n1", address: "10.0.0.1", monmapEpoch: 9 },
      },
    ]);
    expect(asked).toEqual(["quorumStatus"]);
  });

  it.each([[[0]], [[0, 1]]])("gives monitors while votes are given: voters %j", async (theirs) => {
    nodes = 3;
    voters = theirs;
    expect(await plan("monitorsBeside")).toMatchObject([
      { kind: kinds.monitor, body: { handle: "n1", monmapEpoch: 9 }, agent: peer(1), lane: "seats/monitors" },
    ]);
    expect(asked).toEqual(["quorumStatus"]);
  });

  it.each<[string, () => void]>([
    ["all have their votes", () => void voters.push(2)],
    [
      "no votes are given",
      () => {
        nodes = 2;
      },
    ],
    ["as many monitors are decided as are wanted", () => entries.push(...["n1", "n2"].map(seated))],
    ["a monitor is being given", () => void entries.push(entry(kinds.monitor, monitorOf("n1"), "open"))],
    ["the networks are being changed", () => void entries.push(entry(kinds.networks, {}, "open"))],
    ["the monitors are being made anew", () => void entries.push(entry(kinds.rebuild, {}, "open"))],
  ])("does so by the planner of seats alone when %s", async (_when, change) => {
    nodes = 3;
    voters = [0, 1];
    change();
    expect(await plan("monitorsBeside")).toEqual([]);
    expect(asked).toEqual([]);
  });

  it("asks no more once as many monitors are decided as are wanted", async () => {
    nodes = 3;
    voters = [0, 1, 2];
    entries.push(entry(kinds.monitor, monitorOf("n1")), entry(kinds.monitor, monitorOf("n2")));
    expect(await plan("seats")).toEqual([]);
    expect(asked).toEqual([]);
    expect(reasons.get("seats")).toEqual(["3 voters and monitors are seated"]);
  });

  it("asks again when one of those that have seats is to give them to another", async () => {
    nodes = 4;
    voters = [0, 1, 2, 3];
    monitors = ["n0", "n1", "n2", "n3"];
    entries.push(...[1, 2, 3].map((n) => entry(kinds.monitor, monitorOf(`n${n}`))));
    seatWishes = new Map([[1, "away"]]);
    expect(await plan("seats")).toMatchObject([
      { kind: kinds.monitorOut, body: { handle: "n1" }, reason: "n1 gives its seats to others" },
    ]);
  });

  it("moves the monitor of a host where none is wanted, and says where one stays all the same", async () => {
    nodes = 4;
    voters = [0, 1, 2];
    monitors = ["n0", "n1", "n2"];
    entries.push(...[1, 2].map((n) => entry(kinds.monitor, monitorOf(`n${n}`))));
    expect(await plan("seats")).toEqual([]);
    services = { mon: { targets: [], off: [peer(1)] } };
    expect(await plan("seats")).toMatchObject([{ kind: kinds.voter, body: { handle: "n3" } }]);
    services = { mon: { targets: [peer(3)], off: [] } };
    expect(await plan("seats")).toMatchObject([{ kind: kinds.voter, body: { handle: "n3" } }]);
    expect(asked).toEqual([]);
    nodes = 3;
    services = { mon: { targets: [], off: [peer(1)] } };
    expect(await plan("seats")).toEqual([]);
    expect(reasons.get("seats")?.join()).toContain(
      "no monitor is wanted on n1, but there are too few others",
    );
    services = { mon: { targets: "all", off: 7 } };
    expect(await plan("seats")).toEqual([]);
  });

  it("waits for an address in the public network, and says so", async () => {
    nodes = 3;
    voters = [0, 1, 2];
    noAddress = true;
    expect(await plan("seats")).toEqual([]);
    expect(reasons.get("seats")).toEqual(["n1 has no address in the public network"]);
  });
});

describe("monitors whose hosts have moved", () => {
  beforeEach(() => {
    nodes = 3;
    voters = [0, 1, 2];
    monitors = ["n0", "n1", "n2"];
    entries.push(entry(kinds.monitor, monitorOf("n1")), entry(kinds.monitor, monitorOf("n2")));
  });

  /** What is planned a while after the first look. */
  async function later(ms: number): Promise<readonly Proposal[]> {
    const made = planners();
    expect(await plan("seats", made)).toEqual([]);
    now += ms;
    return plan("seats", made);
  }

  it("are made anew where their hosts are now while the others have a quorum, once the address stays", async () => {
    addresses.set(2, "10.0.0.77");
    out = ["n2"];
    expect(await later(9_000)).toEqual([]);
    expect(await later(10_000)).toMatchObject([
      { kind: kinds.monitorOut, body: { handle: "n2", monmapEpoch: 9 } },
    ]);
  });

  it("are left alone while they are in quorum all the same", async () => {
    addresses.set(2, "10.0.0.77");
    expect(await later(20_000)).toEqual([]);
  });

  it("all get their new addresses in one decision when no majority can meet at the old ones", async () => {
    for (const n of [0, 1, 2]) addresses.set(n, `10.9.0.${n}`);
    silent = true;
    expect(await later(9_000)).toEqual([]);
    const [decision] = await later(10_000);
    expect(decision).toMatchObject({ kind: kinds.renumber, agent: null, lane: "seats" });
    expect(decision?.body).toEqual({
      publicNetwork: "10.9.0.0/24",
      clusterNetwork: null,
      monitors: [0, 1, 2].map((n) => ({
        name: `n${n}`,
        peer: peer(n),
        addresses: [
          { type: "v2", address: `10.9.0.${n}:3300` },
          { type: "v1", address: `10.9.0.${n}:6789` },
        ],
      })),
    });
  });

  it("keep to the second protocol where they speak that alone", async () => {
    entries[0] = entry(kinds.bootstrap, { ...(bootstrapped("n0") as object), v2Only: true });
    for (const n of [0, 1, 2]) addresses.set(n, `10.9.0.${n}`);
    silent = true;
    const [decision] = await later(10_000);
    expect(decision?.body).toMatchObject({
      monitors: [0, 1, 2].map((n) => ({ addresses: [{ type: "v2", address: `10.9.0.${n}:3300` }] })),
    });
  });

  it("wait, and say so, where the others could still meet", async () => {
    addresses.set(2, "10.0.0.77");
    silent = true;
    expect(await later(100_000)).toEqual([]);
    expect(reasons.get("seats")?.join()).toContain("n2 moved; the other monitors are enough to decide");
  });

  it("are all those that the journal has, whichever of them this node has heard of", async () => {
    // With n0 alone in the map, it would decide without n1 and n2, which meet where they were.
    monitors = ["n0"];
    addresses.set(0, "10.9.0.0");
    silent = true;
    expect(await later(100_000)).toEqual([]);
    expect(reasons.get("seats")?.join()).toContain("n0 moved; the other monitors are enough to decide");
  });

  it("are nothing to act on when the monitors are merely silent", async () => {
    silent = true;
    entries.pop();
    await expect(plan("seats")).rejects.toMatchObject({ code: "CEPH_UNREACHABLE" });
  });
});

describe("gateways", () => {
  it("are placed once there is an OSD, and say until then what they wait for", async () => {
    nodes = 3;
    services = { rgw: { port: 8080, targets: [peer(2)], count: 2 } };
    expect(await plan("gateways")).toEqual([]);
    expect(reasons.get("rgw")?.at(-1)).toBe("no gateway is placed before there is an OSD");
    expect(again).toHaveLength(1);
    hosts = ["n0"];
    expect((await plan("gateways")).map(({ body, agent, lane }) => ({ body, agent, lane }))).toEqual([
      { body: { type: "rgw", handle: "n2", port: 8080 }, agent: peer(2), lane: "rgw.n2" },
      { body: { type: "rgw", handle: "n0", port: 8080 }, agent: peer(0), lane: "rgw.n0" },
    ]);
  });

  it("are taken off when nobody wants them, and Ceph is not asked anything while all is as it should be", async () => {
    nodes = 2;
    entries.push(entry(kinds.daemon, { type: "rgw", handle: "n0", port: 80 }));
    services = { rgw: { port: 80, targets: [peer(0)], count: 0 } };
    expect([await plan("gateways"), asked]).toEqual([[], []]);
    services = {};
    expect((await plan("gateways")).map(({ kind, body }) => [kind, body])).toEqual([
      [kinds.daemonOut, { type: "rgw", handle: "n0" }],
    ]);
  });

  it("a wish that cannot be read is none", async () => {
    hosts = ["n0"];
    services = { rgw: { port: "80", targets: [], count: 1 } };
    expect(await plan("gateways")).toEqual([]);
  });

  it("what a former member of that name had is not there: manager and gateway are placed again", async () => {
    nodes = 3;
    voters = [0, 1, 2];
    hosts = ["n0"];
    monitors = ["n0", "n1", "n2"];
    for (const name of ["n1", "n2"]) entries.push(entry(kinds.monitor, monitorOf(name)));
    services = { rgw: { port: 80, targets: [peer(2)], count: 0 } };
    const had = (revision: number) => [
      entry(kinds.daemon, { type: "rgw", handle: "n2", port: 80 }, "done", revision),
      entry(kinds.daemon, { type: "mgr", handle: "n2" }, "done", revision),
    ];
    const before = entries;
    entries = [...before, ...had(2)];
    expect(await plan("gateways")).toHaveLength(1);
    expect((await plan("daemons")).map(({ lane }) => lane)).toContain("mgr.n2");
    entries = [...before, ...had(3)];
    expect(await plan("gateways")).toEqual([]);
    expect((await plan("daemons")).map(({ lane }) => lane)).not.toContain("mgr.n2");
  });
});

describe("NFS gateways", () => {
  const told = { cluster: "share", port: 2049, bind: null, minVersion: 1 };
  const nfs = (name: string, rank: number, state?: Entry["state"]): Entry =>
    entry(kinds.daemon, { type: "nfs", handle: name, ...told, rank }, state);
  const off = (name: string, rank: number): Json => ({
    ...{ type: "nfs", handle: name, nfs: { cluster: "share", rank } },
  });
  const shown = async (): Promise<[string, Json][]> =>
    (await plan("nfs")).map(({ kind, body }) => [kind, body]);
  beforeEach(() => {
    nodes = 3;
    hosts = ["n0"];
    services = { nfs: { ...told, targets: [], count: 2 } };
  });

  it("have a rank each, the lowest that nobody has", async () => {
    expect((await plan("nfs")).map(({ body }) => body)).toEqual([
      { type: "nfs", handle: "n0", ...told, rank: 0 },
      { type: "nfs", handle: "n1", ...told, rank: 1 },
    ]);
    entries.push(nfs("n2", 1));
    expect((await plan("nfs")).map(({ body }) => body)).toEqual([
      { type: "nfs", handle: "n0", ...told, rank: 0 },
    ]);
    // With other settings each keeps its own.
    services = { nfs: { ...told, port: 2050, targets: [], count: 1 } };
    expect((await plan("nfs")).map(({ body }) => body)).toEqual([
      { type: "nfs", handle: "n2", ...told, port: 2050, rank: 1 },
    ]);
  });

  it("behind the common address are taken over at once when host and gateway are silent, by one at a time", async () => {
    entries.push(nfs("n0", 0), nfs("n1", 1));
    dead = ["n1"];
    answering = ["10.0.0.1"];
    expect(await shown()).toEqual([]);
    expect(probed).toEqual([]);
    services = {
      ...services,
      ingress: { vip: "10.0.0.9", prefix: 24, port: 80, targets: [], count: 2, nfsPort: 2049 },
    };
    // Its daemon alone is dead.
    expect(await shown()).toEqual([]);
    expect([probed, again.length]).toEqual([["10.0.0.1:2049"], 1]);
    answering = [];
    expect(await shown()).toEqual([[kinds.daemonOut, off("n1", 1)]]);
    // Until it cannot serve any more, nobody has its rank.
    entries.push(entry(kinds.daemonOut, off("n1", 1), "open"));
    expect(await shown()).toEqual([]);
    entries.pop();
    entries.push(entry(kinds.daemonOut, off("n1", 1)));
    expect(await shown()).toEqual([[kinds.daemon, { type: "nfs", handle: "n2", ...told, rank: 1 }]]);
  });

  it("stay where they are when nobody else could have them", async () => {
    entries.push(nfs("n0", 0), nfs("n1", 1));
    services = {
      ...services,
      ingress: { vip: "10.0.0.9", prefix: 24, port: 80, targets: [], count: 2, nfsPort: 2049 },
    };
    await shown();
    expect(reasons.get("nfs")).toEqual(["2 are wanted in all: n0, n1"]);
    dead = ["n1", "n2"];
    expect(await shown()).toEqual([]);
    expect(reasons.get("nfs")?.at(-1)).toMatch(/^no member stands by/);
    dead = [];
    services = { ...services, nfs: { ...told, targets: [peer(1)], count: 2 } };
    await shown();
    expect(reasons.get("nfs")?.at(-1)).toBe("n1 was asked for by name: when it dies, its clients wait");
  });
});

describe("daemons", () => {
  const daemon = (type: string, name: string, state?: Entry["state"]): Entry =>
    entry(kinds.daemon, { type, handle: name }, state);

  it.each<[string, Entry[], string[]]>([
    ["both kinds on the only node", [], ["mgr.n0", "mds.n0"]],
    ["what is missing", [daemon("mgr", "n0")], ["mds.n0"]],
    ["nothing twice while it is being made", [daemon("mgr", "n0", "open"), daemon("mds", "n0")], []],
    ["again what was given up", [daemon("mgr", "n0", "abandoned"), daemon("mds", "n0")], ["mgr.n0"]],
  ])("places %s", async (_what, placed, lanes) => {
    entries.push(...placed);
    expect((await plan("daemons")).map(({ lane }) => lane)).toEqual(lanes);
    // Asked only when there is something to place.
    expect(asked).toEqual(lanes.length === 0 ? [] : ["monMap"]);
  });

  it("places one manager only while monitors are added, and all the others once they are there, or late", async () => {
    nodes = 3;
    const lanes = async (made = planners()): Promise<string[]> =>
      (await plan("daemons", made)).map(({ lane }) => lane);
    const made = planners();
    expect(await lanes(made)).toEqual(["mgr.n0"]);
    now += 30_000;
    expect(await lanes(made)).toHaveLength(6);
    entries.push(daemon("mgr", "n0"));
    expect(await lanes()).toEqual([]);
    entries.push(entry(kinds.monitor, monitorOf("n1")), entry(kinds.monitor, monitorOf("n2")));
    expect(await lanes()).toEqual(["mgr.n1", "mgr.n2", "mds.n0", "mds.n1", "mds.n2"]);
  });

  it("lets what stands by wait a little longer for the first OSDs, when it has waited for monitors", async () => {
    nodes = 3;
    const made = planners();
    expect(await plan("daemons", made)).toHaveLength(1);
    entries.push(daemon("mgr", "n0"));
    entries.push(entry(kinds.monitor, monitorOf("n1")), entry(kinds.monitor, monitorOf("n2")));
    expect(await plan("daemons", made)).toEqual([]);
    now += 4_999;
    expect(await plan("daemons", made)).toEqual([]);
    now += 1;
    expect(await plan("daemons", made)).toHaveLength(5);
  });

  it("takes nothing off a host that gives it up while others are put off", async () => {
    nodes = 3;
    entries.push(daemon("mds", "n0"), daemon("mgr", "n1"));
    seatWishes = new Map([[0, "away"]]);
    expect((await plan("daemons")).filter(({ kind }) => kind === kinds.daemonOut)).toEqual([]);
  });

  it("places nothing before Ceph is there", async () => {
    hasCeph = false;
    expect(await plan("daemons")).toEqual([]);
  });
});

describe("failure domain and pool profile", () => {
  beforeEach(() => {
    nodes = 3;
    hosts = ["n0", "n1", "n2"];
  });

  it("widens to hosts once three of them have had OSDs for a while", async () => {
    const made = planners();
    expect(await plan("crush", made)).toEqual([]);
    now += 4_999;
    expect(await plan("crush", made)).toEqual([]);
    now += 2_500;
    expect(await plan("crush", made)).toMatchObject([
      { kind: kinds.failureDomain, body: { from: "osd", to: "host" }, agent: null, lane: "crush" },
    ]);
  });

  it("does not wait for anything while there are no pools but Ceph's own", async () => {
    pools = [pool("device_health_metrics")];
    sized = 0;
    expect(await plan("crush")).toMatchObject([{ kind: kinds.failureDomain, body: { to: "host" } }]);
  });

  it("looks again at once when something changes while a cluster is being built, and seldom once it is used", async () => {
    const wider = [{ kind: kinds.failureDomain }];
    for (const name of ["device_health_metrics", "rbd"]) {
      pools = [pool(name)];
      hosts = ["n0", "n1"];
      const made = planners();
      expect(await plan("crush", made)).toEqual([]);
      hosts = ["n0", "n1", "n2"];
      now += options.unusedPauseMs;
      expect(await plan("crush", made), "nothing was told").toEqual([]);
      cephChanges += 1;
      expect(await plan("crush", made)).toMatchObject(name === "rbd" ? [] : wider);
    }
  });

  it("looks for a manager soon again while a cluster is being built", async () => {
    pools = [pool("device_health_metrics")];
    managerThere = false;
    const made = planners();
    expect(await plan("crush", made)).toEqual([]);
    expect(again.at(-1)).toBe(options.unusedPauseMs);
    managerThere = true;
    now += options.unusedPauseMs;
    expect(await plan("crush", made)).toMatchObject([{ kind: kinds.failureDomain }]);
  });

  it("waits until every OSD has reported its size, and says so", async () => {
    sized = 2;
    expect(await settled()).toEqual([]);
    expect(reasons.get("failure-domain")?.join()).toContain("reported its size");
    sized = 3;
    expect(await settled()).toHaveLength(1);
  });

  it("starts to wait anew when the hosts change", async () => {
    const made = planners();
    await plan("crush", made);
    now += 4_000;
    hosts = ["n0", "n1", "n2", "n3"];
    await plan("crush", made);
    now += 4_000;
    expect(await plan("crush", made)).toEqual([]);
  });

  it.each<[string, () => void]>([
    ["by id", () => settings.set("global osd_pool_default_crush_rule", "2")],
    ["for the monitors only", () => settings.set("mon osd_pool_default_crush_rule", "2")],
    ["by leaving it to Ceph", () => settings.delete("global osd_pool_default_crush_rule")],
  ])("leaves a default rule alone that a user has chosen: %s", async (_what, choose) => {
    choose();
    expect(await settled()).toEqual([]);
    expect(reasons.get("failure-domain")?.[0]).toMatch(/is not ours$/);
  });

  it("looks once in a burst of events", async () => {
    const made = planners();
    await plan("crush", made);
    await plan("crush", made);
    expect(asked).toEqual(["osdTree"]);
  });

  it("asks Ceph nothing while all is settled, until something changed or a minute is over", async () => {
    settings.set("global osd_pool_default_crush_rule", "2");
    rules = [{ id: 2, name: "microceph_auto_host", failureDomain: "host" }];
    const made = planners();
    const looks = async (afterMs: number): Promise<number> => {
      now += afterMs;
      asked = [];
      await plan("crush", made);
      return asked.length;
    };
    await looks(0);
    expect(await looks(5_000), "not settled yet").toBe(1);
    expect(await looks(5_000), "settled").toBe(0);
    cephChanges += 1;
    expect(await looks(5_000), "a change in Ceph's maps").toBe(1);
    nodes += 1;
    expect(await looks(5_000), "another member").toBe(1);
    expect(await looks(59_999)).toBe(0);
    expect(await looks(1), "a minute").toBe(1);
  });

  it.each<[string, () => void]>([
    ["before there are OSDs", () => hosts.splice(0)],
    [
      "without a manager, who alone knows how full they are",
      () => {
        managerThere = false;
      },
    ],
  ])("plans nothing %s", async (_what, arrange) => {
    arrange();
    expect(await settled()).toEqual([]);
  });

  describe("of one or two nodes", () => {
    beforeEach(() => {
      nodes = 1;
      hosts = ["n0"];
    });

    it("gives as many copies as there are OSDs, once their number has settled", async () => {
      expect(await settled()).toMatchObject([{ kind: kinds.poolProfile, body: { size: 1, minSize: 1 } }]);
      expect(now).toBe(1_005_000);
    });

    it("goes on from its own last decision", async () => {
      settings.set("global osd_pool_default_size", "1");
      entries.push(entry(kinds.poolProfile, { size: 1, minSize: 1 }));
      hosts = ["n0", "n0"];
      expect(await settled()).toMatchObject([{ body: { size: 2, minSize: 1 } }]);
    });

    it.each<[string, string, Entry[]]>([
      ["before the first decision", "2", []],
      ["even Ceph's own number", "3", []],
      ["after one", "3", [entry(kinds.poolProfile, { size: 1, minSize: 1 })]],
      ["after one that was given up", "1", [entry(kinds.poolProfile, { size: 1, minSize: 1 }, "abandoned")]],
    ])("leaves a number of copies alone that a user has set: %s", async (_what, size, decided) => {
      settings.set("global osd_pool_default_size", size);
      entries.push(...decided);
      hosts = ["n0", "n0"];
      expect(await settled()).toEqual([]);
      expect(reasons.get("pool-profile")).toEqual([`the default of ${size} copies is not ours`]);
    });

    it("looks at Ceph's own pools only: a user's stay as they are", async () => {
      settings.set("global osd_pool_default_size", "1");
      entries.push(entry(kinds.poolProfile, { size: 1, minSize: 1 }));
      pools = [pool("rbd", { size: 0 })];
      expect(await settled()).toEqual([]);
      pools = [pool(".mgr", { size: 0, applications: ["mgr"] })];
      expect(await settled()).toHaveLength(1);
    });
  });
});

describe("what counts", () => {
  it.each<[Partial<OsdTree["osds"][number]>, number]>([
    [{}, 1],
    [{ up: false }, 0],
    [{ reweight: 0 }, 0],
    [{ host: null }, 0],
  ])("as a live OSD: %j", (change, count) => {
    expect(liveOsds({ osds: [{ ...osd("n0", 0), ...change }], hosts: [], buckets: [] })).toHaveLength(count);
  });

  it.each<[string, string[], boolean]>([
    [".mgr", [], true],
    ["device_health_metrics", [], true],
    ["any", ["mgr"], true],
    ["rbd", ["rbd"], false],
    ["mgr", [], false],
  ])("as a pool of Ceph's own: %s with %j is %s", (name, applications, own) => {
    expect(isCephsOwn(name, applications)).toBe(own);
  });
});

describe("consent to moving data", () => {
  const grown = (): void => {
    nodes = 3;
    hosts = ["n0", "n1", "n2"];
    settings.set("global osd_pool_default_size", "3");
    entries.push(entry(kinds.poolProfile, { size: 3, minSize: 2 }));
  };

  it("lets little move, and asks for more", async () => {
    grown();
    expect((await settled())[0]?.kind).toBe(kinds.failureDomain);
    expect(estimated.at(-1)).toEqual({ moves: [], domain: "host" });
    wouldMove = 11 * 2 ** 30;
    expect(await settled()).toEqual([]);
    expect(reasons.get(kinds.failureDomain)?.join()).toContain("consent is needed");
  });

  it("moves what was consented to, until that lapses", async () => {
    grown();
    wouldMove = 11 * 2 ** 30;
    const consent = (until: number): void => {
      wishes.set(
        "crush.consent",
        JSON.stringify({ bytes: 12 * 2 ** 30, until: new Date(until).toISOString() }),
      );
    };
    consent(now + 3_600_000);
    expect((await settled())[0]?.kind).toBe(kinds.failureDomain);
    consent(now - 1);
    expect(await settled()).toEqual([]);
  });

  it("puts hosts into their zones before rules follow", async () => {
    grown();
    zones.set("n0", "a");
    buckets = [
      { name: "default", type: "root", parent: null, items: 1 },
      { name: "n0", type: "host", parent: "default", items: 1 },
    ];
    expect((await settled())[0]).toMatchObject({
      kind: kinds.topology,
      body: { op: "place", places: [{ bucket: "n0", rack: "az.a" }] },
    });
  });

  it("plans again when the time is over for which everything must have been the same", async () => {
    grown();
    const made = planners();
    await plan("crush", made);
    expect(again.at(-1)).toBe(options.settleMs);
    now += 1_000;
    await plan("crush", made);
    expect(again.at(-1)).toBe(options.crushPauseMs - 1_000);
  });
});
