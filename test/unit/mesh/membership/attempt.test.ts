import { describe, expect, it } from "vitest";
import {
  type Attempt,
  type AttemptFacts,
  newAttempt,
  nextStep,
  withAnswer,
  withAsked,
  withConfirming,
} from "../../../../src/mesh/membership/attempt.ts";
import { cluster, emptySight, now, peer } from "./fixtures.ts";

const own = cluster("1");
const letters = (text: string): ReturnType<typeof peer>[] => [...text].map(peer);

function facts(changes: Partial<AttemptFacts> = {}): AttemptFacts {
  return {
    self: peer("a"),
    now,
    listensUntil: 0,
    expect: 3,
    sight: { ...emptySight, sees: letters("bc"), seesCount: 2 },
    reachable: letters("bc"),
    ...changes,
  };
}

function answered(
  attempt: Attempt,
  text: string,
  standing: "accepted" | "confirmed" | "refused",
  sees = "abc",
): Attempt {
  return letters(text).reduce(
    (before, one) =>
      withAnswer(withAsked(before, one, now), one, {
        standing,
        sight: {
          ...emptySight,
          sees: letters(sees).filter((seen) => seen !== one),
          seesCount: sees.length - 1,
        },
      }),
    attempt,
  );
}

const fresh = newAttempt(own, now);
const accepted = answered(fresh, "bc", "accepted");
const confirming = withConfirming(accepted, now);

describe("nextStep", () => {
  it("claims all, has them confirm, commits", () => {
    expect(nextStep(fresh, facts())).toMatchObject({ step: "claim", peers: letters("bc") });
    expect(nextStep(accepted, facts())).toMatchObject({ step: "confirm", peers: letters("bc") });
    expect(nextStep(confirming, facts())).toMatchObject({ step: "confirm", peers: letters("bc") });
    const confirmed = answered(confirming, "bc", "confirmed");
    expect(nextStep(confirmed, facts())).toEqual({ step: "commit", acceptors: letters("bc") });
  });

  it("asks nobody twice at once, and again after a second", () => {
    const asked = withAsked(fresh, peer("b"), now);
    expect(nextStep(asked, facts())).toMatchObject({ step: "claim", peers: letters("c") });
    const failed = withAnswer(asked, peer("b"), null);
    expect(nextStep(failed, facts())).toMatchObject({ peers: letters("c") });
    expect(nextStep(failed, facts({ now: now + 1_000 }))).toMatchObject({ peers: letters("bc") });
  });

  it("asks nothing before it has listened in this run", () => {
    expect(nextStep(accepted, facts({ listensUntil: now + 700 }))).toEqual({
      step: "claim",
      peers: [],
      wakeAt: now + 700,
    });
  });

  it("waits for all answers of a round, but for 2 s only when it has enough", () => {
    const one = answered(fresh, "bc", "accepted");
    const more = { reachable: letters("bcd") };
    expect(nextStep(one, facts(more)).step).toBe("claim");
    expect(nextStep(one, facts({ ...more, now: now + 2_000 })).step).toBe("confirm");
  });

  it("needs `expect` nodes", () => {
    const one = answered(answered(fresh, "b", "accepted"), "c", "refused");
    expect(nextStep(one, facts()).step).toBe("claim");
    expect(nextStep(one, facts({ expect: 2 })).step).toBe("confirm");
  });

  it("needs a majority of the fresh nodes that the acceptors see: 3 of 6 are none, 3 of 5 are", () => {
    const six = answered(fresh, "bc", "accepted", "abcdef");
    expect(nextStep(six, facts()).step).toBe("claim");
    const five = answered(fresh, "bc", "accepted", "abcde");
    expect(nextStep(five, facts()).step).toBe("confirm");
  });

  it("counts a view by its number where its list is cut", () => {
    const cut = withAnswer(accepted, peer("b"), {
      standing: "accepted",
      sight: { ...emptySight, sees: letters("ac"), seesCount: 40 },
    });
    expect(nextStep(cut, facts()).step).toBe("claim");
  });

  it("remembers what an acceptor saw before its restart", () => {
    const before = answered(fresh, "bc", "accepted", "abcdef");
    const after = answered(before, "bc", "accepted", "abc");
    expect(nextStep(after, facts()).step).toBe("claim");
  });

  it("commits with those that confirmed when the rest is silent, and claims again those that went free", () => {
    const four = withConfirming(answered(fresh, "bcd", "accepted", "abcd"), now);
    const most = withAnswer(answered(four, "bc", "confirmed", "abcd"), peer("d"), null);
    const later = facts({ reachable: letters("bcd"), now: now + 2_000 });
    expect(nextStep(most, later)).toEqual({ step: "commit", acceptors: letters("bc") });
    const free = answered(confirming, "c", "refused");
    expect(nextStep(free, facts({ now: now + 1_500 }))).toMatchObject({ step: "claim", peers: letters("c") });
  });

  const obstacles: [string, Partial<AttemptFacts["sight"]>, boolean][] = [
    ["a cluster", { clusters: [cluster("2")] }, true],
    ["a final founding", { foundings: [{ cluster: cluster("2"), founder: peer("z"), firm: true }] }, true],
    [
      "a founding of a lower PeerId",
      { foundings: [{ cluster: cluster("2"), founder: peer("9"), firm: false }] },
      true,
    ],
    [
      "a founding of a higher PeerId",
      { foundings: [{ cluster: cluster("2"), founder: peer("z"), firm: false }] },
      false,
    ],
    ["its own", { clusters: [own] }, false],
  ];
  it.each(obstacles)("yields, or not, to %s seen by itself or by an acceptor", (_, seen, yields) => {
    const sight = { ...emptySight, ...seen };
    expect(nextStep(fresh, facts({ sight })).step === "yield").toBe(yields);
    const told = withAnswer(accepted, peer("c"), { standing: "accepted", sight });
    expect(nextStep(told, facts()).step === "yield").toBe(yields);
  });

  it("gives up after 30 s, and rests", () => {
    expect(nextStep(answered(fresh, "b", "accepted"), facts({ now: now + 30_000 }))).toMatchObject({
      step: "yield",
      rest: true,
      reason: expect.stringContaining("only 2 of 3"),
    });
  });
});

describe("a second round that gets no answers", () => {
  it("is not repeated before its pause", () => {
    const silent = letters("bc").reduce((before, one) => withAnswer(before, one, null), confirming);
    const again = withConfirming(silent, now + 10);
    expect(nextStep(again, facts({ now: now + 10 }))).toMatchObject({ step: "confirm", peers: [] });
    expect(nextStep(again, facts({ now: now + 1_000 }))).toMatchObject({ peers: letters("bc") });
  });
});
