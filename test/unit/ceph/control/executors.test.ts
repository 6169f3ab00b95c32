import { beforeEach, describe, expect, it } from "vitest";
import type { CephCommands, Pool } from "../../../../src/ceph/command/commands.ts";
import type { Order } from "../../../../src/ceph/control/agent.ts";
import type { Outcome } from "../../../../src/ceph/control/controller.ts";
import { kinds } from "../../../../src/ceph/control/decisions.ts";
import { cephExecutors, type ExecutorDeps } from "../../../../src/ceph/control/executors.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import { entryId, fsid, handle, osdId, type PeerId, peerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import type { Entry } from "../../../../src/state/journal/types.ts";

const agent: PeerId = peerId(`12D3KooW${"a".repeat(44)}`);
const cluster = fsid("00000000-1111-2222-3333-444444444444");
const access = {
  ...{ fsid: cluster, adminKey: "admin", publicNetwork: "10.0.0.0/24", clusterNetwork: null },
  monitors: [],
};
const id = entryId("5-a");

/** All that was done, in order; orders, Ceph and etcd in one list. */
let calls: string[];
let entry: Entry;
/** The monitor map and the quorum, as Ceph says them at each asking; the last one stays. */
let maps: { epoch: number; names: string[]; quorum: string[] }[];
let rules: { id: number; name: string }[];
let settings: Map<string, string>;
let pools: Pool[];
let osds: number;
/** What the agent answers to each order. */
let answers: (MicrocephError | null)[];
/** What the agent answers to a cancellation. */
let acknowledges: boolean | MicrocephError;
let payloads: Json[];
let secrets: Map<string, string>;

let standbys = ["n2"];
const ceph = {
  quorumStatus: async () => {
    const map = (maps.length > 1 ? maps.shift() : maps[0]) ?? { epoch: 1, names: [], quorum: [] };
    const monitors = map.names.map((name, rank) => ({ name, rank, addresses: [] }));
    return { quorum: map.quorum, monMap: { epoch: map.epoch, fsid: cluster, monitors } };
  },
  secret: async (name: string) => secrets.get(name),
  run: async (words: readonly string[]) => {
    calls.push(words.join(" "));
    return { active_name: "n1", standbys: standbys.map((name) => ({ name })) };
  },
  mdsStat: async () => ({ active: ["n2"], standby: ["n1"], fileSystems: [] }),
  authRemove: async (entity: string) => void calls.push(`forget ${entity}`),
  authGetOrCreate: async (entity: string) => `key of ${entity}`,
  createReplicatedRule: async (name: string) => {
    calls.push(`rule ${name}`);
    rules.push({ id: 9, name });
    return 9;
  },
  crushRules: async () => rules,
  configGet: async (who: string, key: string) => settings.get(`${who} ${key}`),
  configRemove: async (who: string, key: string) => void settings.delete(`${who} ${key}`),
  configSet: async (who: string, key: string, value: string) => {
    calls.push(`set ${key} ${value}`);
    settings.set(`${who} ${key}`, value);
  },
  pools: async () => pools,
  createPool: async (name: string, { pgNum }: { pgNum: number }) =>
    void calls.push(`create ${name} ${pgNum}`),
  enableApplication: async (name: string, application: string) =>
    void calls.push(`enable ${name} ${application}`),
  setPool: async (pool: string, key: string, value: string) =>
    void calls.push(`pool ${pool} ${key} ${value}`),
  osdTree: async () => ({
    osds: Array.from({ length: osds }, (_, n) => ({ id: osdId(n), up: true, reweight: 1, host: "n1" })),
  }),
} as unknown as CephCommands;

beforeEach(() => {
  standbys = ["n2"];
  calls = [];
  answers = [];
  payloads = [];
  acknowledges = true;
  maps = [{ epoch: 3, names: ["n0"], quorum: ["n0"] }];
  rules = [
    { id: 1, name: "microceph_auto_osd" },
    { id: 7, name: "of_a_user" },
  ];
  settings = new Map([["global osd_pool_default_crush_rule", "1"]]);
  pools = [];
  osds = 3;
});

const deps: ExecutorDeps = {
  ceph: () => ceph,
  secrets: async () => ({ adminKey: "admin", monKey: "mon" }),
  access: async () => access,
  order: async (peer: PeerId, order: Order) => {
    calls.push(`order ${order.number.revision} to ${peer === agent}`);
    payloads.push(order.payload);
    const answer = answers.shift() ?? null;
    if (answer) throw answer;
    return null;
  },
  handed: async () => {
    calls.push("handed");
    entry = { ...entry, handed: true };
  },
  restamp: async () => {
    entry = { ...entry, number: { generation: 1, revision: entry.number.revision + 1 } };
    return entry;
  },
  cancel: async () => {
    calls.push("cancel");
    if (acknowledges instanceof MicrocephError) throw acknowledges;
    return acknowledges;
  },
  voters: {
    remove: async (member, name) => void calls.push(`remove ${member} ${name}`),
    takeOut: async (name) => void calls.push(`take out ${name}`),
    addLearner: async (name) => {
      calls.push(`learner ${name}`);
      return [{ handle: name, peer: agent }];
    },
    promote: async (name) => void calls.push(`promote ${name}`),
  },
  isGone: () => false,
  nextSecrets: async () => ({ adminKey: "admin", monKey: "mon" }),
  keepSecrets: async () => undefined,
  alive: () => new Map(),
  addressesOf: () => [],
  adopt: async () => undefined,
  removals: () => ({}),
  callMs: () => 1000,
  current: () => entry,
};

function run(kind: string, body: Json, change: Partial<Entry> = {}): Promise<Outcome> {
  const number = { generation: 1, revision: 5 };
  entry = {
    ...{ id, kind, body, agent, state: "open", number, handed: false, result: null, reason: "" },
    ...{ openedAt: "", closedAt: null, openedNumber: number },
    ...change,
  };
  const executor = cephExecutors(deps)[kind];
  if (!executor) throw new Error(`no executor of ${kind}`);
  return executor(entry, new AbortController().signal);
}

const stale = (): MicrocephError => new MicrocephError("STALE_DECISION", "overtaken");
const gone = (): MicrocephError => new MicrocephError("PEER_UNREACHABLE", "gone");

describe("a monitor", () => {
  const body = { handle: "n1", address: "10.0.0.1", monmapEpoch: 3 };
  const joined = { epoch: 4, names: ["n0", "n1"], quorum: ["n0", "n1"] };

  it("is ordered with what its journal must not hold, and done once it is in quorum", async () => {
    maps.push(joined);
    expect(await run(kinds.monitor, body)).toMatchObject({ state: "done", result: { epoch: 4 } });
    expect(calls).toEqual(["handed", "order 5 to true"]);
    expect(payloads).toEqual([{ access, monKey: "mon" }]);
  });

  it("is not done before that", async () => {
    maps.push({ ...joined, quorum: ["n0"] });
    await expect(run(kinds.monitor, body)).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
  });

  it.each<[string, string[], string[], boolean]>([
    ["the second of one", ["n0"], ["n0"], true],
    ["the third of two", ["n0", "n2"], ["n0", "n2"], true],
    ["the fourth while one of three is down", ["n0", "n2", "n3"], ["n0", "n2"], false],
    ["the fourth of three", ["n0", "n2", "n3"], ["n0", "n2", "n3"], true],
    ["the fifth while one of four is down", ["n0", "n2", "n3", "n4"], ["n0", "n2", "n3"], true],
  ])("needs a majority that can do without it: %s", async (_what, names, quorum, given) => {
    maps = [
      { epoch: 3, names, quorum },
      { epoch: 4, names: [...names, "n1"], quorum: [...quorum, "n1"] },
    ];
    const { state, reason } = await run(kinds.monitor, body);
    // Who is down may be gone for good: the entry must not stand in the way of its removal.
    if (given) expect(state).toBe("done");
    else expect([state, reason]).toEqual(["abandoned", "2 of 3 monitors are in quorum"]);
    expect(calls.length > 0).toBe(given);
  });

  it("is waited for when it is in the map already, however many are down", async () => {
    maps = [{ epoch: 4, names: ["n0", "n1", "n2"], quorum: ["n0"] }];
    await expect(run(kinds.monitor, body)).rejects.toMatchObject({ code: "NO_QUORUM" });
  });

  it("is dropped, unless it was handed over, when the map is another than the plan's", async () => {
    maps = [{ epoch: 4, names: ["n0"], quorum: ["n0"] }];
    expect(await run(kinds.monitor, body)).toMatchObject({ state: "abandoned", cancelAcknowledged: false });
    expect(calls).toEqual([]);
  });

  it.each<[string, boolean | MicrocephError, object | null]>([
    ["with its agent's promise", true, { state: "abandoned", cancelAcknowledged: true }],
    ["or is done, when its agent has carried it out", false, { state: "done" }],
    ["and never without an answer", gone(), null],
  ])("once handed over, is withdrawn only %s", async (_what, answer, outcome) => {
    maps = [{ epoch: 4, names: ["n0"], quorum: ["n0"] }];
    acknowledges = answer;
    const made = run(kinds.monitor, body, { handed: true });
    if (outcome === null) await expect(made).rejects.toMatchObject({ code: "PEER_UNREACHABLE" });
    else expect(await made).toMatchObject(outcome);
    expect(calls).toEqual(["cancel"]);
  });

  it("is gone on with when it is in the map already, whatever the epoch", async () => {
    maps = [joined];
    expect(await run(kinds.monitor, body, { handed: true })).toMatchObject({ state: "done" });
    expect(calls).toEqual(["handed", "order 5 to true"]);
  });
});

describe("an order", () => {
  const body = { type: "mgr", handle: "n1" };

  it("gets a new number once when its agent calls it overtaken", async () => {
    answers = [stale()];
    expect(await run(kinds.daemon, body)).toMatchObject({ state: "done" });
    expect(calls).toEqual(["handed", "order 5 to true", "order 6 to true"]);
  });

  it("that is overtaken under its newest number too is withdrawn", async () => {
    answers = [stale(), stale()];
    expect(await run(kinds.daemon, body)).toMatchObject({ state: "abandoned", cancelAcknowledged: true });
    expect(calls.at(-1)).toBe("cancel");
  });

  it("to an agent that does not answer stays open", async () => {
    answers = [gone()];
    await expect(run(kinds.daemon, body)).rejects.toMatchObject({ code: "PEER_UNREACHABLE" });
    expect(calls).toEqual(["handed", "order 5 to true"]);
  });

  it.each(["mgr", "mds"])("for a %s carries the key of that daemon", async (type) => {
    await run(kinds.daemon, { type, handle: "n1" });
    expect(payloads).toEqual([{ access, key: `key of ${type}.n1` }]);
  });

  it("for the first monitor carries the secrets, and its result the UUID", async () => {
    const network = { publicNetwork: "10.0.0.0/24", clusterNetwork: null };
    const first = { fsid: cluster, handle: "n1", address: "10.0.0.1", ...network };
    expect(await run(kinds.bootstrap, first)).toMatchObject({ state: "done", result: { fsid: cluster } });
    expect(payloads).toEqual([{ adminKey: "admin", monKey: "mon" }]);
  });
});

describe("a voter", () => {
  it("is a learner before its agent starts it, and promoted after that", async () => {
    expect(await run(kinds.voter, { peer: agent, handle: "n1" })).toMatchObject({ state: "done" });
    expect(calls).toEqual(["learner n1", "handed", "order 5 to true", "promote n1"]);
    expect(payloads).toEqual([{ members: [{ handle: handle("n1"), peer: agent }] }]);
  });

  it("is not promoted when its agent did not start it", async () => {
    answers = [gone()];
    await expect(run(kinds.voter, { peer: agent, handle: "n1" })).rejects.toThrow("gone");
    expect(calls).not.toContain("promote n1");
  });

  it("that lost its data is taken out before it comes in anew", async () => {
    await run(kinds.voter, { peer: agent, handle: "n1", replaces: "77" });
    expect(calls.slice(0, 2)).toEqual(["remove 77 n1", "learner n1"]);
  });
});

function pool(name: string, change: Partial<Pool> = {}): Pool {
  const shape = { size: 1, minSize: 1, crushRule: 1, pgNum: 1, erasure: false };
  return { id: 1, name, ...shape, applications: [], ...change };
}

describe("a wider failure domain", () => {
  const body = { from: "osd", to: "host" };
  const widen = () => run(kinds.failureDomain, body, { agent: null });

  it("moves the default, then the pools under our rule, and no others", async () => {
    pools = [pool(".mgr"), pool("rbd"), pool("theirs", { crushRule: 7 }), pool("ec", { erasure: true })];
    expect(await widen()).toMatchObject({ state: "done", result: { pools: [".mgr", "rbd"] } });
    expect(calls).toEqual([
      "rule microceph_auto_host",
      "set osd_pool_default_crush_rule 9",
      "pool .mgr crush_rule microceph_auto_host",
      "pool rbd crush_rule microceph_auto_host",
    ]);
  });

  it.each<[string, [string, string][]]>([
    ["another rule", [["global osd_pool_default_crush_rule", "7"]]],
    ["Ceph's own choice", []],
    [
      "one for the monitors only",
      [
        ["global osd_pool_default_crush_rule", "1"],
        ["mon osd_pool_default_crush_rule", "7"],
      ],
    ],
  ])("is given up when a user has chosen %s meanwhile", async (_what, chosen) => {
    settings = new Map(chosen);
    pools = [pool("rbd")];
    expect(await widen()).toMatchObject({ state: "abandoned" });
    expect(calls).toEqual(["rule microceph_auto_host"]);
  });

  it("goes on after a crash between the default and the pools", async () => {
    settings.set("global osd_pool_default_crush_rule", "9");
    pools = [pool("rbd"), pool(".mgr", { crushRule: 9 })];
    expect(await widen()).toMatchObject({ state: "done", result: { pools: ["rbd"] } });
  });
});

describe("a gateway", () => {
  const body = { type: "rgw", handle: "n1", port: 80 };

  it("is a client of its own", async () => {
    expect(await run(kinds.daemon, body)).toMatchObject({ state: "done" });
    expect(payloads).toEqual([{ access, key: "key of client.rgw.n1" }]);
  });

  it("is given up where another program has its port, with the agent's promise", async () => {
    answers = [new MicrocephError("PORT_IN_USE", "another program on n1 listens on port 80")];
    expect(await run(kinds.daemon, body)).toEqual({
      ...{ state: "abandoned", reason: "another program on n1 listens on port 80", cancelAcknowledged: true },
    });
    expect(calls).toEqual(["handed", "order 5 to true", "cancel"]);
  });

  it("is tried again after any other failure", async () => {
    answers = [new MicrocephError("DEADLINE_EXCEEDED", "not in time")];
    await expect(run(kinds.daemon, body)).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
  });

  it("that speaks TLS is given its certificate; without that it is given up", async () => {
    const tls = { port: 443, certificate: "a".repeat(64) };
    secrets = new Map([
      [
        `microceph/rgw-certificate/${tls.certificate}`,
        Buffer.from('{"certificate":"C","key":"K"}').toString("base64"),
      ],
    ]);
    expect(await run(kinds.daemon, { ...body, port: null, tls })).toMatchObject({ state: "done" });
    expect(payloads.at(-1)).toMatchObject({ tls: { certificate: "C", key: "K" } });
    secrets.clear();
    expect(await run(kinds.daemon, { ...body, tls })).toMatchObject({
      ...{ state: "abandoned", reason: "its certificate is not there any more" },
    });
  });

  it("of which one is active hands over before it is taken off, if another stands by", async () => {
    const off = (type: string, name: string): Promise<unknown> =>
      run(kinds.daemonOut, { type, handle: name }, { agent: null });
    await off("mgr", "n1");
    standbys = [];
    await off("mgr", "n1");
    await off("mds", "n2");
    await off("mds", "n1");
    expect(calls).toEqual([
      ...["mgr dump", "mgr fail n1", "forget mgr.n1", "mgr dump", "forget mgr.n1"],
      ...["mds fail n2", "forget mds.n2", "forget mds.n1"],
    ]);
  });

  it("that is taken off loses its key", async () => {
    const off = await run(kinds.daemonOut, { type: "rgw", handle: "n1" }, { agent: null });
    expect(off).toMatchObject({ state: "done" });
    expect(calls).toEqual(["forget client.rgw.n1"]);
  });
});

describe("an NFS gateway", () => {
  const body = { type: "nfs", handle: "n1", cluster: "share", port: 2049, bind: null, minVersion: 1 };

  it("is one of its service to Ceph, whatever its host, and finds a pool for what it must not forget", async () => {
    expect(await run(kinds.daemon, { ...body, rank: 2 })).toMatchObject({ state: "done" });
    expect(payloads).toEqual([{ access, key: "key of client.nfs.share.2" }]);
    expect(calls.slice(0, 2)).toEqual(["create .nfs 1", "enable .nfs nfs"]);
    pools = [pool(".nfs", { applications: ["nfs"] })];
    calls = [];
    await run(kinds.daemon, { ...body, rank: 2 });
    expect(calls[0]).toBe("handed");
  });

  it("is not made without a rank", async () => {
    expect(await run(kinds.daemon, body)).toMatchObject({ state: "abandoned", reason: "it has no rank" });
    expect(payloads).toEqual([]);
  });

  it("that is taken off loses its key: if it lives, it opens nothing, and another may have its rank", async () => {
    const off = { type: "nfs", handle: "n1", nfs: { cluster: "share", rank: 2 } };
    expect(await run(kinds.daemonOut, off, { agent: null })).toMatchObject({ state: "done" });
    expect(calls).toEqual(["forget client.nfs.share.2"]);
  });
});

describe("a pool profile", () => {
  const profile = (size: number, minSize: number) =>
    run(kinds.poolProfile, { size, minSize }, { agent: null });

  it("sets what new pools get", async () => {
    await profile(1, 1);
    expect(Object.fromEntries(settings)).toMatchObject({
      "global osd_pool_default_size": "1",
      "global osd_pool_default_min_size": "1",
      "global mon_allow_pool_size_one": "true",
    });
    await profile(3, 2);
    expect(settings.has("global mon_allow_pool_size_one")).toBe(false);
  });

  it("leaves what a user allows beside more copies", async () => {
    await profile(3, 2);
    settings.set("global mon_allow_pool_size_one", "true");
    await profile(2, 1);
    expect(settings.get("global mon_allow_pool_size_one")).toBe("true");
  });

  it.each<[string, Pool, number, number, number, string[]]>([
    ["raises Ceph's own", pool(".mgr"), 3, 2, 3, ["pool .mgr size 3", "pool .mgr min_size 2"]],
    ["never lowers one", pool(".mgr", { size: 3 }), 1, 1, 3, []],
    ["leaves one that is so already", pool(".mgr", { size: 2 }), 2, 1, 3, []],
    ["leaves a user's", pool("rbd", { applications: ["rbd"] }), 3, 2, 3, []],
    ["raises none beyond the OSDs there are: it would stop to take writes", pool(".mgr"), 3, 2, 1, []],
  ])("%s", async (_what, one, size, minSize, live, changes) => {
    pools = [one];
    osds = live;
    expect(await profile(size, minSize)).toMatchObject({ state: "done" });
    expect(calls.filter((call) => call.startsWith("pool"))).toEqual(changes);
  });
});
