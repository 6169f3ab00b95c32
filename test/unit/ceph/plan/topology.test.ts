import { describe, expect, it } from "vitest";
import { type Bucket, planTopology, type TopologyFacts } from "../../../../src/ceph/plan/topology.ts";

const root: Bucket = { name: "default", type: "root", parent: null, items: 3 };

function host(name: string, parent: string | null = "default", items = 1): Bucket {
  return { name, type: "host", parent, items };
}

function rack(name: string, items: number): Bucket {
  return { name, type: "rack", parent: "default", items };
}

function facts(change: Partial<TopologyFacts>): TopologyFacts {
  return {
    buckets: [root, host("n1"), host("n2")],
    zones: new Map<string, string | null>([
      ["n1", null],
      ["n2", null],
    ]),
    formerHosts: new Set(),
    stableMs: 60_000,
    ...change,
  };
}

const zones = (n1: string | null, n2: string | null): TopologyFacts["zones"] =>
  new Map([
    ["n1", n1],
    ["n2", n2],
  ]);

describe("planTopology", () => {
  it.each([
    ["nothing to do without zones", {}, null],
    [
      "a host goes to its zone",
      { zones: zones("a", null) },
      { op: "place", places: [{ bucket: "n1", rack: "az.a" }] },
    ],
    [
      "a host changes its zone",
      { buckets: [root, rack("az.b", 1), host("n1", "az.b")], zones: zones("a", null) },
      { op: "place", places: [{ bucket: "n1", rack: "az.a" }] },
    ],
    [
      "a host that has no zone any more goes back",
      { buckets: [root, rack("az.b", 1), host("n1", "az.b")] },
      { op: "place", places: [{ bucket: "n1", rack: null }] },
    ],
    [
      "an empty rack of ours goes",
      { buckets: [root, rack("az.b", 0), host("n1")] },
      { op: "remove", bucket: "az.b" },
    ],
    ["an empty rack of a user stays", { buckets: [root, rack("row7", 0), host("n1")] }, null],
    [
      "an empty host of a member goes",
      { buckets: [root, host("n1"), host("n2", "default", 0)] },
      { op: "remove", bucket: "n2" },
    ],
    [
      "an empty host of a removed member goes",
      { buckets: [root, host("n9", "az.a", 0)], formerHosts: new Set(["n9"]) },
      { op: "remove", bucket: "n9" },
    ],
    ["an empty host that is nobody's stays", { buckets: [root, host("n9", "default", 0)] }, null],
    ["an empty host in a user's bucket stays", { buckets: [root, host("n2", "row7", 0)] }, null],
  ] as const)("%s", (_what, change, expected) => {
    const { next } = planTopology(facts(change as Partial<TopologyFacts>), 5_000);
    if (expected === null) expect(next).toBeNull();
    else expect(next).toMatchObject(expected);
  });

  it("leaves a host where somebody put it, and says so", () => {
    const plan = planTopology(facts({ buckets: [root, host("n1", "row7")], zones: zones("a", null) }), 5_000);
    expect(plan.next).toBeNull();
    expect(plan.reasons.join()).toContain("row7, which is not ours");
  });

  it("waits while the tree changes, and names everything that is due", () => {
    const plan = planTopology(facts({ zones: zones("a", "b"), stableMs: 10 }), 5_000);
    expect(plan.next).toBeNull();
    expect(plan.moves.map(({ bucket, rack: to }) => `${bucket} ${to}`)).toEqual(["n1 az.a", "n2 az.b"]);
  });
});
