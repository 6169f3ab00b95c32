import { describe, expect, it } from "vitest";
import type { ClusterRuntime } from "../../../../src/daemon/cluster/cluster-runtime.ts";
import { Departures } from "../../../../src/daemon/cluster/departures.ts";
import { handle, type PeerId } from "../../../../src/ids/ids.ts";

const [former, anew, third] = ["former", "anew", "third"] as [PeerId, PeerId, PeerId];

/** A host that was installed anew: osd.4 was adopted by it, osd.5 is on a disk that is gone; both lie in the old bucket. */
function world(adopter: { readonly leaving: "moving" | null }) {
  const osd = (id: number) => ({ osd: id, path: `/dev/sd${id}`, uuid: `uuid-${id}` });
  const nodes = {
    [former]: { name: "n3", updatedAt: "1", osds: [osd(4), osd(5)] },
    [anew]: { name: "n3", updatedAt: "2", osds: [osd(4)] },
    [third]: { name: "n1", updatedAt: "2", osds: [osd(0)] },
  };
  const going: [string, unknown][] = [];
  const inTree = (id: number, host: string) => ({ id, host });
  const runtime = {
    self: third,
    document: {
      view: () => ({ nodes, labels: {}, approvals: {}, removals: {} }),
      setRemoval: (uuid: string, wish: unknown) => going.push([uuid, wish]),
    },
    presence: { stateOf: (peer: PeerId) => (peer === former ? "failed" : "alive") },
    journal: {
      tombstones: () => new Map(),
      members: () => new Map(),
      entries: () => [
        {
          kind: "ceph.bootstrap",
          state: "done",
          body: {
            fsid: "00000000-1111-2222-3333-444444444444",
            peer: third,
            handle: "n1",
            address: "10.0.0.1",
            publicNetwork: "10.0.0.0/24",
            clusterNetwork: null,
          },
        },
      ],
    },
    deps: {
      cephNode: {
        commands: {
          monMap: async () => ({ monitors: [{ name: "n1" }] }),
          osdTree: async () => ({ osds: [inTree(0, "n1"), inTree(4, "n3"), inTree(5, "n3")] }),
          osdDump: async () => ({ osds: [0, 4, 5].map((id) => ({ id, uuid: `uuid-${id}` })) }),
        },
      },
    },
  } as unknown as ClusterRuntime;
  const absence = { zone: null, admitted: 1, seats: null, lost: false, steady: true };
  const departures = new Departures(runtime, {
    members: () => [
      { ...absence, peer: third, handle: handle("n1"), alive: true, leaving: null },
      { ...absence, peer: former, handle: handle("n3"), alive: false, leaving: "dead" },
      { ...absence, peer: anew, handle: handle("n3-2"), alive: true, leaving: adopter.leaving },
    ],
    etcd: async () => ["n1"],
    explain: () => undefined,
    key: () => {
      throw new Error("nothing is signed");
    },
    callMs: () => 1_000,
  });
  return { departures, going };
}

const never = new AbortController().signal;

describe("the OSDs of a dead member", () => {
  it("are to go, but not those that another member has adopted and not started yet", async () => {
    const { departures, going } = world({ leaving: null });
    expect(await departures.planner(never, 1)).toEqual([]);
    expect(going).toEqual([["uuid-5", { osd: 5, mode: "fewer-copies" }]]);
  });

  it("are to go with those that another member has, when that leaves, too", async () => {
    const { departures, going } = world({ leaving: "moving" });
    await departures.planner(never, 1);
    expect(going.map(([uuid]) => uuid)).toEqual(["uuid-4", "uuid-5"]);
  });
});
