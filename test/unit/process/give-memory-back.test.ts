import { expect, it } from "vitest";
import { giveMemoryBack } from "../../../src/process/give-memory-back.ts";

it("memory of what is not used any more is given back", async () => {
  const { signal } = new AbortController();
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
