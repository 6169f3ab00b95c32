import { describe, expect, it } from "vitest";
import { entryId } from "../../../../src/ids/ids.ts";
import {
  type ClaimFacts,
  decideClaim,
  isClaimForsaken,
} from "../../../../src/mesh/membership/claim-decision.ts";
import type { HeldClaim } from "../../../../src/mesh/membership/lifecycle.ts";
import { cluster, now, peer } from "./fixtures.ts";

const facts: ClaimFacts = {
  self: peer("m"),
  now,
  startedAt: now - 60_000,
  sightedAt: now - 50_000,
  untried: 0,
  quietMs: 3_000,
  lifecycle: { state: "fresh" },
  windowOpen: true,
  joining: null,
  clusters: [],
  foundings: [],
};

function byFounder(letter: string, digit = "1", confirmed = false): Extract<HeldClaim, { by: "founder" }> {
  return {
    by: "founder",
    cluster: cluster(digit),
    clusterKey: "",
    name: "x",
    founder: peer(letter),
    confirmed,
  };
}

function byMember(digit = "1", revision = 7): Extract<HeldClaim, { by: "member" }> {
  return {
    by: "member",
    cluster: cluster(digit),
    clusterKey: "",
    name: "x",
    claimer: peer("z"),
    entry: entryId(`${revision}-member.admit`),
    number: { generation: 1, revision },
  };
}

const founding = {
  state: "founding",
  key: { id: cluster("5"), publicKey: "", privateKey: "" },
  name: "x",
} as const;
const claimed = (claim: HeldClaim): ClaimFacts["lifecycle"] => ({ state: "claimed", claim });

type Row = [string, Partial<ClaimFacts>, HeldClaim, string];
const rows: Row[] = [
  ["a fresh node", {}, byFounder("a"), "hold"],
  ["a fresh node", {}, byMember(), "hold"],
  ["a closed window", { windowOpen: false }, byFounder("a"), "window-closed"],
  ["a closed window", { windowOpen: false }, byMember(), "window-closed"],
  ["a node that has just started", { startedAt: now - 2_000 }, byFounder("a"), "listening"],
  ["a node that has just started", { startedAt: now - 1_000, sightedAt: null }, byMember(), "listening"],
  ["a node that saw nobody before", { sightedAt: now - 1_499 }, byMember(), "listening"],
  ["a node that saw the first some time ago", { sightedAt: now - 1_500 }, byMember(), "hold"],
  ["a lobby that was not asked yet", { untried: 1 }, byMember(), "listening"],
  ["a lobby not asked yet, and told to join", { untried: 1, joining: cluster("1") }, byMember(), "hold"],
  [
    "a lobby not asked yet, and two clusters",
    { untried: 1, clusters: [cluster("2")] },
    byMember(),
    "two-clusters",
  ],
  ["a cluster in sight", { clusters: [cluster("2")] }, byFounder("a"), "other-cluster"],
  ["the claimer's cluster in sight", { clusters: [cluster("1")] }, byMember(), "hold"],
  ["another cluster in sight", { clusters: [cluster("2")] }, byMember(), "two-clusters"],
  ["two clusters in sight", { clusters: [cluster("1"), cluster("2")] }, byMember(), "two-clusters"],
  [
    "two clusters in sight and told to join the claimer's",
    { clusters: [cluster("1"), cluster("2")], joining: cluster("1") },
    byMember(),
    "hold",
  ],
  ["told to join another", { joining: cluster("2") }, byMember(), "not-this-cluster"],
  ["told to join a cluster", { joining: cluster("2") }, byFounder("a"), "not-this-cluster"],
  [
    "a final founding in sight",
    { foundings: [{ cluster: cluster("3"), founder: peer("z"), firm: true }] },
    byFounder("a"),
    "other-founding",
  ],
  [
    "a founding of a lower PeerId in sight",
    { foundings: [{ cluster: cluster("3"), founder: peer("b"), firm: false }] },
    byFounder("c"),
    "other-founding",
  ],
  [
    "a founding of a higher PeerId in sight",
    { foundings: [{ cluster: cluster("3"), founder: peer("d"), firm: false }] },
    byFounder("c"),
    "hold",
  ],
  ["claimed by another founder", { lifecycle: claimed(byFounder("b", "2")) }, byFounder("a"), "not-fresh"],
  ["claimed by this founder", { lifecycle: claimed(byFounder("a")) }, byFounder("a"), "repeat"],
  [
    "claimed by another for the same cluster",
    { lifecycle: claimed(byFounder("b")) },
    byFounder("a"),
    "not-fresh",
  ],
  ["claimed by its founder", { lifecycle: claimed(byFounder("a", "1", true)) }, byMember(), "hold"],
  ["claimed by an earlier reservation", { lifecycle: claimed(byMember("1", 6)) }, byMember("1", 7), "hold"],
  ["claimed by a later reservation", { lifecycle: claimed(byMember("1", 8)) }, byMember("1", 7), "repeat"],
  ["claimed by a cluster", { lifecycle: claimed(byMember("2")) }, byMember("1"), "not-fresh"],
  ["founding itself, claimed by a lower PeerId", { lifecycle: founding }, byFounder("a"), "hold"],
  ["founding itself, claimed by a higher PeerId", { lifecycle: founding }, byFounder("z"), "not-fresh"],
  ["founding itself, claimed by a cluster", { lifecycle: founding }, byMember(), "hold"],
];

describe("decideClaim", () => {
  it.each(rows)("%s: %o claimed by %o → %s", (_, changes, claim, expected) => {
    const decision = decideClaim({ ...facts, ...changes }, claim);
    expect(decision.answer === "refuse" ? decision.code : decision.answer).toBe(expected);
  });
});

describe("isClaimForsaken", () => {
  it("only of an unconfirmed founder's claim, after 30 s of silence", () => {
    expect(isClaimForsaken(byFounder("a"), now - 29_999, now)).toBe(false);
    expect(isClaimForsaken(byFounder("a"), now - 30_000, now)).toBe(true);
    expect(isClaimForsaken(byFounder("a", "1", true), now - 3_000_000, now)).toBe(false);
    expect(isClaimForsaken(byMember(), now - 3_000_000, now)).toBe(false);
  });
});
