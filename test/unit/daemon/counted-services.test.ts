import { beforeEach, describe, expect, it } from "vitest";
import type { ClusterRuntime } from "../../../src/daemon/cluster/cluster-runtime.ts";
import {
  countedReport,
  followCounted,
  isCounted,
  unwantCounted,
  wantCounted,
} from "../../../src/daemon/counted-services.ts";
import type { Daemon } from "../../../src/daemon/daemon.ts";
import type { JobTools } from "../../../src/daemon/jobs.ts";
import type { Json } from "../../../src/ids/json.ts";
import type { Entry } from "../../../src/state/journal/types.ts";

const [one, two, three, four] = [
  "12D3KooWKZEjw6MFfxFf6j3XZn5NqsVA2cdZncrXCo3m5Aikxe3V",
  "12D3KooWS1Cq2Gac3GThF4KDGg67ALTroBeMXEB6wj8Kg8EYfiGw",
  "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp",
  "12D3KooWJ7W8ASzHL4yKWDQpDzSdX66HmZBdVm6ALvNp2GHW3Dsj",
];
let services: Record<string, Json>;
let entries: Entry[];
let dead: string[];
let labels: Record<string, Record<string, string>>;
let voters: string[];
let peers: string[];
let daemon: Daemon;
let cluster: ClusterRuntime;
let ticks: (() => void)[];

const decided = (revision: number, kind: string, type: string, handle: string, state = "done"): Entry =>
  ({
    ...{ id: `${revision}-a`, kind, body: { type, handle }, agent: null, state, handed: false, reason: "" },
    ...{ number: { generation: 1, revision }, openedNumber: { generation: 1, revision } },
  }) as unknown as Entry;

beforeEach(() => {
  services = {};
  dead = [];
  labels = {};
  voters = [];
  peers = [one, two, three] as string[];
  ticks = [];
  entries = [decided(1, "ceph.daemon", "mgr", "n1"), decided(2, "ceph.daemon", "mgr", "n2")];
  const members = () => new Map(peers.map((peer, n) => [peer, { handle: `n${n + 1}`, name: `n${n + 1}` }]));
  cluster = {
    self: one,
    document: {
      view: () => ({ services, labels, nodes: {} }),
      setService: (name: string, value: Json) => {
        const { [name]: _, ...rest } = services;
        services = value === null ? rest : { ...rest, [name]: value };
      },
    },
    journal: { members, entries: () => entries },
    voters: () => voters,
    presence: { stateOf: (peer: string) => (dead.includes(peer) ? "failed" : "alive") },
    wake: () => undefined,
  } as unknown as ClusterRuntime;
  daemon = {
    cluster,
    settled: async () => undefined,
    // Waiting for what never comes would take as long as a job may.
    events: {
      next: async () => {
        const tick = ticks.shift();
        if (tick === undefined) throw new Error("nothing happens any more");
        tick();
      },
    },
  } as unknown as Daemon;
});

const tools = { report: () => undefined, signal: new AbortController().signal } as unknown as JobTools;

describe("managers and metadata servers by name", () => {
  it("are wanted here when nobody says where, and a wish takes the contrary back", () => {
    wantCounted(daemon, "mds", { targets: [] });
    expect(services.mds).toEqual({ targets: [one], off: [] });
    unwantCounted(daemon, "mgr", { targets: ["n1"] });
    expect(services.mgr).toEqual({ targets: [], off: [one] });
    wantCounted(daemon, "mgr", { targets: ["n1"] });
    expect(services.mgr).toEqual({ targets: [one], off: [] });
    expect(() => wantCounted(daemon, "mgr", { targets: ["n9"] })).toThrow("n9");
  });

  it("are not taken from where there is none, nor the last one that is there", () => {
    expect(() => unwantCounted(daemon, "mgr", { targets: ["n3"] })).toThrow("n3 has no manager");
    expect(() => unwantCounted(daemon, "mgr", { targets: ["n1", "n2"] })).toThrow("that of n1, n2");
    dead = [two ?? ""];
    expect(() => unwantCounted(daemon, "mgr", { targets: ["n1"] })).toThrow("would be left");
    expect(services).toEqual({});
  });

  it("are waited for, on members that are there", async () => {
    const asked = wantCounted(daemon, "mgr", { targets: ["n3"] });
    expect([isCounted(asked), isCounted({ service: "rgw" })]).toEqual([true, false]);
    expect(countedReport(cluster, "mgr").nodes.map(({ node, state }) => [node, state])).toEqual([
      ["n1", "placed"],
      ["n2", "placed"],
      ["n3", "waiting"],
    ]);
    ticks = [
      () => entries.push(decided(3, "ceph.daemon", "mgr", "n3", "open")),
      () => entries.splice(2, 1, decided(3, "ceph.daemon", "mgr", "n3")),
    ];
    const report = await followCounted(daemon, asked, tools);
    expect(report).toMatchObject({ wanted: { targets: ["n3"] }, nodes: [{}, {}, { state: "placed" }] });
    expect(ticks).toEqual([]);
    const off = unwantCounted(daemon, "mgr", { targets: ["n3"] });
    ticks = [() => entries.push(decided(4, "ceph.daemon-out", "mgr", "n3"))];
    await followCounted(daemon, off, tools);
    expect(countedReport(cluster, "mgr").nodes.map(({ node }) => node)).toEqual(["n1", "n2"]);
    const away = wantCounted(daemon, "mgr", { targets: ["n3"] });
    dead = [three ?? ""];
    await followCounted(daemon, away, tools);
  });
});

describe("monitors by name", () => {
  const monitor = (revision: number, n: number, state = "done"): Entry => {
    const body = { handle: `n${n}`, address: `10.0.0.${n}`, monmapEpoch: revision };
    return { ...decided(revision, "ceph.mon", "", "", state), body } as unknown as Entry;
  };
  beforeEach(() => {
    entries = [monitor(1, 1), monitor(2, 2), monitor(3, 3)];
    peers = [one, two, three, four] as string[];
    voters = [one, two, three] as string[];
  });
  const code = (act: () => unknown): string => {
    try {
      return JSON.stringify(act());
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  const off = (...targets: string[]): string => code(() => unwantCounted(daemon, "mon", { targets }));

  it("are taken from a host only where another could have one", () => {
    expect(off("n4")).toBe("NOT_FOUND");
    expect(off("n1", "n2")).toBe("DAEMON_NEEDED");
    dead = [four ?? ""];
    expect(off("n1")).toBe("DAEMON_NEEDED");
    dead = [];
    labels = { [four ?? ""]: { seats: "away" } };
    expect(off("n1")).toBe("DAEMON_NEEDED");
    labels = {};
    peers.pop();
    expect(off("n1")).toBe("DAEMON_NEEDED");
    expect(services).toEqual({});
    peers.push(four ?? "");
    expect(off("n1")).toContain('"isWanted":false');
    expect(services.mon).toEqual({ targets: [], off: [one] });
    expect(off("n2")).toBe("DAEMON_NEEDED");
    // The only one of two is not moved.
    labels = { [one ?? ""]: { leaving: "moving" }, [four ?? ""]: { leaving: "moving" } };
    expect(off("n2")).toBe("DAEMON_NEEDED");
    expect(code(() => wantCounted(daemon, "mon", { targets: ["n3"] }))).toBe("DAEMON_NEEDED");
  });

  it("are wanted by name on as many as there are to be", () => {
    const on = (...targets: string[]): string => code(() => wantCounted(daemon, "mon", { targets }));
    on("n1", "n2", "n4");
    expect(services.mon).toMatchObject({ targets: expect.arrayContaining([one, two, four]) });
    expect(on("n3")).toBe("TOO_MANY_MONITORS");
    expect(on("n4")).toContain('"isWanted":true');
    off("n1");
    on("n3");
    expect(services.mon).toEqual({ targets: [two, three, four].sort(), off: [one] });
  });

  it("are waited for with their votes", async () => {
    const on = wantCounted(daemon, "mon", { targets: ["n4"] });
    const out = (revision: number, peer: string | undefined, n: number): Entry => {
      const body = { handle: `n${n}`, peer, monmapEpoch: revision };
      return { ...decided(revision, "ceph.mon-out", "", ""), body } as unknown as Entry;
    };
    ticks = [
      () => voters.push(four ?? ""),
      () => entries.push(monitor(4, 4, "open")),
      () => entries.splice(3, 1, monitor(4, 4)),
      // n3 gives way.
      () => entries.push(out(5, three, 3)),
      () => voters.splice(2, 1),
    ];
    expect(await followCounted(daemon, on, tools)).toMatchObject({
      ...{ wanted: { targets: ["n4"], count: 3 } },
      ...{ nodes: [{ node: "n1" }, { node: "n2" }, { node: "n4", state: "placed" }] },
    });
    expect(ticks).toEqual([]);
    const asked = unwantCounted(daemon, "mon", { targets: ["n1"] });
    ticks = [
      () => voters.push(three ?? ""),
      () => entries.push(monitor(6, 3)),
      () => entries.push(out(7, one, 1)),
      () => voters.shift(),
    ];
    await followCounted(daemon, asked, tools);
    expect(ticks).toEqual([]);
    expect(countedReport(cluster, "mon").nodes.map(({ node }) => node)).toEqual(["n2", "n3", "n4"]);
  });
});
