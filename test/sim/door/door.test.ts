import { describe, expect, test } from "vitest";
import { doorStory } from "./door-story.ts";

const replay = process.env.SIM_SEED === undefined ? undefined : Number(process.env.SIM_SEED);
const fixed = Array.from({ length: 15 }, (_, index) => index + 1);
const random = Array.from({ length: 5 }, () => Math.floor(Math.random() * 2 ** 31));

describe("the doors while members come, go and are removed", () => {
  test.for(replay === undefined ? [...fixed, ...random] : [replay])(
    "only members reach the mesh, and all of them find each other, seed %i",
    async (seed) => {
      const world = await doorStory(seed);
      const where = `replay with SIM_SEED=${seed}`;
      expect(world.violations, where).toEqual([]);
      expect(world.apart(), where).toEqual([]);
      expect(world.reached, where).toBeGreaterThan(100);
    },
  );
});
