import { Random } from "../../support/virtual-time.ts";
import type { Guards, SimNode } from "./sim-node.ts";
import { pair, World, type WorldOptions } from "./world.ts";

export interface Outcome {
  readonly seed: number;
  readonly violation: string | null;
  readonly notes: readonly string[];
  readonly world: World;
}

/**
 * calm: a sound LAN. rough: loss, late messages, kills, restarts, pauses. hidden: the two lowest PeerIds do
 * not find each other by mDNS. split: partitions, where a second cluster is no violation.
 */
export type Weather = "calm" | "rough" | "hidden" | "split";

export interface ScenarioOptions {
  readonly seed: number;
  readonly weather: Weather;
  readonly guards?: Guards;
  readonly nodes?: number;
  readonly expect?: number;
  readonly trace?: boolean;
  /** Longest virtual time after the faults until all nodes are in one cluster. */
  readonly patienceMs?: number;
}

const faultsUntil = 45_000;

/** Faults for 45 s, then none: in the end all nodes must be members of one cluster (two after a split). */
export async function runScenario(options: ScenarioOptions): Promise<Outcome> {
  const { seed, weather } = options;
  const dice = new Random(seed ^ 0x5eed);
  const rough = weather !== "calm";
  const nodes = options.nodes ?? dice.whole(weather === "hidden" ? 6 : 2, 9);
  const expect = options.expect ?? Math.min(nodes, dice.pick([2, 3, 3, 3]));
  const settings: WorldOptions = {
    seed,
    nodes,
    expect: weather === "hidden" ? 3 : expect,
    drop: rough ? dice.pick([0, 0.02, 0.1]) : 0,
    late: rough ? dice.pick([0, 0.02, 0.05]) : 0,
    latencyMs: [1, rough ? dice.pick(weather === "hidden" ? [100, 300, 800] : [10, 100, 600]) : 10],
    // The two rivals listen until nearly the same moment.
    sightingMs: weather === "hidden" ? [1_400, 1_500] : [100, 1_500],
    guards: options.guards ?? {},
    oneLan: weather !== "split",
    trace: options.trace ?? false,
  };
  const world = new World(settings);
  if (weather === "hidden") {
    const [lowest, second] = world.byPeer();
    if (lowest && second) world.hidden.add(pair(lowest, second));
  }
  const spread = dice.pick([0, 2_000, 15_000]);
  for (const node of world.nodes) world.time.after(dice.between(0, spread), null, () => world.start(node));
  if (rough) disturb(world, dice, weather);
  await world.time.runUntil(faultsUntil, () => world.invariants.violation !== null);
  calmDown(world);
  if (world.invariants.violation === null) {
    const patience = options.patienceMs ?? 400_000;
    await world.time.runUntil(
      faultsUntil + patience,
      () => world.invariants.violation !== null || isSettled(world),
    );
    if (!isSettled(world)) world.invariants.fail(`not settled: ${describe(world)}`);
  }
  if (options.trace) process.stderr.write(`${world.notes.join("\n")}\n`);
  return { seed, violation: world.invariants.violation, notes: world.notes, world };
}

function disturb(world: World, dice: Random, weather: Weather): void {
  const faults = dice.whole(1, 2 + world.nodes.length);
  for (let i = 0; i < faults; i += 1) {
    const node = dice.pick(world.nodes);
    const at = dice.between(1_000, faultsUntil - 5_000);
    const lasts = dice.pick([300, 2_000, 10_000, 35_000]);
    const heals = Math.min(lasts, faultsUntil - at);
    switch (
      dice.pick(weather === "split" ? ["kill", "split", "split", "link"] : ["kill", "kill", "stop", "pause"])
    ) {
      case "kill":
        world.time.after(at, null, () => world.kill(node));
        world.time.after(at + heals, null, () => world.start(node));
        break;
      case "stop":
        world.time.after(at, null, () => world.stop(node));
        world.time.after(at + heals, null, () => world.start(node));
        break;
      case "pause":
        world.time.after(at, null, () => world.pause(node, heals));
        break;
      case "split": {
        const side = new Set(world.nodes.filter(() => dice.chance(0.5)));
        world.time.after(at, null, () => cutBetween(world, side));
        world.time.after(at + heals, null, () => world.cut.clear());
        break;
      }
      case "link": {
        const other = dice.pick(world.nodes);
        world.time.after(at, null, () => world.cut.add(pair(node, other)));
        world.time.after(at + heals, null, () => world.cut.delete(pair(node, other)));
        break;
      }
    }
  }
  // Kills between two steps of the protocol, where a kill by the clock hardly ever hits.
  for (const node of world.nodes) {
    if (!dice.chance(0.3)) continue;
    node.killAtStep = dice.whole(1, 120);
    world.time.after(faultsUntil - 1, null, () => world.start(node));
  }
}

function cutBetween(world: World, side: ReadonlySet<SimNode>): void {
  for (const a of world.nodes) {
    for (const b of world.nodes) if (side.has(a) !== side.has(b)) world.cut.add(pair(a, b));
  }
}

function calmDown(world: World): void {
  world.cut.clear();
  for (const node of world.nodes) {
    node.killAtStep = null;
    world.start(node);
  }
}

/**
 * All are members of one cluster; or there are two, founded while nobody of the first was in sight (the
 * invariants see to that), and a fresh node between them waits and says so.
 */
export function isSettled(world: World): boolean {
  const clusters = new Set(world.nodes.map(({ durable }) => durable.certificate?.cluster));
  if (world.nodes.every(({ durable }) => durable.state === "member") && clusters.size === 1) return true;
  return (
    world.invariants.founded.length > 1 &&
    world.nodes.every(
      ({ durable, run }) => durable.state === "member" || (run?.membership.status().clusters.length ?? 0) > 1,
    )
  );
}

export function describe(world: World): string {
  return world.nodes
    .map(
      ({ name, durable, run }) => `${name} ${durable.state} (${run?.membership.status().waitingFor ?? ""})`,
    )
    .join(", ");
}
