import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SoonestTimer } from "../../../../src/daemon/cluster/soonest-timer.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a timer of several wishes", () => {
  it.each([[[100, 300]], [[300, 100]], [[300, 100, 200]]])(
    "wakes once, at the soonest of them: %j",
    (wishes) => {
      const wake = vi.fn();
      const timer = new SoonestTimer(wake);
      for (const ms of wishes) timer.after(ms);
      vi.advanceTimersByTime(99);
      expect(wake).not.toHaveBeenCalled();
      vi.advanceTimersByTime(1);
      expect(wake).toHaveBeenCalledTimes(1);
      vi.advanceTimersByTime(1_000);
      expect(wake).toHaveBeenCalledTimes(1);
    },
  );

  it("wakes again for what is wished after it woke", () => {
    const wake = vi.fn();
    const timer = new SoonestTimer(wake);
    timer.after(10);
    vi.advanceTimersByTime(10);
    timer.after(500);
    vi.advanceTimersByTime(500);
    expect(wake).toHaveBeenCalledTimes(2);
  });
});
