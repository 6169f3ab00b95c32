import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { kinds } from "../../../src/ceph/control/decisions.ts";
import { removeKind } from "../../../src/state/journal/members.ts";
import { all, atEach, crashWorlds, isBuilt, never, noOpen, startAgain } from "./crash-trials.ts";
import type { CrashWorld, NodeName } from "./crash-world.ts";

const inWorld = crashWorlds();

interface Story {
  /** What is there before, and what sets it off. */
  begin(world: CrashWorld, dir: string): Promise<void>;
  isOver(world: CrashWorld, dir: string): boolean;
  expectOver(world: CrashWorld, dir: string, where: string): Promise<void> | void;
}

/**
 * Tell a story with one daemon killed at one of its steps, counted from when it is set off, and started again; or,
 * with `turn`, the world takes that turn at that step and nobody is killed. The steps that it took.
 */
function tell(
  story: Story,
  victim: NodeName,
  step: number,
  turn?: (world: CrashWorld) => void,
): Promise<readonly string[]> {
  return inWorld(async (world, dir) => {
    for (const node of all) world.start(node);
    await world.until("the cluster", () => isBuilt(world));
    await story.begin(world, dir);
    const { process } = world.node(victim);
    const before = process.steps.length;
    if (turn === undefined) process.killAtStep = before + step;
    else {
      await world.until("the step", () => process.steps.length >= before + step || story.isOver(world, dir));
      turn(world);
    }
    await world.until("its end, or that of a daemon", () => !process.alive || story.isOver(world, dir));
    const where = `${victim}, ${turn === undefined ? "killed" : "turned"} at step ${step} (${process.steps.at(-1)})`;
    if (!process.alive) {
      await startAgain(world, victim, step);
      await world.until(`its end after ${where}`, () => story.isOver(world, dir));
    }
    await story.expectOver(world, dir, where);
    expect(world.ceph.mon.violations, where).toEqual([]);
    expect(world.ceph.lost, where).toEqual([]);
    return process.steps.slice(before);
  });
}

const doneOf = (world: CrashWorld, kind: string): number =>
  world.entries().filter((entry) => entry.kind === kind && entry.state === "done").length;

async function giveDisk(world: CrashWorld, ...nodes: NodeName[]): Promise<void> {
  for (const [count, node] of nodes.entries()) {
    world.addDisk(node);
    await world.until("the disk", () => world.ceph.osds[count]?.up === true && noOpen(world));
  }
}

/** One of three leaves with all it carries, or is dead and removed by the others. */
const departure = (leaving: "moving" | "dead"): Story => ({
  begin: async (world) => {
    await giveDisk(world, "n3");
    if (leaving === "dead") world.powerOff("n3");
    world.document.labels[world.peer("n3")] = { leaving };
  },
  isOver: (world, dir) =>
    doneOf(world, removeKind) > 0 &&
    noOpen(world) &&
    world.ceph.monitors.length === 1 &&
    world.etcd.size === 1 &&
    (leaving === "dead" || !existsSync(join(dir, "n3", "data", "mgr", "ceph-n3"))),
  expectOver: async (world, dir, where) => {
    const { ceph } = world;
    expect(doneOf(world, removeKind), where).toBe(1);
    expect(doneOf(world, kinds.osdPurge), where).toBe(1);
    expect(
      ceph.monitors.map(({ name }) => name),
      where,
    ).toEqual(["n1"]);
    expect(ceph.hasQuorum, where).toBe(true);
    expect([...world.etcd], where).toEqual(["n1"]);
    expect(ceph.osds, where).toEqual([null]);
    expect(
      [...ceph.keys.keys()].filter((entity) => entity.endsWith(".n3")),
      where,
    ).toEqual([]);
    const units = ["mon.n1", "mgr.n1", "mds.n1", "mgr.n2", "mds.n2"].sort();
    await world.until(`only the daemons of those who stay, ${where}`, () => {
      return `${[...ceph.running.keys()].sort()}` === `${units}`;
    });
    if (leaving === "moving") expect(await readdir(join(dir, "n3", "data", "mon")), where).toEqual([]);
  },
});

/** The third member loses its power for good at a step of being given its part, and is removed as dead. */
function dying(step: number): Promise<readonly string[]> {
  return inWorld(async (world) => {
    const process = world.start("n3");
    for (const node of ["n1", "n2"] as const) world.start(node);
    await world.until("the step", () => process.steps.length >= step || isBuilt(world));
    if (step === never) return process.steps;
    world.powerOff("n3");
    world.document.labels[world.peer("n3")] = { leaving: "dead" };
    const where = `n3 dead at step ${step} (${process.steps.at(-1)})`;
    await world.until(`its removal, ${where}`, () => doneOf(world, removeKind) > 0 && noOpen(world));
    expect([...world.etcd], where).not.toContain("n3");
    expect(
      world.ceph.monitors.map(({ name }) => name),
      where,
    ).not.toContain("n3");
    expect(world.ceph.hasQuorum, where).toBe(true);
    return process.steps;
  });
}

const isAt = (world: CrashWorld, network: string): boolean =>
  world.ceph.mon.map.length === 3 &&
  world.ceph.mon.quorum().length === 3 &&
  world.ceph.mon.map.every(({ name, addresses }) =>
    addresses.every(({ address }) => address.startsWith(`${network}.${name.slice(1)}:`)),
  ) &&
  all.every((node) => world.node(node).node.access?.publicNetwork === `${network}.0/24`) &&
  noOpen(world);

function moveAll(world: CrashWorld, network: string): void {
  for (const node of all) world.move(node, `${network}.${node.slice(1)}`);
}

/** All hosts lose power, and have other addresses when they are back. */
const renumbering = (network: string): Story => ({
  begin: async (world) => {
    for (const node of all) world.powerOff(node);
    moveAll(world, "10.9.0");
    for (const node of all) world.start(node);
  },
  isOver: (world) => isAt(world, network) && (network === "10.0.0" || doneOf(world, kinds.renumber) > 0),
  expectOver: (world, _dir, where) => {
    const units = all.flatMap((node) => [`mon.${node}`, `mgr.${node}`, `mds.${node}`]).sort();
    expect([...world.ceph.running.keys()].sort(), where).toEqual(units);
    if (network === "10.9.0") expect(doneOf(world, kinds.renumber), where).toBe(1);
  },
});

/** Key of `mon.` before, in each of the worlds that are told side by side. */
const keysBefore = new WeakMap<CrashWorld, string>();

/** The stores of all monitors are lost; two hosts have OSDs. */
const rebuilding: Story = {
  begin: async (world) => {
    await giveDisk(world, "n2", "n3");
    for (const node of all) world.loseMonitor(node);
    for (const osd of world.ceph.osds) {
      const peer = world.peer((osd?.host ?? "") as NodeName);
      world.document.nodes[peer] = { osds: [{ uuid: osd?.uuid ?? "" }], addresses: [] };
    }
    keysBefore.set(world, world.ceph.mon.key);
    world.document.setSetting("monitors.rebuild", JSON.stringify({ id: "w-1", lost: [] }));
  },
  isOver: (world) =>
    doneOf(world, kinds.rebuild) > 0 &&
    world.ceph.mon.quorum().length === 3 &&
    world.ceph.osds.every((osd) => osd?.up === true) &&
    all.every((node) => world.ceph.keys.has(`mgr.${node}`)) &&
    world.document.settings["monitors.rebuild"] === undefined &&
    noOpen(world),
  expectOver: (world, _dir, where) => {
    expect(doneOf(world, kinds.rebuild), where).toBe(1);
    expect(keysBefore.get(world), where).toMatch(/./);
    expect(world.ceph.mon.key, where).not.toBe(keysBefore.get(world));
    const units = all.flatMap((node) => [`mon.${node}`, `mgr.${node}`, `mds.${node}`]);
    expect([...world.ceph.running.keys()].sort(), where).toEqual([...units, "osd.0", "osd.1"].sort());
  },
};

/** The OSD of n2 is replaced by one on another disk of n2. */
const replacing: Story = {
  begin: async (world) => {
    await giveDisk(world, "n2");
    world.replaceDisk("n2");
  },
  isOver: (world) => {
    const [osd] = world.ceph.osds;
    return osd?.up === true && osd.uuid.includes("ff") && noOpen(world) && !runsJob(world);
  },
  expectOver: async (world, dir, where) => {
    const { ceph } = world;
    expect(
      ceph.osds.map((osd) => [osd?.weight, osd?.destroyed, osd?.host]),
      where,
    ).toEqual([[1, false, "n2"]]);
    expect(doneOf(world, kinds.osdPurge), where).toBe(1);
    expect(doneOf(world, kinds.osdDrain), where).toBe(0);
    expect(await readdir(join(dir, "n2", "data", "osd")), where).toEqual(["ceph-0"]);
  },
};

const runsJob = (world: CrashWorld): boolean =>
  world
    .node("n2")
    .jobs.list()
    .some(({ state }) => state === "running");

/** A subnet is added, for a host that is to come from there. */
const widening: Story = {
  begin: async (world) => {
    const wish = { wish: "w-2", publicNetwork: "10.0.0.0/24,10.5.0.0/24", clusterNetwork: null };
    world.document.setSetting("ceph.networks", JSON.stringify(wish));
  },
  isOver: (world) =>
    doneOf(world, kinds.networks) > 0 &&
    world.document.settings["ceph.networks"] === undefined &&
    all.every((node) => world.node(node).node.access?.publicNetwork === "10.0.0.0/24,10.5.0.0/24") &&
    noOpen(world),
  expectOver: (world, _dir, where) => {
    expect(doneOf(world, kinds.networks), where).toBe(1);
    expect(world.ceph.mon.quorum().length, where).toBe(3);
  },
};

const stories: readonly (readonly [string, Story, NodeName, number])[] = [
  ["a member leaves, n1", departure("moving"), "n1", 30],
  ["a member leaves, n3", departure("moving"), "n3", 5],
  ["a dead member is removed, n1", departure("dead"), "n1", 30],
  ["all hosts are renumbered, n1", renumbering("10.9.0"), "n1", 15],
  ["all hosts are renumbered, n2", renumbering("10.9.0"), "n2", 10],
  ["a disk is replaced, n1", replacing, "n1", 8],
  ["a disk is replaced, n2", replacing, "n2", 15],
  ["a subnet is added, n1", widening, "n1", 10],
  ["a subnet is added, n2", widening, "n2", 3],
  ["all monitors are rebuilt, n1", rebuilding, "n1", 30],
  ["all monitors are rebuilt, n2", rebuilding, "n2", 10],
];

describe("a daemon killed between any two steps, on simulated etcd and Ceph", () => {
  it.each(stories)("while %s", async (_what, story, victim, least) => {
    const steps = await tell(story, victim, never);
    expect(steps.length).toBeGreaterThan(least);
    await atEach(steps.length, (step) => tell(story, victim, step));
  });

  it("nor when a member dies for good at any step of being given its part, and is removed", async () => {
    const steps = await dying(never);
    expect(steps.length).toBeGreaterThan(20);
    await atEach(steps.length, dying);
  });

  it("nor when all hosts move back at any step", async () => {
    const steps = await tell(renumbering("10.9.0"), "n1", never);
    const back = (world: CrashWorld): void => moveAll(world, "10.0.0");
    await atEach(steps.length, (step) => tell(renumbering("10.0.0"), "n1", step, back));
  });
});
