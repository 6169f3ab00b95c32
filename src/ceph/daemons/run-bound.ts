import { isMicrocephError, MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { RunOptions, RunResult } from "../../process/run-program.ts";
import type { DaemonDeps } from "./deps.ts";

/**
 * Run a program that is killed by the kernel when this process dies, so that a next run never meets it still
 * writing (prctl(2), PR_SET_PDEATHSIG). Throws as `runProgram`.
 */
export async function runBound(
  deps: Pick<DaemonDeps, "run">,
  program: string,
  args: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  try {
    return await deps.run("setpriv", ["--pdeathsig", "KILL", program, ...args], options);
  } catch (error) {
    if (
      isMicrocephError(error, "PROGRAM_FAILED") &&
      /failed to execute .*No such file/.test(messageOf(error))
    ) {
      throw new MicrocephError("MISSING_PROGRAM", `${program} is not installed`, { data: { program } });
    }
    throw error;
  }
}
