import { describe, expect, it } from "vitest";
import {
  type ElectionFacts,
  electFounder,
  quietFrom,
  trackQuiet,
} from "../../../../src/mesh/membership/election.ts";
import { cluster, neighbour, now, peer } from "./fixtures.ts";

const facts: ElectionFacts = {
  self: peer("a"),
  now,
  expect: 3,
  quietMs: 3_000,
  windowOpen: true,
  restsUntil: 0,
  joining: null,
  neighbours: [neighbour("b"), neighbour("c")],
  clusters: [],
  foundings: [],
  untried: 0,
  interfaces: [{ name: "eth0", address: "10.0.0.1", cidr: "10.0.0.1/24", defaultRoute: true }],
  quietSince: now - 3_000,
};
const proven = { id: cluster("1"), name: "one", publicKey: "", members: [peer("z")], lastProof: now };

describe("electFounder", () => {
  it("founds as the lowest of enough fresh nodes after the quiet time", () => {
    expect(electFounder(facts)).toEqual({
      verdict: "found",
      network: "10.0.0.0/24",
      nodes: [peer("b"), peer("c")],
    });
  });

  const rows: [string, Partial<ElectionFacts>, RegExp, number | null][] = [
    [
      "too few",
      { neighbours: [neighbour("b")] },
      /sees 1 \(n-b .*from 3 fresh nodes.*cluster bootstrap/,
      null,
    ],
    ["nobody", { neighbours: [] }, /no other fresh node/, null],
    ["not quiet yet", { quietSince: now - 2_000 }, /listens for more/, now + 1_000],
    [
      "not the lowest",
      { self: peer("b"), neighbours: [neighbour("a"), neighbour("c")] },
      /waits for n-a/,
      now + 10_000,
    ],
    ["a cluster in sight", { clusters: [proven] }, /waits for cluster one/, null],
    [
      "two clusters in sight",
      { clusters: [proven, { ...proven, id: cluster("2") }] },
      /mesh join CLUSTER/,
      null,
    ],
    ["told to join", { joining: cluster("9") }, /mesh join/, null],
    ["a closed window", { windowOpen: false }, /window is closed/, null],
    ["a failed attempt", { restsUntil: now + 500 }, /rests/, now + 500],
    ["sighted nodes that have not answered", { untried: 2 }, /2 sighted nodes/, null],
    [
      "another founding",
      { foundings: [{ cluster: cluster("3"), founder: peer("b"), firm: false }] },
      /founded by n-b/,
      null,
    ],
    ["no common subnet", { interfaces: [] }, /share no subnet/, null],
    [
      "lost neighbours",
      { neighbours: [neighbour("b", { answeredAt: now - 15_001 }), neighbour("c", { failures: 3 })] },
      /no other/,
      null,
    ],
    [
      "others that cannot take part",
      {
        neighbours: [
          neighbour("b", {}, { window: { open: false, until: null } }),
          neighbour("c", {}, { joining: cluster("1") }),
          neighbour("d", {}, { state: "claimed" }),
        ],
      },
      /no other/,
      null,
    ],
  ];
  it.each(rows)("waits: %s", (_, changes, reason, wakeAt) => {
    const election = electFounder({ ...facts, ...changes });
    expect(election).toMatchObject({ verdict: "wait", reason: expect.stringMatching(reason), wakeAt });
  });

  it("takes the turn of a lower node that does not found, after 10 s more for each", () => {
    const second = { ...facts, self: peer("b"), neighbours: [neighbour("a"), neighbour("c")] };
    expect(electFounder({ ...second, quietSince: now - 12_999 }).verdict).toBe("wait");
    expect(electFounder({ ...second, quietSince: now - 13_000 }).verdict).toBe("found");
  });

  it("does not wait for a lower node that says it may not found", () => {
    const neighbours = [neighbour("a", {}, { mayFound: false }), neighbour("c")];
    expect(electFounder({ ...facts, self: peer("b"), neighbours }).verdict).toBe("found");
  });

  it("leaves nodes on another subnet out", () => {
    const stray = neighbour("9", { address: "10.9.0.1" }, { networks: ["10.9.0.0/24"] });
    const election = electFounder({ ...facts, neighbours: [...facts.neighbours, stray] });
    expect(election).toMatchObject({ verdict: "found", nodes: [peer("b"), peer("c")] });
  });
});

describe("trackQuiet", () => {
  const set = (letters: string): Set<ReturnType<typeof peer>> => new Set([...letters].map(peer));
  const self = peer("m");

  it("starts again with a newcomer, not with one that flaps or leaves", () => {
    let quiet = trackQuiet(quietFrom(0), set("xy"), self, 1_000);
    expect(quiet.since).toBe(1_000);
    quiet = trackQuiet(quiet, set("x"), self, 2_000);
    quiet = trackQuiet(quiet, set("xy"), self, 3_000);
    expect(quiet.since).toBe(1_000);
    quiet = trackQuiet(quiet, set("xyz"), self, 4_000);
    expect(quiet.since).toBe(4_000);
  });

  it("starts again when a lower one is gone, for its part is taken over", () => {
    const quiet = trackQuiet(quietFrom(0), set("ax"), self, 1_000);
    expect(trackQuiet(quiet, set("x"), self, 9_000).since).toBe(9_000);
  });

  it("forgets after a minute", () => {
    let quiet = trackQuiet(quietFrom(0), set("xy"), self, 1_000);
    quiet = trackQuiet(quiet, set("x"), self, 2_000);
    expect(trackQuiet(quiet, set("xy"), self, 62_000).since).toBe(62_000);
  });
});
