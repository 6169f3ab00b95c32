import { describe, expect, it } from "vitest";
import { type Figures, figuresOf, median, ratioOf, report } from "../../bench/figures.ts";

function figures(change: Partial<Figures> = {}): Figures {
  const one = { title: "CLI", unit: "ms", reference: "an empty Node program" };
  return { ...one, ours: [90, 60, 75], theirs: [50, 40, 60], aim: 1.9, absoluteAim: null, ...change };
}

describe("the figures of a benchmark", () => {
  it("have a median, of odd and even counts", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([])).toBeNaN();
  });

  it("are a ratio of medians, which one slow turn does not move", () => {
    expect(ratioOf(figures())).toBe(1.5);
    expect(ratioOf(figures({ ours: [75, 75, 9000] }))).toBe(1.5);
    expect(ratioOf(figures({ theirs: [] }))).toBeNull();
  });

  it.each<[string, Partial<Figures>, RegExp]>([
    ["met", {}, /: 1\.50 × an empty Node program, 75\.0 ms \(60\.0–90\.0\).*aim ≤ 1\.9 ×: met$/],
    ["not met", { aim: 1.4 }, /aim ≤ 1\.4 ×: NOT met$/],
    ["not met when there is no reference", { theirs: [] }, /: NOT met$/],
    ["met by the figure itself", { aim: null, absoluteAim: 75 }, /aim ≤ 75 ms: met$/],
    ["not met by one of two aims", { absoluteAim: 74 }, /: NOT met$/],
    ["nothing without an aim", { aim: null }, /60\.0\)$/],
  ])("tell that an aim is %s", (_what, change, text) => {
    expect(report("cli", [figures(change)])).toMatch(text);
  });

  it("take over what the comparison says", () => {
    const ours = async (): Promise<number> => 1;
    const comparison = { title: "t", unit: "s", reference: "r", aim: 2, ours };
    expect(figuresOf(comparison, [1], [2])).toEqual({
      ...{ title: "t", unit: "s", reference: "r", ours: [1], theirs: [2], aim: 2, absoluteAim: null },
    });
  });
});
