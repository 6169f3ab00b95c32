import { describe, expect, it } from "vitest";
import { allowedBytes, parseDomainWish } from "../../../../src/ceph/plan/crush-wish.ts";
import { movedBytes, movedCopies, parseMapping } from "../../../../src/ceph/plan/moved-copies.ts";

describe("moved copies", () => {
  const before = parseMapping("CRUSH rule 0 x 0 [1,2]\nnoise\nCRUSH rule 0 x 1 [2,0]\nCRUSH rule 0 x 2 []\n");

  it("reads what crushtool prints, and nothing else", () => {
    expect([...before]).toEqual([
      [0, [1, 2]],
      [1, [2, 0]],
      [2, []],
    ]);
  });

  it("counts copies in another place, not in another order", () => {
    // Group 0 only turns round, group 1 has one new place, group 2 gets two.
    expect(
      movedCopies(
        before,
        parseMapping("CRUSH rule 1 x 0 [2,1]\nCRUSH rule 1 x 1 [2,3]\nCRUSH rule 1 x 2 [0,1]\n"),
      ),
    ).toBe(3);
    expect(movedCopies(before, before)).toBe(0);
  });

  it("spreads a pool's data over its groups", () => {
    // 3 copies of groups of 1000 / 8 bytes.
    expect(movedBytes(3, { pgNum: 8, storedBytes: 1000 })).toBe(375);
    expect(movedBytes(3, { pgNum: 0, storedBytes: 1000 })).toBe(0);
  });
});

describe("wishes in the document", () => {
  it.each([
    [undefined, { level: "auto", downgrade: false }],
    ['{"level":"host","downgrade":false}', { level: "host", downgrade: false }],
    ['{"level":"row","downgrade":false}', { level: "auto", downgrade: false }],
    ["not json", { level: "auto", downgrade: false }],
  ])("%s", (text, wish) => {
    expect(parseDomainWish(text)).toEqual(wish);
  });

  const now = Date.parse("2026-01-01T00:00:00Z");
  it.each([
    ["no consent", undefined, 100],
    ["a consent to more", '{"bytes":500,"until":"2026-01-01T01:00:00Z"}', 500],
    ["a consent to less than may move anyway", '{"bytes":50,"until":"2026-01-01T01:00:00Z"}', 100],
    ["a consent that lapsed", '{"bytes":500,"until":"2025-12-31T23:00:00Z"}', 100],
    ["a consent that cannot be read", "{", 100],
  ])("%s", (_what, consent, bytes) => {
    expect(allowedBytes(100, consent, now)).toBe(bytes);
  });
});
