import { type EtcdFaults, noFaults } from "../../support/simulated-etcd.ts";
import { allGuards, type Guards, type SimNode, SimWorld } from "./sim-world.ts";

const seconds = 1000;
const storyMs = 150 * seconds;
const calmMs = 60 * seconds;

type Trouble = (world: SimWorld, node: SimNode, ms: number) => void;

/** Presence believes, rightly or not, that the holder has failed. */
const revoke: Trouble = (world, node) => {
  const holder = world.holder();
  if (holder && holder !== node) node.running.lease.revokeHolder(holder.peer).catch(() => undefined);
};
const crash: Trouble = (world, node, ms) => {
  world.crash(node);
  world.time.after(ms, null, () => world.restart(node));
};
/** SIGSTOP and SIGCONT. */
const pause: Trouble = ({ time }, { process }, ms) => {
  time.pause(process);
  time.after(ms, null, () => time.resume(process));
};
const cut: Trouble = (world, node, ms) => {
  world.cut(node);
  world.time.after(ms, null, () => world.heal(node));
};
/** Somebody sets the clock, forward or back. */
const jump: Trouble = ({ random }, node, ms) => {
  node.wallAheadMs += random.chance(0.5) ? ms : -ms;
};

export interface Temper {
  readonly troubles: readonly Trouble[];
  /** Longest time between two troubles. */
  readonly everyMs: number;
  readonly faults: EtcdFaults;
}

export const allTroubles: Temper = {
  troubles: [crash, pause, cut, revoke, jump],
  everyMs: 4 * seconds,
  faults: { answerLost: 0.02, requestLost: 0.02, appliedLate: 0.06, slow: 0.05 },
};
/** The lease changes hands again and again while writes are on their way. */
export const restlessLease: Temper = {
  troubles: [revoke],
  everyMs: 1 * seconds,
  faults: { answerLost: 0, requestLost: 0, appliedLate: 0, slow: 0.3 },
};

/** Everything goes wrong for a while, then all is well again; the world as it is at the end. */
export async function story(
  seed: number,
  guards: Guards = allGuards,
  temper: Temper = allTroubles,
  { nodes = 3, troubledMs = storyMs }: { readonly nodes?: number; readonly troubledMs?: number } = {},
): Promise<SimWorld> {
  const world = new SimWorld(seed, { guards, nodes });
  const { random, time } = world;
  world.etcd.faults = temper.faults;
  world.messages = { lost: 0.05, doubled: 0.1, late: 0.05 };
  while (time.now() < troubledMs && world.truth.violations.length === 0) {
    await world.run(random.between(temper.everyMs / 20, temper.everyMs));
    const holder = world.holder();
    const node = holder && random.chance(0.4) ? holder : random.pick(world.nodes);
    random.pick(temper.troubles)(world, node, random.between(100, 20 * seconds));
  }
  if (world.truth.violations.length > 0) return world;
  world.etcd.faults = noFaults;
  world.messages = { lost: 0, doubled: 0, late: 0 };
  for (const node of world.nodes) {
    world.heal(node);
    world.restart(node);
    time.resume(node.process);
  }
  await world.run(calmMs);
  return world;
}
