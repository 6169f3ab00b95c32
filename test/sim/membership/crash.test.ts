import { describe, expect, it } from "vitest";
import { describe as describeWorld, isSettled } from "./scenario.ts";
import type { SimNode } from "./sim-node.ts";
import { soundLan, World } from "./world.ts";

/** A world of fresh nodes, all started; the first in the order of PeerIds is the founder-to-be. */
function freshWorld(nodes: number): { world: World; founder: SimNode; acceptor: SimNode } {
  const world = new World({ ...soundLan, seed: 7, nodes });
  for (const node of world.nodes) world.start(node);
  const [founder, acceptor] = world.byPeer();
  if (founder === undefined || acceptor === undefined) throw new RangeError("too few nodes");
  return { world, founder, acceptor };
}

/** How many steps (before and after each write and message) each of the two takes until all are members. */
async function countSteps(): Promise<{ founder: number; acceptor: number }> {
  const { world, founder, acceptor } = freshWorld(3);
  await world.time.runUntil(60_000, () => isSettled(world));
  expect(isSettled(world), describeWorld(world)).toBe(true);
  return { founder: founder.steps, acceptor: acceptor.steps };
}

const stops = [300, 12_000, 40_000];

describe("a node killed between any two steps of formation", () => {
  it.each(["founder", "acceptor"] as const)("the %s: all end in one cluster", async (role) => {
    const steps = (await countSteps())[role];
    expect(steps).toBeGreaterThan(20);
    for (let step = 1; step <= steps; step += 1) {
      const { world, [role]: victim } = freshWorld(3);
      victim.killAtStep = step;
      const stop = stops[step % stops.length] ?? 0;
      await world.time.runUntil(60_000, () => victim.run === null || isSettled(world));
      const where = `${role} killed at step ${step} (${victim.stepNames.at(-1)}), back after ${stop} ms`;
      world.time.after(stop, null, () => world.start(victim));
      await world.time.runUntil(
        200_000,
        () => world.invariants.violation !== null || (victim.run !== null && isSettled(world)),
      );
      expect(world.invariants.violation, where).toBeNull();
      expect(isSettled(world), `${where}: ${describeWorld(world)}`).toBe(true);
      expect(world.invariants.founded.length, where).toBe(1);
    }
  });

  it("the founder for good: the others form a cluster, or wait for it and say how to be released", async () => {
    const steps = (await countSteps()).founder;
    const endings = new Set<string>();
    for (let step = 1; step <= steps; step += 1) {
      const { world, founder } = freshWorld(4);
      founder.killAtStep = step;
      await world.time.runUntil(30_000, () => founder.run === null);
      if (founder.run !== null) continue;
      const where = `founder killed for good at step ${step} (${founder.stepNames.at(-1)})`;
      const others = world.nodes.filter((node) => node !== founder);
      const formed = (): boolean => {
        const clusters = new Set(others.map(({ durable }) => durable.certificate?.cluster));
        return others.every(({ durable }) => durable.state === "member") && clusters.size === 1;
      };
      await world.time.runUntil(200_000, formed);
      if (formed()) {
        endings.add(founder.durable.state === "member" ? "went on" : "formed without it");
        continue;
      }
      const stuck = others.filter(({ durable }) => durable.state === "claimed");
      expect(stuck.length, `${where}: ${describeWorld(world)}`).toBeGreaterThan(0);
      if (world.journals.size > 0 || founder.durable.state === "founded") {
        // The cluster exists and its only voter is gone: it must not be founded a second time by itself.
        endings.add("waits for the founded cluster");
        expect(world.invariants.founded.length, where).toBe(1);
        continue;
      }
      for (const { run } of stuck) {
        expect(run?.membership.status().waitingFor, where).toMatch(/mesh release/);
        run?.membership.release();
      }
      await world.time.runUntil(400_000, formed);
      expect(formed(), `${where}, released: ${describeWorld(world)}`).toBe(true);
      expect(world.invariants.violation, where).toBeNull();
      endings.add("formed after a release");
    }
    expect([...endings].sort()).toEqual([
      "formed after a release",
      "formed without it",
      "waits for the founded cluster",
    ]);
  });
});

/** A cluster of three, and a fourth node that is about to be started; its claim is what follows. */
async function worldBeforeClaim(): Promise<{ world: World; claimer: SimNode; claimed: SimNode }> {
  const world = new World({ ...soundLan, seed: 7, nodes: 4 });
  const claimed = world.nodes[3];
  const three = world.nodes.slice(0, 3);
  for (const node of three) world.start(node);
  const formed = (): boolean => three.every(({ durable }) => durable.state === "member");
  await world.time.runUntil(60_000, formed);
  expect(formed(), describeWorld(world)).toBe(true);
  const claimer = world.byPeer().find((node) => node !== claimed);
  if (claimer === undefined || claimed === undefined) throw new RangeError("too few nodes");
  return { world, claimer, claimed };
}

describe("a node killed between any two steps of a claim", () => {
  it.each(["claimer", "claimed"] as const)("the %s: the late node becomes a member, once", async (role) => {
    const count = async (): Promise<number> => {
      const { world, claimed, [role]: victim } = await worldBeforeClaim();
      const before = victim.steps;
      world.start(claimed);
      await world.time.runUntil(120_000, () => isSettled(world));
      expect(isSettled(world), describeWorld(world)).toBe(true);
      return victim.steps - before;
    };
    const steps = await count();
    expect(steps).toBeGreaterThan(4);
    for (let step = 1; step <= steps; step += 1) {
      const { world, claimed, [role]: victim } = await worldBeforeClaim();
      victim.killAtStep = victim.steps + step;
      world.start(claimed);
      await world.time.runUntil(120_000, () => victim.run === null || isSettled(world));
      const stop = stops[step % stops.length] ?? 0;
      const where = `${role} killed at step ${step} (${victim.stepNames.at(-1)}), back after ${stop} ms`;
      world.time.after(stop, null, () => world.start(victim));
      await world.time.runUntil(
        300_000,
        () => world.invariants.violation !== null || (victim.run !== null && isSettled(world)),
      );
      expect(world.invariants.violation, where).toBeNull();
      expect(isSettled(world), `${where}: ${describeWorld(world)}`).toBe(true);
      expect(world.invariants.founded.length, where).toBe(1);
    }
  });
});
