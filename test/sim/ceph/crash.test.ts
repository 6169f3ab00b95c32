import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { kinds } from "../../../src/ceph/control/decisions.ts";
import { all, atEach, crashWorlds, isBuilt, never, noOpen, startAgain } from "./crash-trials.ts";
import type { CrashWorld, NodeName } from "./crash-world.ts";

const inWorld = crashWorlds();

/** Everything once, and nothing left over. */
async function expectBuilt(world: CrashWorld, dir: string, where: string): Promise<void> {
  const { ceph } = world;
  expect(ceph.hasQuorum, where).toBe(true);
  expect(ceph.monitors.map(({ name }) => name).sort(), where).toEqual(all);
  const units = all.flatMap((node) => [`mon.${node}`, `mgr.${node}`, `mds.${node}`]).sort();
  expect([...ceph.running.keys()].sort(), where).toEqual(units);
  const done = world.entries().filter(({ state }) => state === "done");
  expect(done.filter(({ kind }) => kind === kinds.bootstrap).length, where).toBe(1);
  expect(new Set(done.map(({ kind, body }) => JSON.stringify([kind, body]))).size, where).toBe(done.length);
  for (const node of all) {
    const stores = await readdir(join(dir, node, "data", "mon"));
    expect(stores, where).toEqual([`ceph-${node}`]);
  }
}

/** Build the cluster with one daemon killed at a step and started again; the steps that it took before. */
function build(victim: NodeName, killAtStep: number): Promise<readonly string[]> {
  return inWorld(async (world, dir) => {
    for (const node of all) if (node !== victim) world.start(node);
    const process = world.start(victim, killAtStep);
    await world.until("the cluster, or the end of a daemon", () => !process.alive || isBuilt(world));
    const where = `${victim} killed at step ${killAtStep} (${process.steps.at(-1)})`;
    if (!process.alive) {
      await startAgain(world, victim, killAtStep);
      await world.until(`the cluster after ${where}`, () => isBuilt(world));
    }
    await expectBuilt(world, dir, where);
    return process.steps;
  });
}

function addDisk(killAtStep: number): Promise<readonly string[]> {
  return inWorld(async (world, dir) => {
    for (const node of all) world.start(node);
    await world.until("the cluster", () => isBuilt(world));
    const { process } = world.node("n2");
    const before = process.steps.length;
    process.killAtStep = before + killAtStep;
    const asked = (): boolean => {
      try {
        world.addDisk("n2");
        return true;
      } catch {
        // Killed before the job was on disk: nothing was begun, and nobody was told that it was.
        return false;
      }
    };
    let begun = asked();
    const done = (): boolean =>
      world
        .node("n2")
        .jobs.list()
        .some(({ state }) => state === "success");
    await world.until("the disk, or the end of the daemon", () => !process.alive || done());
    const where = `killed at step ${killAtStep} (${process.steps.at(-1)})`;
    if (!process.alive) {
      world.start("n2");
      begun = world.node("n2").jobs.list().length > 0;
      if (!begun) asked();
      await world.until(`the disk after ${where}`, done);
    }
    expect(
      world.ceph.osds.map((osd) => [osd?.up, osd?.host]),
      where,
    ).toEqual([[true, "n2"]]);
    expect(world.ceph.running.has("osd.0"), where).toBe(true);
    expect(await readdir(join(dir, "n2", "data", "osd")), where).toEqual(["ceph-0"]);
    return process.steps.slice(before);
  });
}

/**
 * Take the one OSD of n2 out while a daemon is killed at one of its steps; or, with `calledOff`, take the wish back
 * at that step, and nobody is killed.
 */
function removeDisk(victim: NodeName, step: number, calledOff = false): Promise<readonly string[]> {
  return inWorld(async (world, dir) => {
    for (const node of all) world.start(node);
    await world.until("the cluster", () => isBuilt(world));
    world.addDisk("n2");
    await world.until("the disk", () => world.ceph.osds[0]?.up === true && noOpen(world));
    const { process } = world.node(victim);
    const before = process.steps.length;
    if (!calledOff) process.killAtStep = before + step;
    const { ceph } = world;
    const wishes = world.document.removals;
    const uuid = ceph.osds[0]?.uuid ?? "";
    const home = join(dir, "n2", "data", "osd", "ceph-0");
    wishes[uuid] = { osd: 0, mode: "drain", at: "", by: world.peer("n1") };
    const isOut = (): boolean => ceph.osds[0] === null && noOpen(world) && !existsSync(home);
    const isBack = (): boolean => ceph.osds[0]?.up === true && ceph.osds[0].weight === 1 && noOpen(world);
    const isOver = (): boolean => isOut() || (wishes[uuid] === undefined && isBack());
    if (calledOff) {
      await world.until("the step", () => process.steps.length >= before + step || isOver());
      delete wishes[uuid];
    }
    await world.until("the removal, or the end of the daemon", () => !process.alive || isOver());
    const where = `${calledOff ? "called off" : `${victim} killed`} at step ${step} (${process.steps.at(-1)})`;
    if (!process.alive) {
      await startAgain(world, victim, step);
      await world.until(`the removal after ${where}`, isOver);
    }
    expect(ceph.lost, where).toEqual([]);
    const purges = world.entries().filter(({ kind, state }) => kind === kinds.osdPurge && state === "done");
    expect(purges.length, where).toBe(ceph.osds[0] === null ? 1 : 0);
    expect(ceph.running.has("osd.0"), where).toBe(ceph.osds[0] !== null);
    expect(existsSync(home), where).toBe(ceph.osds[0] !== null);
    if (!calledOff) expect(ceph.osds[0], where).toBeNull();
    return process.steps.slice(before);
  });
}

describe("a daemon killed between any two steps, on simulated etcd and Ceph", () => {
  it.each<NodeName>(["n1", "n2"])("while the cluster is built: %s", async (victim) => {
    const steps = await build(victim, never);
    expect(steps.length).toBeGreaterThan(30);
    await atEach(steps.length, (step) => build(victim, step));
  });

  it("while a disk is added", async () => {
    const steps = await addDisk(never);
    expect(steps.length).toBeGreaterThan(10);
    await atEach(steps.length, addDisk);
  });

  it.each<NodeName>(["n1", "n2"])("while a disk is removed: %s", async (victim) => {
    const steps = await removeDisk(victim, never);
    expect(steps.length).toBeGreaterThan(victim === "n1" ? 10 : 5);
    await atEach(steps.length, (step) => removeDisk(victim, step));
  });

  it.each<NodeName>(["n1", "n2"])("nor when its removal is called off at any step of %s", async (node) => {
    const steps = await removeDisk(node, never);
    await atEach(steps.length, (step) => removeDisk(node, step, true));
  });
});
