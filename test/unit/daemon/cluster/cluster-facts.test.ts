import { describe, expect, it } from "vitest";
import { kinds } from "../../../../src/ceph/control/decisions.ts";
import {
  foundingOf,
  foundKind,
  fsidOf,
  isGoneForGood,
  lostForGood,
  networksOf,
  recoveredKind,
  recoveryOf,
  votersOf,
  votesNoMore,
} from "../../../../src/daemon/cluster/cluster-facts.ts";
import { entryId, type PeerId, peerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import type { Entry } from "../../../../src/state/journal/types.ts";

const peer = (letter: string): PeerId => peerId(`12D3KooW${letter.repeat(44)}`);
const [founder, one, two] = [peer("a"), peer("b"), peer("c")];
const number = { generation: 1, revision: 1 };

function entry(kind: string, body: Json, state: Entry["state"] = "done"): Entry {
  return {
    ...{ id: entryId("1-a"), kind, body, agent: null, state, number, handed: false, result: null },
    ...{ reason: "", openedAt: "", closedAt: null, openedNumber: number },
  };
}

const found = { founder, name: "c", publicNetwork: "10.0.0.0/24" };
const full = { ...found, clusterNetwork: "10.1.0.0/24", acceptors: [one], v2Only: true };
const voter = (of: PeerId, handle: string, state: Entry["state"] = "done"): Entry =>
  entry(kinds.voter, { peer: of, handle }, state);

describe("foundingOf", () => {
  it.each<[string, readonly Entry[], unknown]>([
    ["no journal yet", [], null],
    ["another entry", [entry("member.admit", found)], null],
    ["all of it", [entry(foundKind, full)], full],
    ["an open one too: it is what is being founded", [entry(foundKind, full, "open")], full],
    [
      "one of an earlier version",
      [entry(foundKind, found)],
      { ...found, clusterNetwork: null, acceptors: [], v2Only: false },
    ],
    ["acceptors that are none are left out", [entry(foundKind, { ...full, acceptors: ["x", one, 7] })], full],
    ["no founder", [entry(foundKind, { ...found, founder: "x" })], null],
    ["no network", [entry(foundKind, { ...found, publicNetwork: null })], null],
    ["a list", [entry(foundKind, [])], null],
    ["nothing", [entry(foundKind, null)], null],
  ])("%s", (_what, entries, expected) => {
    expect(foundingOf(entries)).toEqual(expected);
  });
});

describe("votersOf", () => {
  it.each<[string, readonly Entry[], readonly PeerId[]]>([
    ["nobody before the founding is here", [], []],
    ["the founder", [entry(foundKind, full)], [founder]],
    ["and who was seated since", [entry(foundKind, full), voter(one, "n2")], [founder, one]],
    ["nobody twice", [entry(foundKind, full), voter(one, "n2"), voter(one, "n2")], [founder, one]],
    [
      "not who is being seated, or was not",
      [entry(foundKind, full), voter(one, "n2", "open"), voter(two, "n3", "abandoned")],
      [founder],
    ],
  ])("%s", (_what, entries, expected) => {
    expect(votersOf(entries)).toEqual(expected);
  });
});

describe("a vote that was being given while the majority was lost", () => {
  const recovered = {
    ...entry(recoveredKind, { peer: one, generation: 2, lost: [founder, two] }),
    number: { generation: 2, revision: 9 },
  };
  const given = (revision: number, generation: number): Entry => ({
    ...voter(two, "n3"),
    number: { generation, revision },
  });

  it("counts when it was given after the recovery", () => {
    const entries = [entry(foundKind, full), voter(one, "n2"), given(12, 2), recovered];
    expect(votersOf(entries)).toEqual([one, two]);
    expect(votesNoMore(entries, two)).toBe(false);
    expect([...lostForGood(entries)]).toEqual([founder]);
  });

  it("is gone when it was given before", () => {
    const entries = [entry(foundKind, full), voter(one, "n2"), given(8, 1), recovered];
    expect(votersOf(entries)).toEqual([one]);
    expect(votesNoMore(entries, two)).toBe(true);
    expect([...lostForGood(entries)]).toEqual([founder, two]);
  });
});

describe("fsidOf", () => {
  const fsid = "00000000-1111-2222-3333-444444444444";
  const body = {
    fsid,
    handle: "n1",
    address: "10.0.0.1",
    publicNetwork: "10.0.0.0/24",
    clusterNetwork: null,
  };
  it.each<[string, readonly Entry[], string | null]>([
    ["none yet", [], null],
    ["not while it is being made", [entry(kinds.bootstrap, body, "open")], null],
    ["once it is there", [entry(kinds.bootstrap, body, "abandoned"), entry(kinds.bootstrap, body)], fsid],
  ])("%s", (_what, entries, expected) => {
    expect(fsidOf(entries)).toBe(expected);
  });
});

describe("after a recovery", () => {
  const body = { peer: one, generation: 2, lost: [founder, two] };
  const before = [entry(foundKind, full), voter(one, "n2"), voter(two, "n3")];
  const after = [...before, entry(recoveredKind, body)];

  it("only the one that was left votes, until others are seated again", () => {
    expect(votersOf(after)).toEqual([one]);
    expect([founder, one, two].map((of) => votesNoMore(after, of))).toEqual([true, false, true]);
    const again = [...after, voter(two, "n3")];
    expect(votersOf(again)).toEqual([one, two]);
    expect(votesNoMore(again, two)).toBe(false);
    expect([...lostForGood(after)]).toEqual([founder, two]);
    expect([...lostForGood(again)]).toEqual([founder]);
  });

  it("nothing counts before it is done", () => {
    const open = [...before, entry(recoveredKind, body, "open")];
    expect(votersOf(open)).toEqual([founder, one, two]);
    expect(votesNoMore(open, two)).toBe(false);
    expect(recoveryOf(open)).toBeNull();
    expect(recoveryOf(after)).toEqual(body);
  });
});

describe("the networks", () => {
  it("are those of the last renumbering, else of the founding", () => {
    const moved = { publicNetwork: "10.9.0.0/24", clusterNetwork: null };
    const monitors = [{ name: "n1", peer: founder, addresses: [] }];
    const founding = entry(foundKind, full);
    expect(networksOf([founding])).toMatchObject({
      publicNetwork: "10.0.0.0/24",
      clusterNetwork: "10.1.0.0/24",
    });
    expect(networksOf([founding, entry(kinds.renumber, { ...moved, monitors })])).toMatchObject(moved);
  });
});

describe("who is gone for good", () => {
  const [here, away] = [founder, one];
  const member = (peer: PeerId, alive: boolean, leaving: "moving" | "dead" | null = null) => ({
    ...{ peer, alive, leaving },
  });
  const gone = (facts: Partial<Parameters<typeof isGoneForGood>[1]>): boolean =>
    isGoneForGood(away, { members: [member(here, true)], removed: new Map(), lost: new Set(), ...facts });

  it.each([
    ["one that was removed", { removed: new Map([[away, {}]]) }, true],
    ["one that is away and declared dead", { members: [member(away, false, "dead")] }, true],
    ["one that is away and lost", { members: [member(away, false)], lost: new Set([away]) }, true],
    ["one that is away", { members: [member(away, false)] }, false],
    ["one that is away and was to move", { members: [member(away, false, "moving")] }, false],
    ["one that is alive though declared dead", { members: [member(away, true, "dead")] }, false],
    ["one that is alive though lost", { members: [member(away, true)], lost: new Set([away]) }, false],
    ["a stranger", {}, false],
  ])("%s", (_what, facts, expected) => {
    expect(gone(facts)).toBe(expected);
  });
});
