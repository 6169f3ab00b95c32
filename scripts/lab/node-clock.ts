import { existsSync, globSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LabError } from "./lab-error.ts";
import type { NodeFiles } from "./layout.ts";

/** Holds how far the node's clock is ahead, as libfaketime reads it before each answer. */
function offsetFile(files: NodeFiles): string {
  return join(files.dir, "clock");
}

/** Set how many seconds the clock that the daemon and its children see is ahead of the machine's. */
export function setClock(files: NodeFiles, seconds: number): void {
  writeFileSync(offsetFile(files), `${seconds < 0 ? "" : "+"}${seconds}\n`);
}

/**
 * What makes a daemon see a clock of its own: the time of day has no namespace, so libfaketime stands between it
 * and the kernel. The monotonic clock is left alone: no step of a clock moves it on a real host either.
 */
export function clockEnvironment(files: NodeFiles): Record<string, string> {
  const [library] = globSync("/usr/lib/*/faketime/libfaketimeMT.so.1");
  if (library === undefined) {
    throw new LabError("MISSING_PROGRAM", "libfaketime is not installed; run: npm run setup");
  }
  if (!existsSync(offsetFile(files))) setClock(files, 0);
  return {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: offsetFile(files),
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    DONT_FAKE_MONOTONIC: "1",
  };
}
