import { afterAll, describe, expect, test } from "vitest";
import { type Guard, guards } from "./guards.ts";

const replay = process.env.SIM_SEED === undefined ? undefined : Number(process.env.SIM_SEED);
const mostSeeds = 300;
const random =
  replay === undefined ? Array.from({ length: 2 }, () => Math.floor(Math.random() * 2 ** 31)) : [replay];

const shown: string[][] = [["GUARD", "WITHOUT IT", "SEED", "VIOLATION FOUND"]];
afterAll(() => {
  const widths = [0, 1, 2].map((column) => Math.max(...shown.map((row) => row[column]?.length ?? 0)));
  const lines = shown.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "));
  process.stdout.write(`\n${lines.join("\n")}\n`);
});

/** The first seed that finds what the guard prevents. */
async function firstFound(guard: Guard): Promise<{ seed: number; violation: string } | undefined> {
  const fixed = Array.from({ length: mostSeeds }, (_, index) => index + 1);
  const seeds = [...(replay === undefined ? [] : [replay]), guard.seed, ...fixed];
  for (const seed of seeds) {
    const [violation] = await guard.run(seed, false);
    if (violation !== undefined) return { seed, violation };
  }
  return undefined;
}

describe("each guard is there for a reason", () => {
  test.for(guards)("$name", async (guard) => {
    const without = await firstFound(guard);
    expect(without, `no violation in ${mostSeeds} runs`).toBeDefined();
    expect(without?.violation, `SIM_SEED=${without?.seed}`).toMatch(guard.found);
    const seed = without?.seed ?? guard.seed;
    shown.push([guard.name, guard.prevents, String(seed), without?.violation ?? ""]);
    for (const sound of [seed, ...random]) {
      expect(await guard.run(sound, true), `with the guard, SIM_SEED=${sound}`).toEqual([]);
    }
  });
});
