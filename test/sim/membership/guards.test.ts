import { describe, expect, it } from "vitest";
import type { FormationGuards } from "../../../src/mesh/membership/settings.ts";
import { runScenario, type Weather } from "./scenario.ts";

const cases: readonly [string, Weather, Partial<FormationGuards>][] = [
  ["the confirm round", "rough", { confirmPhase: false }],
  ["one claim at a time", "hidden", { oneClaim: false }],
  // Giving way to another founding covers most of what the majority prevents: without it, the majority is alone.
  ["the majority", "hidden", { majority: false, otherFounding: false }],
  ["giving way to another founding", "hidden", { otherFounding: false }],
];

const mostRuns = 400;

describe("without a guard the simulation finds what it prevents", () => {
  it.each(cases)("%s", async (_, weather, guards) => {
    for (let seed = 1; seed <= mostRuns; seed += 1) {
      const { violation } = await runScenario({ seed, weather, guards });
      if (violation === null) continue;
      expect(violation).toMatch(/founds a second|is held by|holds no claim/);
      const guarded = await runScenario({ seed, weather });
      expect(guarded.violation, `seed ${seed} with all guards`).toBeNull();
      return;
    }
    expect.fail(`no violation in ${mostRuns} runs`);
  });
});
