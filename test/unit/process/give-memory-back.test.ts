import { getHeapSpaceStatistics } from "node:v8";
import { expect, it } from "vitest";
import { giveMemoryBack } from "../../../src/process/give-memory-back.ts";

const { signal } = new AbortController();

it("memory of what is not used any more is given back", async () => {
  const used = async (): Promise<number> => {
    await giveMemoryBack(signal);
    return process.memoryUsage().heapUsed;
  };
  const before = await used();
  let kept: unknown = Array.from({ length: 500_000 }, (_, n) => ({ n }));
  const full = await used();
  expect(full - before).toBeGreaterThan(5e6);
  kept = undefined;
  const after = await used();
  expect(kept).toBeUndefined();
  expect(after - before).toBeLessThan((full - before) / 4);
});

it("what lives shortly has little room from then on", async () => {
  const room = (): number =>
    getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")?.space_size ?? 0;
  await giveMemoryBack(signal);
  let kept: object[] = [];
  for (let made = 0; made < 2_000_000; made += 1) {
    kept.push({ made });
    if (kept.length > 20_000) kept = kept.slice(10_000);
  }
  expect(kept.length).toBeGreaterThan(0);
  expect(room()).toBeLessThan(4 * 2 ** 20);
});
