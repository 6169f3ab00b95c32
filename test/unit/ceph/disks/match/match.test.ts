import { describe, expect, it } from "vitest";
import { type MatchFacts, matches } from "../../../../../src/ceph/disks/match/evaluate.ts";
import { parseMatch } from "../../../../../src/ceph/disks/match/parse.ts";
import { patternTest } from "../../../../../src/ceph/disks/match/pattern-test.ts";
import { parseSize } from "../../../../../src/ceph/disks/match/size.ts";

const disk: MatchFacts = {
  type: "nvme",
  vendor: "Samsung",
  model: "Samsung SSD 970 EVO Plus 1TB",
  size: 2 ** 40,
  devnode: "/dev/disk/by-id/nvme-A",
  host: "n1",
};
const test = patternTest();
const holds = (text: string, facts: MatchFacts = disk): boolean => matches(parseMatch(text), facts, test);

describe("sizes", () => {
  it.each<[string, number | undefined]>([
    ["42", 42],
    ["1KiB", 1024],
    ["1kb", 1000],
    ["1.5GiB", 1.5 * 2 ** 30],
    ["2T", 2e12],
    [".5MiB", 2 ** 19],
    ["-1B", -1],
    ["1 GiB", undefined],
    ["GiB", undefined],
    ["1XB", undefined],
    ["", undefined],
  ])("%j is %s", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });
});

describe("an expression", () => {
  it.each<[string, boolean]>([
    ["true", true],
    ["false", false],
    ["and()", true],
    ["or()", false],
    ["not(true)", false],
    ["eq(@type, 'nvme')", true],
    ["eq(@type, nvme)", true],
    ["EQ(@TYPE, 'NVMe')", true],
    ['eq(@vendor, "samsung")', true],
    ["ne(@type, sata)", true],
    ["in(@type, sata, nvme)", true],
    ["in(@type, sata, virtio)", false],
    ["eq(@size, 1TiB)", true],
    ["eq(@size, '1TiB')", true],
    ["gt(@size, 1TB)", true],
    ["ge(@size, 1024GiB)", true],
    ["lt(@size, 1TiB)", false],
    ["le(@size, '1TiB')", true],
    ["re('970 evo', @model)", true],
    ["re('^ssd', @model)", false],
    ["eq(@host, n1)", true],
    ["eq(@devnode, '/dev/disk/by-id/nvme-A')", true],
    ["and(eq(@type,'nvme'),or(eq(@host,'n2'),ge(@size,1GiB)))", true],
    ["eq('it''s', \"it's\")", true],
    ["@size", true],
    ["''", false],
  ])("%s: %s", (text, expected) => {
    expect(holds(text)).toBe(expected);
  });

  it("looks no further than it must", () => {
    expect(holds("and(false, gt(@model, 5))")).toBe(false);
    expect(() => holds("and(true, gt(@model, 5))")).toThrow("cannot compare number with non-numeric");
  });

  it.each<[string, string]>([
    ["", "it ends where an expression should stand (column 1)"],
    ["and(", "it ends where an expression should stand (column 5)"],
    ["and(true", '"," or ")" is missing (column 9)'],
    ["true false", '"false" stands after the end of the expression (column 6)'],
    ["eq(@type)", "eq() expects 2 arguments, got 1 (column 1)"],
    ["not()", "not() expects 1 argument, got 0"],
    ["in(@type)", "in() expects at least 2 arguments, got 1"],
    ["xor(true, false)", "there is no function xor"],
    ["eq(@colour, red)", "there is no variable @colour"],
    ["eq(@type, 'nvme", "unterminated string literal (column 11)"],
    ['eq(@type, "a\\q")', "invalid escape sequence"],
    ["eq(@size, 5XB)", '"5XB" is no number and no size'],
    ["eq(@size; 5)", "unexpected character ';'"],
    ["re('(', @model)", "invalid regex pattern"],
    [`re('${"a".repeat(1001)}', @model)`, "exceeds maximum length of 1000"],
    [`${"not(".repeat(70)}true${")".repeat(70)}`, "nested too deeply"],
    ["x".repeat(10_241), "longer than 10240 characters"],
  ])("%j is refused", (text, message) => {
    expect(() => parseMatch(text)).toThrow(message);
  });

  it("whose pattern would run for ever is stopped", () => {
    const model = `${"a".repeat(60)}!`;
    expect(() => holds("re('^(a+)+$', @model)", { ...disk, model })).toThrow("timed out");
    // Of a pattern that is made of what the disk says, only now is it known that it is none.
    expect(() => holds("re(@model, @host)", { ...disk, model: "(" })).toThrow("invalid regex pattern");
  });
});
