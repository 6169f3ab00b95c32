import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { kinds } from "../../../src/ceph/control/decisions.ts";
import { watchFiles } from "../../support/crashable-process.ts";
import { ttlSeconds } from "../../support/simulated-voter.ts";
import { CrashWorld, type NodeName } from "./crash-world.ts";

export const never = Number.POSITIVE_INFINITY;
const leaseOverMs = (ttlSeconds + 1) * 1000;
export const all: readonly NodeName[] = ["n1", "n2", "n3"];

/** Worlds in folders of their own, for the tests of one file. */
export function crashWorlds(): <T>(work: (world: CrashWorld, dir: string) => Promise<T>) => Promise<T> {
  let unwatch = (): void => undefined;
  let folder = "";
  let worlds = 0;
  beforeAll(() => {
    unwatch = watchFiles();
    // Nothing here is about power: on a file system in memory a sync costs nothing.
    folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "mc-"));
  });
  afterAll(() => {
    unwatch();
    rmSync(folder, { recursive: true, force: true });
  });
  return async (work) => {
    worlds += 1;
    const dir = join(folder, String(worlds));
    const world = new CrashWorld(dir);
    try {
      return await work(world, dir);
    } finally {
      await world.stop();
    }
  };
}

/** Bootstrap, two more monitors and all managers and metadata servers are decided and done. */
export function isBuilt(world: CrashWorld): boolean {
  const entries = world.entries();
  return (
    world.ceph.monitors.length === 3 &&
    entries.filter(({ kind, state }) => kind === kinds.daemon && state === "done").length === 6 &&
    entries.every(({ state }) => state !== "open")
  );
}

/** Start a daemon again that was killed at this step: now and then while its old lease still holds. */
export async function startAgain(world: CrashWorld, victim: NodeName, step: number): Promise<void> {
  if (victim === "n1" && step % 4 !== 0) await world.voters.pass(leaseOverMs);
  world.start(victim);
}

export function noOpen(world: CrashWorld): boolean {
  return world.entries().every(({ state }) => state !== "open");
}

/** A trial for each step, several side by side: most of their time is waiting. */
export async function atEach(steps: number, trial: (step: number) => Promise<unknown>): Promise<void> {
  let next = 1;
  const work = async (): Promise<void> => {
    for (let step = next++; step <= steps; step = next++) await trial(step);
  };
  await Promise.all(Array.from({ length: 8 }, work));
}
