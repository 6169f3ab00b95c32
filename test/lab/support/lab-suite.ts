import { existsSync } from "node:fs";
import { describe } from "vitest";

/** Why lab tests cannot run here, or undefined. */
export function labObstacle(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  const missing = ["ceph-mon", "ceph-osd", "ceph-mgr", "etcd", "nsenter", "ip"].find(
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
