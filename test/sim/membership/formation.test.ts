import { describe, expect, it } from "vitest";
import { runScenario, type Weather } from "./scenario.ts";

/** Replay one run with SIM_SEED=… (and SIM_TRACE=1 to see it). */
const replay = process.env.SIM_SEED === undefined ? undefined : Number(process.env.SIM_SEED);
const trace = process.env.SIM_TRACE !== undefined;

const runs: Readonly<Record<Weather, number>> = { calm: 8, rough: 40, hidden: 10, split: 20 };

function seedsFor(weather: Weather): number[] {
  if (replay !== undefined) return [replay];
  const random = Math.floor(Math.random() * 2 ** 31);
  return [...Array.from({ length: runs[weather] }, (_, i) => i + 1), random];
}

describe.each(Object.keys(runs) as Weather[])("formation in %s weather", (weather) => {
  it("keeps every invariant and ends with all nodes in one cluster", async () => {
    for (const seed of seedsFor(weather)) {
      const { violation } = await runScenario({ seed, weather, trace });
      expect(violation, `SIM_SEED=${seed}, ${weather} weather`).toBeNull();
    }
  });
});
