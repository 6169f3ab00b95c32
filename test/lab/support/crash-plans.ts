import { Random } from "../../support/virtual-time.ts";
import type { CrashPlan } from "./crash-trial.ts";

/** An operation, whose daemon is ended, and how many steps it takes for certain. */
type Ending = Omit<CrashPlan, "step"> & { readonly steps: number };

/** Two of every operation that makes a cluster or grows it, one of each other. */
const endings: readonly Ending[] = [
  { operation: "formation", victim: "founder", steps: 60 },
  { operation: "formation", victim: "acceptor", steps: 12 },
  { operation: "claim", victim: "claimer", steps: 10 },
  { operation: "claim", victim: "claimed", steps: 12 },
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

/** The same in every run, so that a change is judged by what it changes; another one is asked for by its number. */
export const crashSeed = Number(process.env.CRASH_SEED ?? 1);

/** A step for each ending, as the seed has it. */
export function crashPlans(): readonly CrashPlan[] {
  const random = new Random(crashSeed);
  return endings.map(({ steps, ...plan }) => ({
    ...plan,
    step: 1 + Math.floor(random.next() * steps),
    thorough: false,
  }));
}
