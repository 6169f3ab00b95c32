import { describe, expect, it } from "vitest";
import { wishedSeats } from "../../../../src/ceph/plan/seat-wishes.ts";
import type { SeatMember, SeatWish } from "../../../../src/ceph/plan/seats.ts";
import type { Handle, PeerId } from "../../../../src/ids/ids.ts";

const peer = (n: number): PeerId => `peer-${n}` as PeerId;
const handleOf = (n: number): Handle => `n${n}` as Handle;

interface Wishes {
  readonly count: number;
  readonly voters: readonly number[];
  readonly targets?: readonly number[];
  readonly off?: readonly number[];
  /** Default: where the voters are. */
  readonly monitors?: readonly number[];
  readonly change?: (n: number) => Partial<SeatMember>;
}

/** What becomes of whose seats: `-1 +4`, and those who keep theirs against the wish. */
function wished({
  count,
  voters,
  targets = [],
  off = [],
  change = () => ({}),
  monitors = voters,
}: Wishes): string {
  const members = Array.from(
    { length: count },
    (_, index): SeatMember => ({
      ...{ peer: peer(index + 1), handle: handleOf(index + 1), zone: null, alive: true },
      ...{ admitted: index + 1, leaving: null, seats: null, lost: false, steady: true },
      ...change(index + 1),
    }),
  );
  const plan = wishedSeats(...([members, voters.map(peer), new Set(monitors.map(handleOf))] as const), {
    targets: targets.map(peer),
    off: off.map(peer),
  });
  const sign = (seats: SeatWish | null, n: number): string[] =>
    seats === null ? [] : [`${seats === "away" ? "-" : "+"}${n}`];
  const spared = plan.reasons.map((reason) => /on (n\d)/.exec(reason)?.[1] ?? reason);
  return [...plan.members.flatMap(({ seats }, index) => sign(seats, index + 1)), ...spared].join(" ");
}

describe("monitors by name", () => {
  it.each<[string, Wishes, string]>([
    ["nobody is named: nothing changes", { count: 5, voters: [1, 2, 3] }, ""],
    ["none on one of three, another can have it", { count: 4, voters: [1, 2, 3], off: [1] }, "-1"],
    ["none on one that has none", { count: 4, voters: [1, 2, 3], off: [4] }, "-4"],
    ["none on one of three, and there are no others", { count: 3, voters: [1, 2, 3], off: [1] }, "n1"],
    ["two of five refuse", { count: 5, voters: [1, 2, 3], off: [1, 2] }, "-1 -2"],
    [
      "two of four refuse: one keeps its seat, who has one",
      { count: 4, voters: [1, 2, 4], off: [3, 4] },
      "-3 n4",
    ],
    ["of two who have one, the older keeps it", { count: 4, voters: [1, 2, 3], off: [2, 3] }, "-3 n2"],
    ["one that is named has a seat", { count: 4, voters: [1, 2, 3], targets: [2] }, "+2"],
    [
      "one that is named has none: the last admitted gives its own",
      { count: 5, voters: [1, 2, 3], targets: [5] },
      "-3 +5",
    ],
    ["the same while it has got its vote", { count: 5, voters: [1, 2, 3, 5], targets: [5] }, "-3 +5"],
    ["the same once it is done", { count: 5, voters: [1, 2, 5], targets: [5] }, "+5"],
    ["two are named", { count: 5, voters: [1, 2, 3], targets: [4, 5] }, "-2 -3 +4 +5"],
    ["one is named where another refuses", { count: 5, voters: [1, 2, 3], targets: [5], off: [1] }, "-1 +5"],
    ["the only seat of two stays", { count: 2, voters: [1], targets: [2], off: [1] }, ""],
    ["a growing cluster has room", { count: 3, voters: [1], targets: [3] }, "+3"],
    [
      "refusing wins where both were said at once",
      { count: 5, voters: [1, 2, 3], targets: [5], off: [5] },
      "-5",
    ],
    [
      "a monitor whose vote another has, without wishes",
      { count: 5, voters: [1, 2, 4], monitors: [1, 2, 3] },
      "",
    ],
    [
      "and in the way of one that is named",
      { count: 5, voters: [1, 2, 4], monitors: [1, 2, 3], targets: [4] },
      "-3 +4",
    ],
    ["seven have five", { count: 7, voters: [1, 2, 3, 4, 5], targets: [6, 7] }, "-4 -5 +6 +7"],
  ])("%s", (_what, wishes, expected) => {
    expect(wished(wishes)).toBe(expected);
  });

  it("gives the seat of a crowded zone away first", () => {
    const zones = ["a", "b", "b", "c"];
    const change = (n: number) => ({ zone: zones[n - 1] ?? null });
    expect(wished({ count: 4, voters: [1, 2, 3], targets: [4], change })).toBe("-3 +4");
    // n1 and the newcomer share a zone, although n3 was admitted last.
    const other = (n: number) => ({ zone: ["a", "b", "c", "a"][n - 1] ?? null });
    expect(wished({ count: 4, voters: [1, 2, 3], targets: [4], change: other })).toBe("-1 +4");
  });

  it("does not wait for one that is named and away, nor trust one that has only just come", () => {
    for (const change of [{ alive: false }, { steady: false }]) {
      const of5 = (n: number) => (n === 5 ? change : {});
      expect(wished({ count: 5, voters: [1, 2, 3], targets: [5], change: of5 })).toBe("");
    }
  });

  it("yields while too few others are there, and holds again once they are", () => {
    const four = { count: 4, voters: [2, 3, 4], off: [1] };
    expect(wished({ ...four, change: (n) => (n === 4 ? { alive: false } : {}) })).toBe("-1");
    expect(wished({ ...four, change: (n) => (n === 4 ? { alive: false, lost: true } : {}) })).toBe("n1");
    expect(wished({ ...four, change: (n) => (n === 4 ? { leaving: "moving" } : {}) })).toBe("n1");
    expect(wished(four)).toBe("-1");
  });

  it("comes after what is said of a member's seats: a migration, or that it leaves", () => {
    const migrated = (n: number): Partial<SeatMember> =>
      n === 2 ? { seats: "away" } : n === 4 ? { seats: "preferred" } : {};
    expect(wished({ count: 5, voters: [1, 2, 3], targets: [2], off: [4], change: migrated })).toBe("-2 +4");
    const leaver = (n: number): Partial<SeatMember> => (n === 5 ? { leaving: "moving" } : {});
    expect(wished({ count: 5, voters: [1, 2, 3], targets: [5], change: leaver })).toBe("");
  });
});
