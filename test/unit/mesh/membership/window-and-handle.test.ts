import { describe, expect, it } from "vitest";
import { chooseHandle } from "../../../../src/mesh/membership/handle-choice.ts";
import { claimWindow } from "../../../../src/mesh/membership/window.ts";

const hour = 3_600_000;

describe("claimWindow", () => {
  const base = { bootedAt: 0, openedAt: null, hours: 24, shut: false };
  it.each([
    ["open after boot", { ...base, now: 23 * hour }, { open: true, until: 24 * hour }],
    ["closed after a day", { ...base, now: 24 * hour }, { open: false, until: null }],
    [
      "opened again by join",
      { ...base, now: 30 * hour, openedAt: 29 * hour },
      { open: true, until: 53 * hour },
    ],
    ["kept shut", { ...base, now: hour, shut: true }, { open: false, until: null }],
    [
      "kept shut, opened by join",
      { ...base, now: 3 * hour, openedAt: 2 * hour, shut: true },
      { open: true, until: 26 * hour },
    ],
  ])("is %s", (_, facts, window) => {
    expect(claimWindow(facts)).toEqual(window);
  });
});

describe("chooseHandle", () => {
  it.each([
    ["node1", [], "node1"],
    ["node1", ["node1"], "node1-2"],
    ["node1", ["node1", "node1-2", "node1-3"], "node1-4"],
    ["Rack A/Node_7.example.org", [], "rack-a-node-7"],
    ["--weird--", [], "weird"],
    ["", [], "node"],
    ["日本", ["node"], "node-2"],
    ["x".repeat(80), [], "x".repeat(63)],
    ["x".repeat(80), ["x".repeat(63)], `${"x".repeat(61)}-2`],
    [`${"x".repeat(62)}-y`, [], "x".repeat(62)],
  ])("of %j beside %j is %s", (name, taken, handle) => {
    expect(chooseHandle(name, new Set(taken))).toBe(handle);
  });
});
