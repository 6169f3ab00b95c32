import { describe, expect, test } from "vitest";
import { allGuards, SimWorld } from "./sim-world.ts";
import { restlessLease, story } from "./story.ts";

const replay = process.env.SIM_SEED === undefined ? undefined : Number(process.env.SIM_SEED);
const fixedSeeds = Array.from({ length: 20 }, (_, index) => index + 1);
const randomSeeds = Array.from({ length: 10 }, () => Math.floor(Math.random() * 2 ** 31));
const seeds = replay === undefined ? [...fixedSeeds, ...randomSeeds] : [replay];

function expectSound({ truth }: SimWorld, seed: number): void {
  expect(
    truth.violations.map(({ text }) => text),
    `replay with SIM_SEED=${seed}`,
  ).toEqual([]);
  // Once all is well again, decisions go on.
  const done = [...truth.entries.values()].filter((entry) => entry.state === "done");
  expect(done.length, `little came of SIM_SEED=${seed}`).toBeGreaterThan(10);
}

describe("the journal under crashes, pauses, cuts, lost and late messages", () => {
  test.for(seeds)("every invariant holds with seed %i", async (seed) => {
    const world = await story(seed);
    expectSound(world, seed);
  });

  test.for(seeds.slice(0, 10))("also while the lease changes hands all the time, seed %i", async (seed) => {
    const world = await story(seed, allGuards, restlessLease);
    expectSound(world, seed);
  });
});

describe("the holder stopped for 20 s with an act in flight", () => {
  test.for(["its own node", "another node"])("is carried out once by %s", async (where) => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const world = new SimWorld(seed);
      const { time, truth } = world;
      // Until an order of the kind that is wanted is under way.
      let inFlight: string | undefined;
      while (inFlight === undefined) {
        await world.run(50);
        const open = [...truth.entries.values()].find((entry) => entry.state === "open" && entry.handed);
        const own = open?.agent === world.holder()?.peer;
        if (open && own === (where === "its own node") && truth.acts.every((act) => act.entry !== open.id)) {
          inFlight = open.id;
        }
      }
      const holder = world.holder();
      if (!holder) throw new Error("no holder");
      const { process } = holder;
      time.pause(process);
      time.after(20_000, null, () => time.resume(process));
      await world.run(15_000);
      expect(world.holder(), "another has taken over meanwhile").not.toBe(holder);
      await world.run(25_000);
      const entry = [...truth.entries.values()].find(({ id }) => id === inFlight);
      const acts = truth.acts.filter((act) => act.entry === inFlight);
      expect(truth.violations, `seed ${seed}`).toEqual([]);
      expect(entry?.state, `seed ${seed}`).not.toBe("open");
      expect(acts.length, `seed ${seed}`).toBe(entry?.state === "done" ? 1 : 0);
    }
  });
});
