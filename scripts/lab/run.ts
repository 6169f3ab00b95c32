import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { LabError } from "./lab-error.ts";

export interface RunOptions {
  /** Milliseconds after which the program is killed; default 20 s. */
  readonly deadlineMs?: number;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface RunResult {
  /** 128 + signal number is not used: a killed program has null. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const outputLimit = 64 * 1024 * 1024;

/** Run a program to its end and hand back what it said, whatever its exit code. Throws MISSING_PROGRAM, DEADLINE_EXCEEDED. */
export async function capture(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const deadlineMs = options.deadlineMs ?? 20_000;
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args], {
      stdio: "pipe",
      ...(options.env ? { env: { ...options.env } } : {}),
      ...(options.signal ? { signal: options.signal, killSignal: "SIGKILL" as const } : {}),
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let size = 0;
    let late = false;
    const keep = (list: Buffer[]) => (chunk: Buffer) => {
      size += chunk.length;
      if (size <= outputLimit) list.push(chunk);
    };
    child.stdout.on("data", keep(out));
    child.stderr.on("data", keep(err));
    // A program that ends without reading its input closes the pipe: that is its own affair.
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input ?? "");
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
      // A grandchild may hold the pipes open for ever.
      child.stdout.destroy();
      child.stderr.destroy();
    }, deadlineMs);
    child.on("error", (error) => {
      clearTimeout(timer);
      const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
      reject(
        missing
          ? new LabError("MISSING_PROGRAM", `${program} is not installed; run: npm run setup`, error)
          : error,
      );
    });
    child.on("close", (exitCode) => {
      clearTimeout(timer);
      const stdout = Buffer.concat(out).toString();
      const stderr = Buffer.concat(err).toString();
      if (late) {
        const line = [program, ...args].join(" ").slice(0, 200);
        reject(
          new LabError("DEADLINE_EXCEEDED", `no end in ${deadlineMs} ms: ${line}\n${stdout}${stderr}`.trim()),
        );
      } else resolve({ exitCode, stdout, stderr });
    });
  });
}

/** Run a program that must succeed; its standard output. Throws PROGRAM_FAILED with its last lines. */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const result = await capture(program, args, options);
  if (result.exitCode !== 0) {
    const said = (result.stderr || result.stdout).trim().split("\n").slice(-5).join("\n");
    throw new LabError(
      "PROGRAM_FAILED",
      `${program} ${args.join(" ").slice(0, 200)} ended with ${result.exitCode ?? "a signal"}: ${said}`,
    );
  }
  return result.stdout;
}

/** Absolute path of a program in PATH. Throws MISSING_PROGRAM. */
export function findProgram(name: string): string {
  const dirs = `${process.env.PATH ?? ""}:/usr/sbin:/usr/bin:/sbin:/bin`
    .split(":")
    .filter((dir) => dir !== "");
  const found = dirs.map((dir) => join(dir, name)).find((path) => existsSync(path));
  if (found === undefined)
    throw new LabError("MISSING_PROGRAM", `${name} is not installed; run: npm run setup`);
  return found;
}
