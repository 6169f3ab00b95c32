import { describe, expect, it } from "vitest";
import {
  byteLength,
  cutToBytes,
  hostLabel,
  instanceLabel,
  isCleanName,
  nextHost,
  nextInstance,
  sameName,
} from "../../../src/discovery/core/names.ts";
import { serviceName } from "./simulated-lan.ts";

describe("names", () => {
  it.each([
    ["N1.local", "n1.LOCAL", true],
    ["n1.local", "n2.local", false],
    // Only ASCII letters fold: these are different names to the DNS.
    ["Ä.local", "ä.local", false],
  ])("compares %s with %s", (one, other, same) => expect(sameName(one, other)).toBe(same));

  it.each([
    ["n1 abc", "n1 abc (2)"],
    ["n1 abc (2)", "n1 abc (3)"],
    ["n1 abc (9)", "n1 abc (10)"],
    ["x".repeat(63), `${"x".repeat(59)} (2)`],
    [`${"x".repeat(59)} (9)`, `${"x".repeat(58)} (10)`],
    // Four characters of two bytes must not be cut in the middle of one.
    [`${"ä".repeat(31)}x`, `${"ä".repeat(29)} (2)`],
  ])("follows %s by %s", (name, next) => {
    expect(nextInstance(name)).toBe(next);
    expect(byteLength(nextInstance(name))).toBeLessThanOrEqual(63);
  });

  it.each([
    ["n1", "n1", "n1-2"],
    ["n1-2", "n1", "n1-3"],
    ["n1-2", "n1-2", "n1-2-2"],
    ["h".repeat(63), "h".repeat(63), `${"h".repeat(61)}-2`],
  ])("follows host %s (first %s) by %s", (host, first, next) => expect(nextHost(host, first)).toBe(next));

  it.each([
    [`n1 abc.${serviceName}`, "n1 abc"],
    ["n1 abc._MICROCEPH._tcp.LOCAL", "n1 abc"],
    [serviceName, undefined],
    [`.${serviceName}`, undefined],
    [`n1.example.${serviceName}`, undefined],
    ["n1._http._tcp.local", undefined],
  ])("reads the instance in %s", (name, label) => expect(instanceLabel(name, serviceName)).toBe(label));

  it.each([
    ["n1.local", "n1"],
    ["N1.Local", "N1"],
    ["local", undefined],
    ["n1.example.com", undefined],
  ])("reads the host in %s", (name, host) => expect(hostLabel(name)).toBe(host));

  it.each([
    ["n1 abc", true],
    ["rack 3 – ö", true],
    ["a\u001b[31m", false],
    ["a\nb", false],
    ["a\u0085b", false],
    ["\ufffd", false],
    ["x".repeat(256), false],
    ["x".repeat(63), true],
    ["x".repeat(64), false],
    [`${"ä".repeat(32)}.local`, false],
  ])("knows whether %j can be shown and asked for", (name, clean) => expect(isCleanName(name)).toBe(clean));

  it("cuts between characters", () => {
    expect(cutToBytes("aäb", 2)).toBe("a");
    expect(cutToBytes("aäb", 3)).toBe("aä");
    expect(cutToBytes("😀", 3)).toBe("");
  });
});
