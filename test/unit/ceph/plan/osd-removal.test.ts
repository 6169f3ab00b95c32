import { describe, expect, it } from "vitest";
import { planRemoval, type RemovalFacts } from "../../../../src/ceph/plan/osd-removal.ts";

const facts: RemovalFacts = {
  osd: 3,
  uuid: "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
  mode: "drain",
  weight: 0,
  drainedFrom: 1,
  isDecided: false,
  isSafe: null,
  mayStop: null,
  isSpare: null,
};

describe("the next step of an OSD that goes", () => {
  it.each<[string, Partial<RemovalFacts>, string | null]>([
    ["drain what has data", { weight: 1 }, "drain"],
    ["wait while Ceph does not know", {}, null],
    ["wait while data depends on it", { isSafe: false }, null],
    ["purge what nothing depends on", { isSafe: true }, "purge"],
    ["wait in drain though it may be stopped", { isSafe: false, mayStop: true }, null],
    ["purge with fewer copies where that was agreed", { mode: "fewer-copies", mayStop: true }, "purge"],
    ["wait where data would not be served", { mode: "fewer-copies", mayStop: false }, null],
    ["drain first also then", { mode: "fewer-copies", weight: 1, mayStop: true }, "drain"],
    ["purge at once on the user's word", { mode: "now", weight: 1 }, "purge"],
    ["forget the wish when it is gone", { weight: null }, "forget"],
    ["keep the wish until the decision's end is on record", { weight: null, isDecided: true }, null],
    ["give its weight back when it is to stay", { mode: null }, "refill"],
    ["leave what was never drained", { mode: null, drainedFrom: null }, null],
    ["leave what has a weight again", { mode: null, weight: 0.5 }, null],
    ["not drain what is replaced", { mode: "replace", weight: 1 }, null],
    ["not replace what alone has data", { mode: "replace", weight: 1, isSpare: false }, null],
    ["replace it once the other copies are whole", { mode: "replace", weight: 1, isSpare: true }, "purge"],
    ["replace it at once on the user's word", { mode: "replace-now", weight: 1 }, "purge"],
  ])("is to %s", (_what, change, step) => {
    expect(planRemoval({ ...facts, ...change }).step).toBe(step);
  });
});
