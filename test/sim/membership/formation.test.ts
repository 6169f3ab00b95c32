import { describe, expect, it } from "vitest";
import { runScenario, type Weather } from "./scenario.ts";
import { soundLan, World } from "./world.ts";

// Replay one run with SIM_SEED=…; SIM_TRACE=1 prints it. SIM_RUNS=… multiplies the number of runs.
const replay = process.env.SIM_SEED === undefined ? undefined : Number(process.env.SIM_SEED);
const trace = process.env.SIM_TRACE !== undefined;
const factor = Number(process.env.SIM_RUNS ?? 1);

const runs: Readonly<Record<Weather, number>> = { calm: 10, rough: 40, hidden: 15, split: 20 };

function seedsFor(weather: Weather): number[] {
  if (replay !== undefined) return [replay];
  const random = Math.floor(Math.random() * 2 ** 31);
  return [...Array.from({ length: runs[weather] * factor }, (_, i) => i + 1), random];
}

describe.each(Object.keys(runs) as Weather[])("formation in %s weather", (weather) => {
  it("keeps every invariant and ends with all nodes in one cluster", async () => {
    for (const seed of seedsFor(weather)) {
      const { violation } = await runScenario({ seed, weather, trace });
      expect(violation, `SIM_SEED=${seed}, ${weather} weather`).toBeNull();
    }
  });
});

describe("three fresh nodes started together", () => {
  it("have founded a cluster 3.5 to 4.7 s later", async () => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const world = new World({ ...soundLan, seed, nodes: 3 });
      for (const node of world.nodes) world.start(node);
      await world.time.runUntil(20_000, () => world.invariants.founded.length > 0);
      const took = world.time.elapsed();
      expect(took, `seed ${seed}`).toBeGreaterThan(3_000);
      expect(took, `seed ${seed}`).toBeLessThan(4_700);
    }
  });
});
