import { doorStory } from "../door/door-story.ts";
import { allGuards } from "../journal/sim-world.ts";
import { allTroubles, restlessLease, story } from "../journal/story.ts";
import { runScenario, type Weather } from "../membership/scenario.ts";
import { type DiscoveryResult, DiscoveryWorld } from "./discovery-world.ts";
import { withFixedEntropy } from "./fixed-entropy.ts";
import { Invariant, type InvariantReport } from "./measures.ts";
import { type MeshChanges, type MeshResult, MeshWorld } from "./mesh-world.ts";
import type { SimOptions } from "./options.ts";
import { type Fault, Timeline } from "./timeline.ts";

/** More of them say nothing new, and take long: every datagram is heard by all. */
export const mostDiscovering = 32;
/** The same for the founding of a cluster, where everybody asks everybody. */
export const mostFounding = 24;
const journalStoryHours = 0.25;

export interface Report {
  readonly options: SimOptions;
  readonly faults: Readonly<Record<Fault["kind"], number>>;
  readonly mesh: MeshResult;
  readonly discovery: DiscoveryResult & { readonly nodes: number };
  readonly invariants: readonly InvariantReport[];
}

/** Everything for a number of virtual hours. */
export function simulate(options: SimOptions, changes: MeshChanges = {}): Promise<Report> {
  return withFixedEntropy(options.seed, async () => {
    const timeline = new Timeline(options);
    const mesh = await new MeshWorld(options, timeline, changes).run();
    const discovery = await discover(options);
    const formation = await found(options);
    const journal = await decide(options);
    const doors = await admit(options);
    const faults = { partition: 0, pause: 0, crash: 0, clock: 0 };
    for (const { kind } of timeline.faults) faults[kind] += 1;
    const invariants = [...mesh.invariants, ...discovery.invariants, formation, journal, doors];
    return { options, faults, mesh, discovery, invariants };
  });
}

/** The mesh alone, as curves need it. */
export function simulateMesh(options: SimOptions): Promise<MeshResult> {
  return withFixedEntropy(options.seed, () => new MeshWorld(options, new Timeline(options)).run());
}

async function discover(options: SimOptions): Promise<Report["discovery"]> {
  const nodes = Math.min(options.nodes, mostDiscovering);
  const fewer = { ...options, nodes };
  const result = await new DiscoveryWorld(fewer, new Timeline(fewer)).run();
  return { ...result, nodes };
}

/** Fresh nodes become a cluster, in every weather. */
async function found({ nodes, hours, seed }: SimOptions): Promise<InvariantReport> {
  const invariant = new Invariant("formation: one cluster, nobody claimed twice, all settle");
  const weathers: readonly Weather[] = ["calm", "rough", "hidden", "split"];
  for (let run = 0; run < Math.min(40, Math.max(4, 4 * hours)); run += 1) {
    const weather = weathers[run % weathers.length] ?? "calm";
    const size = Math.min(mostFounding, Math.max(weather === "hidden" ? 6 : 3, nodes));
    const { violation } = await runScenario({ seed: seed + run, weather, nodes: size });
    invariant.check(violation === null, () => `${weather}, seed ${seed + run}: ${violation}`);
  }
  return invariant.report();
}

/** Voters, lease and journal on simulated etcd, one story after the other. */
async function decide({ nodes, hours, seed }: SimOptions): Promise<InvariantReport> {
  const invariant = new Invariant("journal: decisions in order, each act once and by order of one holder");
  const voters = nodes >= 7 ? 5 : 3;
  const stories = Math.ceil(hours / journalStoryHours);
  for (let n = 0; n < stories; n += 1) {
    const troubledMs = Math.min(journalStoryHours, hours) * 3_600_000;
    const temper = n % 4 === 3 ? restlessLease : allTroubles;
    const { truth } = await story(seed + n, allGuards, temper, { nodes: voters, troubledMs });
    const [first] = truth.violations;
    invariant.check(first === undefined, () => `seed ${seed + n}: ${first?.text}`);
  }
  return invariant.report();
}

/** Members are admitted and removed while strangers knock. */
async function admit({ hours, seed }: SimOptions): Promise<InvariantReport> {
  const invariant = new Invariant("doors: only members reach the mesh, and no removed one returns");
  for (let n = 0; n < Math.min(40, Math.max(2, 4 * hours)); n += 1) {
    const { violations } = await doorStory(seed + n);
    const [first] = violations;
    invariant.check(first === undefined, () => `seed ${seed + n}: ${first?.text}`);
  }
  return invariant.report();
}
