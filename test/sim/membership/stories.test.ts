import { describe, expect, it } from "vitest";
import { isMicrocephError } from "../../../src/errors/microceph-error.ts";
import type { Membership } from "../../../src/mesh/membership/membership.ts";
import type { MembershipStatus } from "../../../src/mesh/membership/status.ts";
import type { SimNode } from "./sim-node.ts";
import { soundLan, World, type WorldOptions } from "./world.ts";

function lan(nodes: number, changes: Partial<WorldOptions> = {}): { world: World; list: SimNode[] } {
  const world = new World({ ...soundLan, seed: 11, nodes, oneLan: false, ...changes });
  return { world, list: world.nodes };
}

function membership(node: SimNode | undefined): Membership {
  if (node?.run == null) throw new TypeError("the node does not run");
  return node.run.membership;
}

const status = (node: SimNode | undefined): MembershipStatus => membership(node).status();

async function run(world: World, milliseconds: number): Promise<void> {
  await world.time.runUntil(world.time.elapsed() + milliseconds);
}

describe("two fresh nodes", () => {
  it("form nothing by themselves, say why, and become a cluster by one bootstrap", async () => {
    const { world, list } = lan(2);
    for (const node of list) world.start(node);
    await run(world, 60_000);
    expect(status(list[0])).toMatchObject({
      state: "fresh",
      cluster: null,
      waitingFor: expect.stringMatching(/sees 1 \(n2 .*cluster bootstrap/),
      neighbours: [{ name: "n2", state: "fresh" }],
    });
    membership(list[0]).bootstrapAlone({ clusterName: "lab" });
    expect(() => membership(list[0]).bootstrapAlone()).toThrow(/already|founds/);
    await run(world, 15_000);
    expect(list.map((one) => status(one).state)).toEqual(["member", "member"]);
    expect(status(list[1]).cluster?.name).toBe("lab");
    expect(() => membership(list[1]).bootstrapAlone()).toThrow(/is a member of cluster lab/);
    expect(() => membership(list[1]).join()).toThrow();
  });
});

describe("a node between two clusters", () => {
  it("is claimed by neither, says why, and goes where it is told", async () => {
    const { world, list } = lan(3, { shut: [0, 1] });
    const [one, two, three] = list;
    for (const [node, name] of [
      [one, "red"],
      [two, "blue"],
    ] as const) {
      if (node === undefined) continue;
      world.start(node);
      membership(node).bootstrapAlone({ clusterName: name });
    }
    await run(world, 5_000);
    if (three) world.start(three);
    await run(world, 60_000);
    expect(status(three)).toMatchObject({
      state: "fresh",
      waitingFor: expect.stringMatching(/more than one cluster.*mesh join/),
      conflicts: [{ kind: "two-clusters" }],
    });
    expect(status(one).conflicts).toMatchObject([{ kind: "other-cluster" }]);
    let error: unknown;
    try {
      membership(three).join("green");
    } catch (thrown) {
      error = thrown;
    }
    expect(isMicrocephError(error, "NOT_FOUND")).toBe(true);
    membership(three).join("blue");
    await run(world, 20_000);
    expect(status(three)).toMatchObject({ state: "member", cluster: { name: "blue" }, joining: null });
  });

  it("cannot be told by a name that two clusters have", async () => {
    const { world, list } = lan(3);
    for (const node of list.slice(0, 2)) {
      world.start(node);
      membership(node).bootstrapAlone({ clusterName: "same" });
    }
    if (list[2]) world.start(list[2]);
    await run(world, 10_000);
    expect(() => membership(list[2]).join("same")).toThrow(/2 clusters are named same/);
    const id = status(list[1]).cluster?.id;
    expect(membership(list[2]).join(id).cluster).toBe(id);
    await run(world, 20_000);
    expect(status(list[2]).cluster?.id).toBe(id);
  });
});

describe("a node whose window is shut", () => {
  it("is neither founder nor claimed, until mesh join opens it", async () => {
    const { world, list } = lan(4, { shut: [3] });
    for (const node of list) world.start(node);
    await run(world, 60_000);
    expect(list.map((one) => status(one).state)).toEqual(["member", "member", "member", "fresh"]);
    expect(status(list[3]).waitingFor).toMatch(/window is closed/);
    membership(list[3]).join();
    await run(world, 20_000);
    expect(status(list[3]).state).toBe("member");
  });
});

describe("a node started later", () => {
  it("is claimed by itself", async () => {
    const { world, list } = lan(4);
    for (const node of list.slice(0, 3)) world.start(node);
    await run(world, 20_000);
    expect(world.invariants.founded).toHaveLength(1);
    if (list[3]) world.start(list[3]);
    await run(world, 8_000);
    expect(status(list[3]).state).toBe("member");
  });
});
