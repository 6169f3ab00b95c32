import { allDoorGuards, type DoorGuards } from "./door/door-node.ts";
import { doorStory } from "./door/door-story.ts";
import { allGuards, type Guards } from "./journal/sim-world.ts";
import { allTroubles, restlessLease, story, type Temper } from "./journal/story.ts";
import { runScenario } from "./membership/scenario.ts";
import type { FormationGuards } from "./membership/weakened.ts";
import { soundLan, World } from "./membership/world.ts";
import {
  allPresenceGuards,
  backFromIsolation,
  brokenLink,
  type PresenceGuards,
  slowWitnesses,
} from "./presence/presence-story.ts";
import { allSeatGuards, type SeatGuards, seatStory } from "./seats/seat-story.ts";

/** A safety guard of the design, and a simulation over the real cores that finds what happens without it. */
export interface Guard {
  readonly name: string;
  readonly prevents: string;
  /** What the violation looks like. */
  readonly found: RegExp;
  /** A seed that found it when this was written: tried first. */
  readonly seed: number;
  /** Run one seed with the guard on or off; the violations. */
  readonly run: (seed: number, on: boolean) => Promise<string[]>;
}

const journal =
  (guard: keyof Guards, temper: Temper): Guard["run"] =>
  async (seed, on) => {
    const { truth } = await story(seed, { ...allGuards, [guard]: on }, temper);
    return truth.violations.map(({ text }) => text);
  };

const door =
  (guard: keyof DoorGuards): Guard["run"] =>
  async (seed, on) => {
    const { violations } = await doorStory(seed, { ...allDoorGuards, [guard]: on });
    return violations.map(({ rule, text }) => `${rule}: ${text}`);
  };

const presence =
  (guard: keyof PresenceGuards, tell: typeof brokenLink): Guard["run"] =>
  (seed, on) =>
    tell(seed, { ...allPresenceGuards, [guard]: on });

const formation =
  (...off: (keyof FormationGuards)[]): Guard["run"] =>
  async (seed, on) => {
    const guards = on ? {} : Object.fromEntries(off.map((guard) => [guard, false]));
    const { violation } = await runScenario({ seed, weather: "hidden", guards });
    return violation === null ? [] : [violation];
  };

/** A founder that dies at its commit and is back after 40 s. */
const lateFounder: Guard["run"] = async (seed, on) => {
  const world = new World({ ...soundLan, seed, nodes: 4, guards: { confirmPhase: on } });
  const [founder] = world.byPeer();
  if (founder === undefined) throw new RangeError("no nodes");
  for (const node of world.nodes) world.start(node);
  await world.time.runUntil(20_000, () => founder.durable.state === "founded");
  world.kill(founder);
  world.time.after(40_000, null, () => world.start(founder));
  await world.time.runUntil(80_000, () => world.invariants.violation !== null);
  const { violation } = world.invariants;
  return violation === null ? [] : [violation];
};

const seats =
  (guard: keyof SeatGuards): Guard["run"] =>
  async (seed, on) =>
    seatStory(seed, { ...allSeatGuards, [guard]: on });

export const guards: readonly Guard[] = [
  {
    name: "confirm before an irreversible step",
    prevents: "a step is taken under a decision that was overtaken before the agent began it",
    found: /overtaken|combined/,
    seed: 2,
    run: journal("confirm", allTroubles),
  },
  {
    name: "re-stamping by a new holder",
    prevents: "orders of the old holder are carried out beside those of the new one",
    found: /combined/,
    seed: 12,
    run: journal("restamp", allTroubles),
  },
  {
    name: "exact lease key in each decision",
    prevents: "a former holder writes decisions after its successor",
    found: /numbers|combined/,
    seed: 1,
    run: journal("exactLease", restlessLease),
  },
  {
    name: "cancel acknowledged before abandonment",
    prevents: "an act is carried out that the journal says was abandoned",
    found: /ended/,
    seed: 1,
    run: journal("cancelAcknowledgement", allTroubles),
  },
  {
    name: "a seat is given before it is taken",
    prevents: "a monitor that is not wanted on a host goes before another has its place",
    found: /fewer than \d are left/,
    seed: 1,
    run: seats("givenFirst"),
  },
  {
    name: "yielding of a wish where too few others are there",
    prevents: "a cluster stays with fewer monitors than it needs, as none is wanted where one could be",
    found: /seats are needed/,
    seed: 1,
    run: seats("yields"),
  },
  {
    name: "one claim at a time",
    prevents: "a node is counted by two founders, and a cluster loses those that it rests on",
    found: /founds a second|is held by|holds no claim/,
    seed: 34,
    run: formation("oneClaim"),
  },
  {
    name: "tombstone",
    prevents: "a removed member is let in again on its old certificate",
    found: /returns/,
    seed: 1,
    run: door("tombstone"),
  },
  {
    name: "gater",
    prevents: "a stranger reaches a handler of the mesh before its connection is looked at",
    found: /stranger/,
    seed: 1,
    run: door("gater"),
  },
  {
    // Giving way to another founding covers most of what the majority prevents: without it, the majority is alone.
    name: "majority of the fresh nodes (and no giving way)",
    prevents: "two clusters are founded on one LAN",
    found: /founds a second|is held by/,
    seed: 27,
    run: formation("majority", "otherFounding"),
  },
  {
    name: "giving way to another founding",
    prevents: "two clusters are founded on one LAN",
    found: /founds a second|is held by/,
    seed: 72,
    run: formation("otherFounding"),
  },
  {
    name: "confirm round of a founding",
    prevents: "a founder that was away commits on promises that have lapsed",
    found: /is held by 2 of its 4 founders/,
    seed: 7,
    run: lateFounder,
  },
  {
    name: "two witnesses before failed",
    prevents: "a member fails, and its lease is revoked, as one link is broken",
    found: /believes that n\d failed/,
    seed: 1,
    run: presence("witnesses", brokenLink),
  },
  {
    name: "self-doubt of a member that was late itself",
    prevents: "a member fails on the word of witnesses that were stopped a moment ago",
    found: /believes that n2 failed/,
    seed: 1,
    run: presence("selfDoubt", slowWitnesses),
  },
  {
    name: "refutation",
    prevents: "of many members one that was cut off for a while is taken for gone for ever",
    found: /still sees n\d+ failed/,
    seed: 1,
    run: presence("refutation", backFromIsolation),
  },
];
