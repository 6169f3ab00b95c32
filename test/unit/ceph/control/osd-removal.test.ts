import { beforeEach, describe, expect, it } from "vitest";
import type { CephCommands, OsdDumpEntry } from "../../../../src/ceph/command/commands.ts";
import { kinds } from "../../../../src/ceph/control/decisions.ts";
import {
  drainedOsds,
  purgedOsds,
  removalExecutors,
  removalPlanner,
} from "../../../../src/ceph/control/osd-removal.ts";
import { osdId, type PeerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import type { OsdRemoval } from "../../../../src/state/document/cluster-document.ts";
import type { Entry } from "../../../../src/state/journal/types.ts";

const uuid = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
const owner = "peer-n2" as PeerId;
const body = { osd: 1, uuid, host: "n2" };

let entry: OsdDumpEntry | null;
let weight: number;
/** Ceph's answers; what is absent it refuses with EBUSY, what is null it cannot tell. */
let answers: Record<string, boolean | null>;
let placementGroups: string[];
let states: Record<string, number>;
let commands: string[];
let given: number;
let wishes: Record<string, OsdRemoval>;
let entries: Entry[];
let forgotten: string[];
let onDown: () => void;

const ceph = {
  osdDump: async () => ({ osds: entry === null ? [] : [entry] }),
  osdTree: async () => ({ osds: [{ id: 1, crushWeight: weight }] }),
  placementGroupsOf: async () => placementGroups.map((state) => ({ pool: 1, state, acting: [] })),
  status: async () => ({ pgs: { states } }),
  safeToDestroy: async () => answer("safe-to-destroy"),
  okToStop: async () => answer("ok-to-stop"),
  run: async (words: readonly string[]) => {
    const said = words.join(" ");
    const question = words[1] ?? "";
    commands.push(said);
    if (question === "down") onDown();
    if (question === "purge" || question === "destroy") entry = null;
    return null;
  },
} as unknown as CephCommands;

function answer(question: string): boolean | null {
  return answers[question] === undefined ? false : answers[question];
}

function wish(mode: OsdRemoval["mode"]): void {
  wishes = { [uuid]: { osd: 1, mode, at: "", by: owner } };
}

function journaled(kind: string, more: Record<string, Json>, state: Entry["state"] = "done"): Entry {
  return { kind, state, body: { ...body, ...more } } as unknown as Entry;
}

async function plan() {
  const planner = removalPlanner({
    ceph: () => ceph,
    wishes: () => wishes,
    entries: () => entries,
    ownerOf: () => ({ peer: owner, handle: "n2" }),
    forget: (gone) => forgotten.push(gone),
    explain: () => undefined,
    later: () => undefined,
  });
  return planner(new AbortController().signal, "epoch" as never);
}

async function carryOut(kind: string, more: Record<string, Json> = {}, agent: PeerId | null = owner) {
  const executors = removalExecutors({
    ceph: () => ceph,
    callMs: () => 1000,
    wishes: () => wishes,
    give: async () => {
      given += 1;
      if (entry) entry = { ...entry, up: false };
      return null;
    },
    withdraw: async (_entry, reason) => ({ state: "abandoned", reason, cancelAcknowledged: true }),
  });
  const open = { body: { ...body, ...more }, agent } as unknown as Entry;
  return executors[kind]?.(open, new AbortController().signal);
}

beforeEach(() => {
  entry = { id: osdId(1), uuid, up: true, in: true, destroyed: false };
  weight = 0;
  answers = {};
  placementGroups = ["active+clean", "active+clean+scrubbing"];
  states = { "active+clean": 8 };
  commands = [];
  given = 0;
  wishes = {};
  entries = [];
  forgotten = [];
  onDown = () => undefined;
});

describe("plans for OSDs that go", () => {
  it("drain what has a weight, with the weight on record", async () => {
    wish("drain");
    weight = 0.5;
    expect(await plan()).toMatchObject([{ kind: kinds.osdDrain, body: { weight: 0.5 }, agent: null }]);
  });

  it("purge it by its host once nothing depends on it", async () => {
    wish("drain");
    expect(await plan()).toEqual([]);
    answers = { "safe-to-destroy": true };
    expect(await plan()).toMatchObject([{ kind: kinds.osdPurge, body: { host: "n2" }, agent: owner }]);
  });

  it("keep the number of what is replaced", async () => {
    wish("replace");
    weight = 0.5;
    expect(await plan()).toEqual([]);
    answers = { "ok-to-stop": true };
    expect(await plan()).toMatchObject([{ kind: kinds.osdPurge, body: { keepId: true } }]);
    placementGroups = ["active+clean", "active+undersized+degraded"];
    expect(await plan()).toEqual([]);
  });

  it.each([
    [{ "active+clean": 5, "active+undersized+degraded": 3 }, 1],
    [{ "active+clean": 5, peering: 3 }, 0],
    [{ "stale+active+clean": 8 }, 0],
    [{ "active+clean": 7, down: 1 }, 0],
    [{ "active+recovery_unfound+degraded": 1 }, 0],
  ])("replace one that is down only where the others serve all: %j", async (found, proposals) => {
    wish("replace");
    if (entry) entry = { ...entry, up: false };
    states = found;
    expect(await plan()).toHaveLength(proposals);
  });

  it("forget the wish when it is gone, and refill what is to stay", async () => {
    wish("drain");
    entry = null;
    expect(await plan()).toEqual([]);
    expect(forgotten).toEqual([uuid]);
    wishes = {};
    entry = { id: osdId(1), uuid, up: true, in: true, destroyed: false };
    entries = [journaled(kinds.osdDrain, { weight: 0.5 })];
    expect(await plan()).toMatchObject([{ kind: kinds.osdRefill, body: { weight: 0.5 } }]);
  });
});

describe("what the journal says of them", () => {
  it("is drained until it is refilled or purged, and purged for good", () => {
    const drained = journaled(kinds.osdDrain, { weight: 0.5 });
    expect(drainedOsds([drained]).get(uuid)).toEqual({ osd: 1, weight: 0.5 });
    expect(drainedOsds([drained, journaled(kinds.osdDrain, { weight: 0 })]).get(uuid)?.weight).toBe(0.5);
    expect(drainedOsds([drained, journaled(kinds.osdRefill, { weight: 0.5 })]).size).toBe(0);
    expect(purgedOsds([journaled(kinds.osdPurge, {}, "open")]).size).toBe(0);
    expect([...purgedOsds([journaled(kinds.osdPurge, {})])]).toEqual([uuid]);
  });
});

describe("decisions about OSDs that go", () => {
  it("drain, unless it is to stay by now, or is another", async () => {
    wish("drain");
    weight = 0.5;
    expect(await carryOut(kinds.osdDrain, { weight: 0.5 })).toMatchObject({ state: "done" });
    expect(commands).toEqual(["osd crush reweight osd.1 0"]);
    if (entry) entry = { ...entry, uuid: "another" };
    expect(await carryOut(kinds.osdDrain, { weight: 0.5 })).toMatchObject({ state: "abandoned" });
  });

  it("give the weight back that a run took which was cut off, when it is to stay", async () => {
    expect(await carryOut(kinds.osdDrain, { weight: 0.5 })).toMatchObject({ state: "abandoned" });
    expect(commands).toEqual(["osd crush reweight osd.1 0.5"]);
  });

  it("leave a weight that is not zero any more", async () => {
    weight = 2;
    expect(await carryOut(kinds.osdRefill, { weight: 0.5 })).toMatchObject({ state: "done" });
    expect(commands).toEqual([]);
  });

  it("stop and purge what nothing depends on", async () => {
    wish("drain");
    answers = { "safe-to-destroy": true };
    expect(await carryOut(kinds.osdPurge)).toMatchObject({ state: "done" });
    expect([given, commands]).toEqual([1, ["osd down 1", "osd purge 1 --yes-i-really-mean-it"]]);
    // Done before, it is done again without an act.
    expect(await carryOut(kinds.osdPurge)).toMatchObject({ state: "done" });
    expect(commands).toHaveLength(2);
  });

  it("purge nothing that data depends on, also when that is so only since it was stopped", async () => {
    wish("drain");
    expect(await carryOut(kinds.osdPurge)).toMatchObject({ state: "abandoned" });
    answers = { "safe-to-destroy": true };
    onDown = () => {
      answers = {};
    };
    await expect(carryOut(kinds.osdPurge)).rejects.toMatchObject({ code: "NOT_READY" });
    expect(commands).toEqual(["osd down 1"]);
    expect(entry).not.toBeNull();
  });

  it("purge what was stopped although Ceph has no statistics of it any more, while it has no weight", async () => {
    wish("drain");
    answers = { "safe-to-destroy": true };
    onDown = () => {
      answers = { "safe-to-destroy": null };
    };
    weight = 0.5;
    await expect(carryOut(kinds.osdPurge)).rejects.toMatchObject({ code: "NOT_READY" });
    weight = 0;
    answers = { "safe-to-destroy": true };
    expect(await carryOut(kinds.osdPurge)).toMatchObject({ state: "done" });
  });

  it("need nobody of a dead host", async () => {
    wish("now");
    if (entry) entry = { ...entry, up: false };
    expect(await carryOut(kinds.osdPurge, { host: null }, null)).toMatchObject({ state: "done" });
    expect(given).toBe(0);
  });

  it("destroy what is replaced, and keep its number", async () => {
    wish("replace");
    answers = { "ok-to-stop": true };
    expect(await carryOut(kinds.osdPurge, { keepId: true })).toMatchObject({ state: "done" });
    expect(commands).toEqual(["osd down 1", "osd destroy 1 --yes-i-really-mean-it"]);
  });

  it("wait with a replacement while the others find each other, and bring it back when they cannot serve", async () => {
    wish("replace");
    answers = { "ok-to-stop": true };
    onDown = () => {
      states = { peering: 8 };
    };
    await expect(carryOut(kinds.osdPurge, { keepId: true })).rejects.toMatchObject({ code: "NOT_READY" });
    await expect(carryOut(kinds.osdPurge, { keepId: true })).rejects.toMatchObject({ code: "NOT_READY" });
    states = { "active+clean": 7, down: 1 };
    expect(await carryOut(kinds.osdPurge, { keepId: true })).toMatchObject({ state: "abandoned" });
    expect(entry).not.toBeNull();
  });

  it("carry out only the wish that they were made from", async () => {
    wish("replace");
    expect(await carryOut(kinds.osdPurge)).toMatchObject({ state: "abandoned" });
    wish("now");
    expect(await carryOut(kinds.osdPurge, { keepId: true })).toMatchObject({ state: "abandoned" });
    wishes = {};
    expect(await carryOut(kinds.osdPurge)).toMatchObject({ state: "abandoned" });
    expect(commands).toEqual([]);
  });
});
