import { describe, expect, test } from "vitest";
import type { PeerId } from "../../../../src/ids/ids.ts";
import {
  type AdmissionMode,
  type AdmissionWish,
  foundingAdmission,
  resolveAdmission,
} from "../../../../src/state/document/admission-policy.ts";
import { type Approval, resolveApproval } from "../../../../src/state/document/approval-policy.ts";
import { TokenBucket } from "../../../../src/state/document/token-bucket.ts";

const now = Date.parse("2026-11-23T12:00:00Z");
const hour = 3_600_000;
const at = (offset: number): string => new Date(now + offset * hour).toISOString();
const by = "12D3KooWAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" as PeerId;

const wish = (mode: AdmissionMode, until: number | null = null): AdmissionWish => ({
  mode,
  until: until === null ? null : at(until),
  at: at(-1),
  by,
});

describe("resolveAdmission", () => {
  test.each<[string, AdmissionWish[], AdmissionMode, number | null]>([
    ["without a wish", [], "approve", null],
    ["auto for ever", [wish("auto")], "auto", null],
    ["auto for a time", [wish("auto", 1)], "auto", 1],
    ["auto whose time ends now", [wish("auto", 0)], "approve", null],
    ["auto whose time is over", [wish("auto", -1)], "approve", null],
    ["closed", [wish("closed")], "closed", null],
    ["an end means nothing to closed", [wish("closed", -1)], "closed", null],
    ["auto and approve apart", [wish("auto", 5), wish("approve")], "approve", null],
    ["closed and auto apart", [wish("closed"), wish("auto")], "closed", null],
    ["all three", [wish("approve"), wish("closed"), wish("auto")], "closed", null],
    ["two autos: the earlier end", [wish("auto", 9), wish("auto", 3)], "auto", 3],
    ["two autos, one for ever: the end", [wish("auto"), wish("auto", 3)], "auto", 3],
    ["two autos, one over", [wish("auto", -1), wish("auto", 3)], "approve", null],
  ])("%s", (_, wishes, mode, until) => {
    const expected = { mode, until: until === null ? null : at(until), wishes };
    expect(resolveAdmission(wishes, now)).toMatchObject(expected);
    expect(resolveAdmission([...wishes].reverse(), now)).toMatchObject({ mode, until: expected.until });
  });

  test("a new cluster is open for 24 hours, then asks", () => {
    const founded = foundingAdmission(now);
    expect(founded).toEqual({ mode: "auto", until: "2026-11-24T12:00:00.000Z" });
    const written = [{ ...founded, at: at(0), by }];
    expect(resolveAdmission(written, now + 24 * hour - 1).mode).toBe("auto");
    expect(resolveAdmission(written, now + 24 * hour).mode).toBe("approve");
  });
});

describe("resolveApproval", () => {
  const word = (verdict: Approval["verdict"], offset: number): Approval => ({ verdict, at: at(offset), by });

  test.each<[string, Approval[], string]>([
    ["nothing said", [], "none"],
    ["approved", [word("approve", -1)], "approve -1"],
    ["approved just under 24 h ago", [word("approve", -23.999)], "approve -23.999"],
    ["approved 24 h ago", [word("approve", -24)], "lapsed"],
    ["denied long ago", [word("deny", -1000)], "deny -1000"],
    ["denied and approved apart", [word("deny", -2), word("approve", -1)], "deny -2"],
    ["denied in the future", [word("deny", 100)], "deny 100"],
    ["approved twice apart: the later", [word("approve", -3), word("approve", -1)], "approve -1"],
    ["approved by a clock somewhat ahead", [word("approve", 1)], "approve 1"],
    ["approved by a clock far ahead", [word("approve", 1.01)], "ahead"],
    ["one clock far ahead, one right", [word("approve", 100), word("approve", -1)], "approve -1"],
  ])("%s", (_, words, expected) => {
    for (const order of [words, [...words].reverse()]) {
      const resolved = resolveApproval(order, now);
      const [verdict, offset] = expected.split(" ");
      if (offset === undefined) expect(resolved).toEqual({ state: expected });
      else expect(resolved).toEqual({ state: "holds", approval: { verdict, at: at(Number(offset)), by } });
    }
  });
});

describe("TokenBucket", () => {
  test("lets a burst through, then the rate, and a clock that goes back gives nothing", () => {
    const bucket = new TokenBucket({ perSecond: 2, burst: 3 });
    const takes = [0, 0, 0, 0, 499, 500, 501, -10_000, -9_000];
    expect(takes.map((time) => bucket.take(time))).toEqual([
      true, // three at once
      true,
      true,
      false,
      false, // 499 ms: 0.998 of a token
      true, // 500 ms
      false,
      false, // the clock went back
      true, // and gained a second since
    ]);
  });
});
