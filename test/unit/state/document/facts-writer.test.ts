import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FactsWriter, factsIntervalMs } from "../../../../src/state/document/facts-writer.ts";

const hourMs = 3_600_000;
let clock: number;
let written: number[];
let writer: FactsWriter<number>;

beforeEach(() => {
  vi.useFakeTimers();
  clock = 10 * hourMs;
  written = [];
  const now = (): number => clock;
  const onError = (error: unknown): never => {
    throw error;
  };
  writer = new FactsWriter<number>({ write: (facts) => written.push(facts), now, onError });
});
afterEach(() => {
  writer.stop();
  vi.useRealTimers();
});

describe("a node's own facts", () => {
  it("are written at once, and once more after the interval with what is the latest then", () => {
    writer.set(1);
    writer.set(2);
    writer.set(3);
    expect(written).toEqual([1]);
    vi.advanceTimersByTime(factsIntervalMs);
    expect(written).toEqual([1, 3]);
  });

  it("are written now when asked, once", () => {
    writer.set(1);
    writer.set(2);
    writer.flush();
    writer.flush();
    vi.advanceTimersByTime(factsIntervalMs);
    expect(written).toEqual([1, 2]);
  });

  it.each([
    ["an hour back", -hourMs],
    ["an hour ahead", hourMs],
  ])("wait no longer though the clock is set %s", (_what, jump) => {
    writer.set(1);
    clock += jump;
    writer.set(2);
    vi.advanceTimersByTime(factsIntervalMs);
    expect(written).toEqual([1, 2]);
  });
});
