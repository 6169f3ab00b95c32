import { describe, expect, it } from "vitest";
import { runScenario, type Weather } from "./scenario.ts";
import type { FormationGuards } from "./weakened.ts";
import { soundLan, World } from "./world.ts";

/** What is switched off, where, and a seed that found the violation when this was written: it is tried first. */
const cases: readonly [string, Weather, Partial<FormationGuards>, number][] = [
  ["one claim at a time", "hidden", { oneClaim: false }, 34],
  // Giving way to another founding covers most of what the majority prevents: without it, the majority is alone.
  ["the majority", "hidden", { majority: false, otherFounding: false }, 27],
  ["giving way to another founding", "hidden", { otherFounding: false }, 72],
];

const mostRuns = 400;

describe("without a guard the simulation finds what it prevents", () => {
  it.each(cases)("%s", async (_, weather, guards, known) => {
    for (const seed of [known, ...Array.from({ length: mostRuns }, (_, i) => i + 1)]) {
      const { violation } = await runScenario({ seed, weather, guards });
      if (violation === null) continue;
      expect(violation, `seed ${seed}`).toMatch(/founds a second|is held by|holds no claim/);
      const guarded = await runScenario({ seed, weather });
      expect(guarded.violation, `seed ${seed} with all guards`).toBeNull();
      return;
    }
    expect.fail(`no violation in ${mostRuns} runs`);
  });

  it.each([
    [true, null],
    [false, "the cluster of n is held by 2 of its 4 founders"],
  ])("the confirm round %s: a founder that dies at its commit and is back after 40 s", async (on, found) => {
    const world = new World({ ...soundLan, seed: 7, nodes: 4, guards: { confirmPhase: on } });
    const [founder] = world.byPeer();
    if (founder === undefined) throw new RangeError("no nodes");
    for (const node of world.nodes) world.start(node);
    await world.time.runUntil(20_000, () => founder.durable.state === "founded");
    world.kill(founder);
    world.time.after(40_000, () => world.start(founder));
    await world.time.runUntil(80_000, () => world.invariants.violation !== null);
    expect(world.invariants.violation?.replace(/n\d/g, "n") ?? null).toBe(found);
  });
});
