import { signal } from "./processes.ts";

/** Whether this process runs in the machine of a user who is not root (machine.sh). */
export function isRootless(environment: NodeJS.ProcessEnv = process.env): boolean {
  return environment.MICROCEPH_LAB_ROOTLESS === "1";
}

/** Tell the machine's init that the last lab is gone: it ends when nobody is inside any more. */
export function endMachine(): void {
  if (isRootless()) signal(1, "SIGTERM");
}
