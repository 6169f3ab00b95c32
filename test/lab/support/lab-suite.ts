import { describe, it } from "vitest";
import { isRootless } from "../../../scripts/lab/machine.ts";
import { labObstacle } from "./lab-obstacle.ts";

/**
 * A suite of lab tests; where no lab can be made it is skipped and its name says why. With CI=true that is a
 * failure: a pipeline must not pass because it tested nothing.
 */
export function labSuite(name: string, tests: () => void): void {
  const obstacle = labObstacle();
  if (obstacle !== undefined && process.env.CI === "true") {
    throw new Error(`${name}: lab tests cannot run here (${obstacle}), and CI=true asks for all of them`);
  }
  describe.skipIf(obstacle !== undefined)(
    obstacle === undefined ? name : `${name} (skipped: ${obstacle})`,
    tests,
  );
}

/** A test of something that only root of the whole machine has; rootless it is skipped and its name says why. */
export function rootTest(name: string, needed: string, test: () => Promise<void>): void {
  const rootless = isRootless();
  it.skipIf(rootless)(rootless ? `${name} (skipped: ${needed} need root)` : name, test);
}
