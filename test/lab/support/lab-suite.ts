import { describe } from "vitest";
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
