// A daemon is ended with SIGKILL at a seeded step of every operation, on real etcd and Ceph. At all of the steps:
// npm run test:crash. Other steps: CRASH_SEED=N.
import { expect, it } from "vitest";
import { crashPlans, crashSeed } from "./support/crash-plans.ts";
import { crashTrial } from "./support/crash-trial.ts";
import { labSuite } from "./support/lab-suite.ts";

labSuite(`a daemon ended in the middle (CRASH_SEED=${crashSeed})`, () => {
  it.each(crashPlans())("$operation, $victim, step $step: completed, once", async (plan) => {
    const crashed = await crashTrial("crash", plan);
    expect(crashed, "the operation was over before").toBeDefined();
  });
});
