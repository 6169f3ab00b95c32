import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { kinds } from "../../../../src/ceph/control/decisions.ts";
import type { ClusterRuntime } from "../../../../src/daemon/cluster/cluster-runtime.ts";
import { VoterSeat } from "../../../../src/daemon/cluster/voter-seat.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import { entryId, handle } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import type { Entry } from "../../../../src/state/journal/types.ts";
import { LocalStore } from "../../../../src/state/store/local-store.ts";
import { quiet, testCluster, testPeer } from "../../../support/etcd-cluster.ts";

const self = testPeer(1);
const own = { handle: handle("n1"), peer: self };
const number = { generation: 1, revision: 1 };

let folder: string;
let store: LocalStore;
let seat: VoterSeat;
let offered: Set<string>;
let entries: Entry[];
let members: Map<string, { handle: string }>;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "seat-"));
  store = LocalStore.open(join(folder, "state.db"));
  offered = new Set();
  entries = [];
  members = new Map([[self, { handle: "n1" }]]);
  seat = new VoterSeat(runtime());
});
afterEach(async () => {
  await seat.stop();
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Of a member's parts those that its seat uses before it leads. */
function runtime(): ClusterRuntime {
  return {
    self,
    handle: own.handle,
    options: {
      settings: { stateDir: folder, leaseTtlSeconds: 10 },
      cluster: { id: testCluster, name: "c", publicKey: "" },
      founded: null,
    },
    deps: { store, log: quiet, now: () => 0, steadyNow: () => 0, events: { emit: () => undefined } },
    mesh: {
      // As the real one: a service is offered once.
      offerTunnel: (service: string) => {
        if (offered.has(service)) throw new TypeError(`${service} is offered already`);
        offered.add(service);
        return () => offered.delete(service);
      },
      openTunnel: () => Promise.reject(new MicrocephError("PEER_UNREACHABLE", "nobody is there")),
    },
    journal: {
      on: () => () => undefined,
      entries: () => entries,
      openEntries: () => [],
      entry: () => undefined,
      members: () => members,
      head: () => null,
      append: () => 0,
    },
    quorum: { refresh: () => undefined },
    voters: () => [],
    tellSeat: () => undefined,
  } as unknown as ClusterRuntime;
}

function keep(): void {
  store.put("voter-seat", { mode: "new", members: [own] });
}

/** The order to sit, as the lease holder gives it. */
function ordered(confirm: () => Promise<void> = async () => undefined): Promise<Json> {
  const step = seat.steps()[kinds.voter];
  if (!step) throw new Error("no step");
  const payload = { members: [own] };
  const order = { entry: entryId("1-a"), kind: kinds.voter, number, body: null, payload };
  return step(order, { confirm, signal: new AbortController().signal, log: quiet });
}

describe("a voter's seat", () => {
  it("is not taken by a member that was given none", async () => {
    await seat.start();
    expect(seat.seated).toBe(false);
    await expect(seat.confirm({ entry: "1-a", number })).rejects.toMatchObject({ code: "NO_QUORUM" });
  });

  it("is taken from local disk, and left in order", async () => {
    keep();
    await seat.start();
    expect(seat.seated).toBe(true);
    expect(await seat.confirm({ entry: "1-a", number })).toBe(false);
    await seat.stop();
    expect(seat.seated).toBe(false);
    expect(offered.size).toBe(0);
  });

  it("is given up, with all it left, when the vote is taken away while it is being taken", async () => {
    keep();
    const started = seat.start();
    const base = { id: entryId("9-a"), agent: null, number, handed: false, result: null, reason: "" };
    entries = [
      {
        ...{ ...base, kind: kinds.voterOut, body: { peer: self, handle: "n1" }, state: "done" },
        ...{ openedAt: "", closedAt: "", openedNumber: number },
      },
    ];
    seat.followJournal();
    await started;
    await expect.poll(() => existsSync(join(folder, "etcd")), { timeout: 20_000 }).toBe(false);
    await expect.poll(() => seat.seated).toBe(false);
    expect(store.get("voter-seat")).toBeUndefined();
    // It sits on nothing of the earlier seat when it is given another.
    entries = [];
    expect(await ordered()).toBeNull();
    expect(seat.seated).toBe(true);
  });

  it("is one, also when the order to take it comes while it is being taken", async () => {
    keep();
    const started = seat.start();
    expect(await ordered()).toBeNull();
    await started;
    expect(seat.seated).toBe(true);
    expect(offered.size).toBe(1);
  });

  it("is not taken, nor remembered, when the decision is no longer open", async () => {
    const closed = async (): Promise<void> => {
      throw new MicrocephError("STALE_DECISION", "no longer open");
    };
    await expect(ordered(closed)).rejects.toMatchObject({ code: "STALE_DECISION" });
    expect(seat.seated).toBe(false);
    expect(store.get("voter-seat")).toBeUndefined();
  });

  it("has ways to those who were seated since, before its etcd looks for them", async () => {
    keep();
    entries = ["done", "open", "abandoned"].map((state, n) => ({
      ...{
        id: entryId(`${n}-a`),
        kind: kinds.voter,
        body: { peer: testPeer(n + 2) },
        agent: testPeer(n + 2),
        number,
      },
      ...{ state: state as Entry["state"], handed: true, result: null, reason: "", openedAt: "" },
      ...{ closedAt: null, openedNumber: number },
    }));
    for (const n of [2, 3, 4]) members.set(testPeer(n), { handle: `n${n}` });
    await seat.start();
    const sockets = readdirSync(join(folder, "etcd"))
      .filter((name) => /^n\d/.test(name))
      .sort();
    expect(sockets).toEqual(["n1:0", "n2:0", "n3:0"]);
  });
});
