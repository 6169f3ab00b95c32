import { beforeEach, describe, expect, it } from "vitest";
import type { ClusterRuntime } from "../../../src/daemon/cluster/cluster-runtime.ts";
import type { Daemon } from "../../../src/daemon/daemon.ts";
import type { JobTools } from "../../../src/daemon/jobs.ts";
import { checkMigration, migrateSeats } from "../../../src/daemon/seat-migration.ts";
import type { Json } from "../../../src/ids/json.ts";
import type { Entry } from "../../../src/state/journal/types.ts";

const peers = [
  "12D3KooWKZEjw6MFfxFf6j3XZn5NqsVA2cdZncrXCo3m5Aikxe3V",
  "12D3KooWS1Cq2Gac3GThF4KDGg67ALTroBeMXEB6wj8Kg8EYfiGw",
  "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp",
  "12D3KooWJ7W8ASzHL4yKWDQpDzSdX66HmZBdVm6ALvNp2GHW3Dsj",
];
const [first = "", , , last = ""] = peers;
let services: Record<string, Json>;
let daemon: Daemon;
let entries: Entry[];
let voters: string[];
let labels: Record<string, { seats?: string | null }>;
/** What happens while the migration waits, one after the other. */
let meanwhile: (() => void)[];

const decided = (revision: number, kind: string, body: Json): Entry =>
  ({
    ...{ id: `${revision}-a`, kind, body, agent: null, state: "done", handed: false, reason: "" },
    ...{ number: { generation: 1, revision }, openedNumber: { generation: 1, revision } },
  }) as unknown as Entry;

beforeEach(() => {
  services = {};
  [voters, labels, meanwhile] = [peers.slice(0, 3), {}, []];
  // n1 to n3 have votes and monitors, n1 a manager; n4 has a metadata server alone.
  entries = [
    ...[1, 2, 3].map((n) =>
      decided(n, "ceph.mon", { handle: `n${n}`, address: `10.0.0.${n}`, monmapEpoch: n }),
    ),
    decided(4, "ceph.daemon", { type: "mgr", handle: "n1" }),
    decided(5, "ceph.daemon", { type: "mds", handle: "n4" }),
  ];
  const cluster = {
    self: first,
    document: {
      view: () => ({ services, labels, nodes: {} }),
      setLabels: (peer: string, change: { seats: string | null }) => {
        labels[peer] = { ...labels[peer], ...change };
      },
    },
    wake: () => undefined,
    journal: {
      members: () => new Map(peers.map((peer, n) => [peer, { handle: `n${n + 1}`, name: `n${n + 1}` }])),
      entries: () => entries,
    },
    presence: { stateOf: () => "alive" },
    voters: () => voters,
  } as unknown as ClusterRuntime;
  daemon = {
    cluster,
    now: () => 0,
    settled: async () => undefined,
    events: { next: async () => meanwhile.shift()?.() },
  } as unknown as Daemon;
});

describe("a migration", () => {
  const migrate = (): void => checkMigration(daemon, { source: "n1", destination: "n4" });

  it.each([
    ["mon", { targets: [], off: [last] }, "disable mon.*of n4"],
    ["mgr", { targets: [], off: [last] }, "disable mgr.*of n4"],
    ["mon", { targets: [first], off: [] }, "enable mon.*of n1"],
  ])("is refused where %s was said otherwise: %j", (daemon, wish, told) => {
    services = { [daemon]: wish };
    expect(migrate).toThrowError(
      expect.objectContaining({ code: "WISH_CONFLICT", message: expect.stringMatching(told) }),
    );
  });

  it("does not mind what was said of others, or of what does not move", () => {
    services = {
      mon: { targets: [last], off: [first] },
      mgr: { targets: [peers[1] ?? ""], off: [] },
      mds: { targets: [], off: [last] },
    };
    expect(migrate).not.toThrow();
  });

  it("moves what comes to the source while it is under way, and tells how far it is", async () => {
    entries = entries.filter(({ body }) => (body as { type?: string }).type !== "mds");
    meanwhile = [
      () => entries.push(decided(6, "ceph.daemon", { type: "mds", handle: "n1" })),
      () => {
        voters = peers.slice(1);
        entries.push(decided(7, "ceph.mon", { handle: "n4", address: "10.0.0.4", monmapEpoch: 7 }));
        entries.push(decided(8, "ceph.mon-out", { peer: first, handle: "n1", monmapEpoch: 8 }));
      },
      ...["mgr", "mds"].map((type, n) => () => {
        entries.push(decided(10 + 2 * n, "ceph.daemon", { type, handle: "n4" }));
        entries.push(decided(11 + 2 * n, "ceph.daemon-out", { type, handle: "n1" }));
      }),
    ];
    const reported: number[] = [];
    const remembered: unknown[] = [];
    const tools = {
      memory: null,
      signal: new AbortController().signal,
      remember: (memory: { moved: unknown }) => remembered.push(memory.moved),
      report: (percent: number) => reported.push(percent),
    };
    const reply = await migrateSeats(
      daemon,
      { source: "n1", destination: "n4" },
      tools as unknown as JobTools,
    );
    const all = ["voter", "mon", "mgr", "mds"];
    expect(reply).toEqual({ source: "n1", destination: "n4", moved: all });
    expect(remembered).toEqual([all.slice(0, 3), all.slice(0, 3), all]);
    expect(reported).toEqual([0, 0, 50, 75]);
    expect(labels).toEqual({ [first]: { seats: null }, [last]: { seats: null } });
  });
});
