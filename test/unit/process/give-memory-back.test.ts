import { expect, it } from "vitest";
import { giveMemoryBack } from "../../../src/process/give-memory-back.ts";

it("memory of what is not used any more is given back", () => {
  const used = (): number => process.memoryUsage().heapUsed;
  giveMemoryBack();
  const before = used();
  let kept: unknown = Array.from({ length: 500_000 }, (_, n) => ({ n }));
  giveMemoryBack();
  const full = used();
  expect(full - before).toBeGreaterThan(5e6);
  kept = undefined;
  giveMemoryBack();
  expect(kept).toBeUndefined();
  expect(used() - before).toBeLessThan((full - before) / 4);
});
