import { spawnSync } from "node:child_process";
import { join } from "node:path";

const maker = join(import.meta.dirname, "make-cache.ts");

/**
 * Make NAME.cache of a program NAME.js by a run with `args`, which should use what most runs use and reach for nothing
 * outside. V8 refuses the cache under options of its own that change what is compiled.
 */
export function makeCache(program: string, args: readonly string[]): void {
  const cache = program.replace(/\.js$/, ".cache");
  const made = spawnSync(process.execPath, ["--predictable", maker, program, cache, ...args], {
    // What the environment says would change the run, and so the bytes.
    env: {},
    stdio: "ignore",
    timeout: 120_000,
  });
  if (made.status !== 0) throw new Error(`no code cache of ${program}`, { cause: made.error });
}
