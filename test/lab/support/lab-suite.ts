import { existsSync } from "node:fs";
import { describe, it } from "vitest";
import { isRootless } from "../../../scripts/lab/machine.ts";

/** Why lab tests cannot run here, or undefined. scripts/test.ts says it when no machine could be made. */
export function labObstacle(): string | undefined {
  if (process.getuid?.() !== 0) {
    return process.env.MICROCEPH_LAB_OBSTACLE ?? "needs root, or: npm test -- --project lab";
  }
  const missing = ["ceph-mon", "ceph-osd", "ceph-mgr", "ceph-mds", "ceph", "etcd", "nsenter", "ip"].find(
    (program) => !["/usr/bin", "/usr/sbin", "/bin", "/sbin"].some((dir) => existsSync(`${dir}/${program}`)),
  );
  return missing === undefined ? undefined : `${missing} is not installed`;
}

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
