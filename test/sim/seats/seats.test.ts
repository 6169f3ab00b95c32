import { expect, it } from "vitest";
import { allSeatGuards, seatStory } from "./seat-story.ts";

const replay = process.env.SIM_SEED;
const seeds =
  replay === undefined
    ? [
        ...Array.from({ length: 200 }, (_, index) => index + 1),
        ...Array.from({ length: 20 }, () => Math.floor(Math.random() * 2 ** 31)),
      ]
    : [Number(replay)];

it("monitors by name never cost a quorum, nor leave fewer monitors than there are to be, whatever dies meanwhile", () => {
  for (const seed of seeds) expect(seatStory(seed, allSeatGuards), `SIM_SEED=${seed}`).toEqual([]);
});
