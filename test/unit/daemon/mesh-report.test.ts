import { describe, expect, it } from "vitest";
import { type MeshFacts, meshReport } from "../../../src/daemon/mesh-report.ts";
import { clusterId, handle, peerId } from "../../../src/ids/ids.ts";

const peer = peerId(`12D3KooW${"a".repeat(44)}`);
const cluster = {
  id: clusterId("0123456789abcdef0123456789abcdef"),
  name: "c",
  fsid: null,
  admission: { mode: "auto" as const, until: null },
};
const member = {
  ...{ id: peer, name: "n", addresses: ["10.0.0.1"], presence: "alive" as const, lastSeen: null },
  ...{ voter: true, services: ["mon"], zone: null },
};
const facts: MeshFacts = {
  now: 1_700_000_000_000,
  self: {
    ...{ id: peer, name: "n", handle: null, state: "fresh", window: { open: true, until: null } },
    waitingFor: [],
  },
  cluster: null,
  lease: { holder: null, epoch: null, quorum: false, lastDecision: null },
  members: [],
  pending: [],
  conflicts: [],
};

describe("the mesh report", () => {
  it.each<[string, Partial<MeshFacts>, "ok" | "lost" | "none"]>([
    ["no cluster has none", {}, "none"],
    ["a cluster without a majority has lost it", { cluster }, "lost"],
    ["one with a majority is fine", { cluster, lease: { ...facts.lease, quorum: true } }, "ok"],
    [
      "a member that does not know the voters cannot tell",
      { cluster, lease: { ...facts.lease, quorum: null } },
      "none",
    ],
  ])("quorum: %s", (_what, change, quorum) => {
    expect(meshReport({ ...facts, ...change }).lease.quorum).toBe(quorum);
  });

  it.each([
    [[], null],
    [["two more nodes"], "two more nodes"],
    [["a", "b"], "a; b"],
  ])("waits for %j", (waitingFor, text) => {
    expect(meshReport({ ...facts, self: { ...facts.self, waitingFor } }).self.waitingFor).toBe(text);
  });

  it("lists members by handle, with times as text", () => {
    const { members, asOf } = meshReport({
      ...facts,
      members: [
        { ...member, handle: handle("n2"), lastSeen: facts.now - 1000 },
        { ...member, handle: handle("n1") },
      ],
    });
    expect(asOf).toBe("2023-11-14T22:13:20.000Z");
    expect(members.map((one) => [one.handle, one.lastSeen])).toEqual([
      ["n1", null],
      ["n2", "2023-11-14T22:13:19.000Z"],
    ]);
  });

  it("shows of a conflict what is meant to be shown", () => {
    const conflicts = [{ kind: "two-clusters", detail: "d", more: "internal" }];
    expect(meshReport({ ...facts, conflicts }).conflicts).toEqual([{ kind: "two-clusters", detail: "d" }]);
  });
});
