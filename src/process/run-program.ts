import { execa } from "execa";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { Program } from "./programs.ts";

export interface RunOptions {
  /** Milliseconds after which the program is killed. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  /** Text for its standard input. */
  readonly input?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Texts replaced by `***` in every error message. */
  readonly secrets?: readonly string[];
  /** Exit codes that are no failure; default only 0. */
  readonly okCodes?: readonly number[];
}

export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const outputLimit = 16 * 1024 * 1024;

/**
 * Run a program to its end with an argument array, a deadline and an output cap.
 * Throws MISSING_PROGRAM, DEADLINE_EXCEEDED, CANCELLED or PROGRAM_FAILED (data: program, exitCode, stderr).
 */
export async function runProgram(
  program: Program,
  args: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  const redact = (text: string): string =>
    (options.secrets ?? []).reduce(
      (all, secret) => (secret === "" ? all : all.replaceAll(secret, "***")),
      text,
    );
  const result = await execa(program, args, {
    reject: false,
    // What is left of a lease is no whole number, and execa takes nothing else.
    timeout: Math.max(1, Math.ceil(options.deadlineMs)),
    forceKillAfterDelay: 2000,
    maxBuffer: outputLimit,
    stripFinalNewline: true,
    ...(options.signal ? { cancelSignal: options.signal } : {}),
    ...(options.cwd ? { cwd: options.cwd } : {}),
    ...(options.env ? { env: options.env } : {}),
    ...(options.input === undefined ? { stdin: "ignore" as const } : { input: options.input }),
  });
  if ("code" in result && result.code === "ENOENT") {
    throw new MicrocephError("MISSING_PROGRAM", `${program} is not installed`, { data: { program } });
  }
  if (result.timedOut) {
    throw new MicrocephError("DEADLINE_EXCEEDED", `${program} did not finish in ${options.deadlineMs} ms`, {
      data: { program, deadlineMs: options.deadlineMs },
    });
  }
  if (result.isCanceled)
    throw new MicrocephError("CANCELLED", `${program} was cancelled`, { data: { program } });
  const exitCode = result.exitCode;
  const stderr = redact(String(result.stderr ?? ""));
  if (exitCode === undefined || !(options.okCodes ?? [0]).includes(exitCode)) {
    const ending =
      exitCode === undefined ? `was killed by ${result.signal ?? "a signal"}` : `ended with ${exitCode}`;
    const lastLines = stderr.split("\n").slice(-6).join("\n");
    throw new MicrocephError("PROGRAM_FAILED", `${program} ${ending}${lastLines ? `: ${lastLines}` : ""}`, {
      data: { program, exitCode: exitCode ?? null, stderr: stderr.slice(-4000) },
    });
  }
  return { exitCode, stdout: String(result.stdout ?? ""), stderr };
}
