// A daemon is ended with SIGKILL at two seeded steps of each operation, on real etcd and Ceph. All of the steps:
// npm run test:crash. A seed is replayed with CRASH_SEED.
import { expect, it } from "vitest";
import { Random } from "../support/virtual-time.ts";
import { type CrashPlan, crashTrial } from "./support/crash-trial.ts";
import { labSuite } from "./support/lab-suite.ts";

/** Operations, whose daemon is ended, and how many steps it takes for certain. */
const operations: readonly (Omit<CrashPlan, "step"> & { readonly steps: number })[] = [
  { operation: "formation", victim: "founder", steps: 60 },
  { operation: "formation", victim: "acceptor", steps: 12 },
  { operation: "claim", victim: "claimer", steps: 10 },
  { operation: "claim", victim: "claimed", steps: 20 },
  { operation: "bootstrap", victim: "node", steps: 40 },
  { operation: "bootstrap", victim: "node", steps: 80 },
  { operation: "monitor", victim: "holder", steps: 20 },
  { operation: "monitor", victim: "newcomer", steps: 20 },
  { operation: "disk", victim: "node", steps: 12 },
  { operation: "remove", victim: "node", steps: 12 },
  { operation: "replace", victim: "node", steps: 30 },
  { operation: "depart", victim: "holder", steps: 20 },
  { operation: "recover", victim: "survivor", steps: 25 },
];

const seed = Number(process.env.CRASH_SEED ?? Date.now() % 2 ** 31);

labSuite(`a daemon ended in the middle (CRASH_SEED=${seed})`, () => {
  const random = new Random(seed);
  const plans = operations.map(({ steps, ...plan }) => ({
    ...plan,
    step: 1 + Math.floor(random.next() * steps),
  }));

  it.each(plans)("$operation, $victim, step $step: completed, once", async (plan) => {
    const crashed = await crashTrial("crash", { ...plan, thorough: false });
    expect(crashed, "the operation was over before").toBeDefined();
  });
});
