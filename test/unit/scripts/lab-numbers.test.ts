import { describe, expect, it } from "vitest";
import { chooseNumber, highestNumber, isLabName } from "../../../scripts/lab/lab-numbers.ts";

describe("chooseNumber", () => {
  it("takes a name of digits at its word", () => {
    expect(chooseNumber("0", new Set())).toBe(0);
    expect(chooseNumber("250", new Set([1]))).toBe(250);
    expect(() => chooseNumber("3", new Set([3]))).toThrow(/10\.77\.3\.0/);
  });

  it("gives other names a number from 1 up that nobody has", () => {
    const first = chooseNumber("blue", new Set());
    expect(first).toBeGreaterThan(0);
    expect(chooseNumber("blue", new Set())).toBe(first);
    const next = chooseNumber("blue", new Set([first]));
    expect(next).toBe(first === highestNumber ? 1 : first + 1);
  });

  it("says so when all are in use", () => {
    const all = new Set(Array.from({ length: highestNumber }, (_, index) => index + 1));
    expect(() => chooseNumber("blue", all)).toThrow(/in use/);
  });
});

it.each([
  ["0", true],
  ["250", true],
  ["251", false],
  ["007", false],
  ["blue-2", true],
  ["-x", false],
  ["Blue", false],
  ["a/b", false],
  ["x".repeat(32), false],
])("isLabName(%s) is %s", (name, good) => expect(isLabName(name)).toBe(good));
