import { enterArguments, nodeEnvironment } from "./enter.ts";
import { LabError } from "./lab-error.ts";
import type { LabHosts } from "./lab-hosts.ts";
import { capture, type RunResult } from "./run.ts";

export interface ExecOptions {
  /** Milliseconds; default 60 s. */
  readonly deadlineMs?: number;
  readonly input?: string;
}

/** Run a command on a node; whatever its exit code. */
export async function execOn(
  lab: LabHosts,
  node: string,
  command: readonly string[],
  options: ExecOptions = {},
): Promise<RunResult> {
  return capture("nsenter", enterArguments(lab.node(node).holder, command, "/"), {
    deadlineMs: options.deadlineMs ?? 60_000,
    env: nodeEnvironment(),
    ...(options.input === undefined ? {} : { input: options.input }),
  });
}

/** Run a command that must succeed; its standard output. Throws PROGRAM_FAILED with all that it said. */
export async function runOn(
  lab: LabHosts,
  node: string,
  command: readonly string[],
  options: ExecOptions = {},
): Promise<string> {
  const result = await execOn(lab, node, command, options);
  if (result.exitCode === 0) return result.stdout;
  const said = `${result.stdout}${result.stderr}`.trim();
  throw new LabError(
    "PROGRAM_FAILED",
    `${node}: ${command.join(" ")} ended with ${result.exitCode ?? "a signal"}\n${said}`,
  );
}

/** Run a command that must print JSON. */
export async function jsonOn(
  lab: LabHosts,
  node: string,
  command: readonly string[],
  options: ExecOptions = {},
): Promise<unknown> {
  const text = await runOn(lab, node, command, options);
  try {
    return JSON.parse(text);
  } catch (error) {
    const line = `${node}: ${command.join(" ")} printed no JSON: ${text.slice(0, 500)}`;
    throw new LabError("PROGRAM_FAILED", line, error);
  }
}
