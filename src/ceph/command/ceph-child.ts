import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Logger } from "pino";
import { MicrocephError } from "../../errors/microceph-error.ts";
import type { Json } from "../../ids/json.ts";
import { checkWords, parseOutput, quoteWords, refusalIn, refusedError } from "./words.ts";

export interface CephChildOptions {
  /** Program and arguments of a `ceph` that reads commands from its standard input and answers in JSON. */
  readonly argv: readonly [string, ...string[]];
  /** Most bytes of one answer; default 64 MiB. */
  readonly maxBytes?: number;
}

interface Call {
  readonly words: readonly string[];
  readonly deadlineAt: number;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (value: Json) => void;
  readonly reject: (error: MicrocephError) => void;
}

/** What a line of the child's standard output may be waited for with. */
interface Child {
  readonly process: ChildProcessWithoutNullStreams;
  /** Whole lines not yet taken. */
  lines: string[];
  rest: string;
  bytes: number;
  stderr: string;
  ended: string | null;
  wake: () => void;
}

/** Closes every command: its answer is one line of a known shape, so it marks the end of the one before. */
const sentinel = "osd stat";

/**
 * One long-lived `ceph -f json` that is fed commands over its standard input, one at a time: some 30 ms each
 * instead of 160 ms and a Python start. It is started when it is first needed, and killed and started again when a
 * command passes its deadline, because nothing else ends a command that waits for a quorum.
 */
export class CephChild {
  readonly #options: CephChildOptions;
  readonly #log: Logger;
  #queue: Call[] = [];
  #working: Promise<void> | undefined;
  #child: Child | undefined;
  #stopped = false;

  constructor(options: CephChildOptions, deps: { readonly log: Logger }) {
    this.#options = options;
    this.#log = deps.log;
  }

  /** Ends the child; calls in flight or waiting throw CANCELLED. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#kill();
    await this.#working;
  }

  /**
   * Run one command. Throws CEPH_UNREACHABLE (no monitor; nothing was run), CEPH_REFUSED (data.errno),
   * DEADLINE_EXCEEDED (data.begun says whether it may have been carried out: then re-read), CANCELLED, USAGE.
   */
  run(
    words: readonly string[],
    options: { readonly deadlineMs: number; readonly signal?: AbortSignal },
  ): Promise<Json> {
    try {
      checkWords(words);
    } catch (error) {
      return Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({
        words,
        deadlineAt: performance.now() + options.deadlineMs,
        signal: options.signal,
        resolve,
        reject,
      });
      this.#working ??= this.#work().finally(() => {
        this.#working = undefined;
      });
    });
  }

  async #work(): Promise<void> {
    for (;;) {
      const call = this.#queue.shift();
      if (!call) return;
      try {
        call.resolve(await this.#carryOut(call));
      } catch (error) {
        const known =
          error instanceof MicrocephError
            ? error
            : new MicrocephError("INTERNAL", "a Ceph command failed", { cause: error });
        call.reject(known);
        if (known.code !== "CEPH_UNREACHABLE") continue;
        // Those that wait would only wait for the same monitors.
        for (const waiting of this.#queue.splice(0)) waiting.reject(known);
      }
    }
  }

  async #carryOut(call: Call): Promise<Json> {
    const fresh = this.#child === undefined;
    const first = await this.#exchange(call);
    if (first.refusal?.message !== "invalid command" || fresh) return answer(call, first);
    // The child learnt the commands when it connected; a manager that came later brought its own.
    this.#kill();
    return answer(call, await this.#exchange(call));
  }

  async #exchange(call: Call): Promise<{ text: string; refusal: ReturnType<typeof refusalIn> }> {
    const child = await this.#connected(call);
    child.lines = [];
    child.stderr = "";
    child.bytes = 0;
    const line = quoteWords(call.words);
    const ownAnswer = line === sentinel;
    child.process.stdin.write(ownAnswer ? `${line}\n` : `${line}\n${sentinel}\n`);
    const taken: string[] = [];
    for (;;) {
      const next = await this.#line(child, call, true);
      taken.push(next);
      if (isSentinelAnswer(next)) break;
    }
    // Standard error was written before the last line, but comes through another pipe: one more look at both.
    await nextTurn();
    await nextTurn();
    const text = (ownAnswer ? taken : taken.slice(0, -1)).join("\n");
    return { text, refusal: refusalIn(child.stderr) };
  }

  /** The child once it has answered, so that a failure up to here means: nothing was run. */
  async #connected(call: Call): Promise<Child> {
    if (this.#child && this.#child.ended === null) return this.#child;
    if (this.#stopped) throw new MicrocephError("CANCELLED", "the daemon is stopping");
    const child = this.#spawn();
    this.#child = child;
    child.process.stdin.write(`${sentinel}\n`);
    while (!isSentinelAnswer(await this.#line(child, call, false)));
    return child;
  }

  #spawn(): Child {
    const [program, ...args] = this.#options.argv;
    const process = spawn(program, args, {
      cwd: "/",
      stdio: "pipe",
      env: {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        LANG: "C.UTF-8",
        PYTHONUNBUFFERED: "1",
      },
    });
    const child: Child = {
      process,
      lines: [],
      rest: "",
      bytes: 0,
      stderr: "",
      ended: null,
      wake: () => undefined,
    };
    const end = (reason: string): void => {
      child.ended ??= reason;
      if (this.#child === child) this.#child = undefined;
      child.wake();
    };
    process.on("error", (error: NodeJS.ErrnoException) =>
      end(error.code === "ENOENT" ? `${program} is not installed` : error.message),
    );
    // `close` and not `exit`: what it wrote last is read by then.
    process.on("close", (code, signal) => end(`ended with ${code ?? signal}`));
    process.stdin.on("error", () => undefined);
    process.stdout.setEncoding("utf8").on("data", (text: string) => {
      child.bytes += text.length;
      if (child.bytes > (this.#options.maxBytes ?? 64 * 1024 * 1024)) {
        process.kill("SIGKILL");
        end("answered more than the cap");
        return;
      }
      const parts = (child.rest + text).split("\n");
      child.rest = parts.pop() ?? "";
      child.lines.push(...parts.filter((line) => line.trim() !== ""));
      child.wake();
    });
    process.stderr.setEncoding("utf8").on("data", (text: string) => {
      child.stderr = (child.stderr + text).slice(-64 * 1024);
    });
    this.#log.debug({ pid: process.pid }, "started a ceph child");
    return child;
  }

  /** The next line, or what ended the wait. `begun`: the command was written to the child. */
  async #line(child: Child, call: Call, begun: boolean): Promise<string> {
    for (;;) {
      const line = child.lines.shift();
      if (line !== undefined) return line;
      const command = call.words.slice(0, 3).join(" ");
      if (this.#stopped || call.signal?.aborted) {
        this.#kill();
        throw new MicrocephError("CANCELLED", `\`ceph ${command}\` was cancelled`, {
          data: { command, begun },
        });
      }
      if (child.ended !== null) throw endedError(child, command, begun);
      const left = call.deadlineAt - performance.now();
      if (left <= 0) {
        this.#kill();
        throw new MicrocephError(
          "DEADLINE_EXCEEDED",
          begun
            ? `\`ceph ${command}\` did not answer in time; whether it was carried out is unknown`
            : `\`ceph ${command}\` was not begun in time: the monitors did not answer`,
          { data: { command, begun } },
        );
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        child.wake = (): void => {
          clearTimeout(timer);
          resolve();
        };
        call.signal?.addEventListener("abort", child.wake, { once: true });
        if (child.lines.length > 0 || child.ended !== null) child.wake();
      });
      call.signal?.removeEventListener("abort", child.wake);
    }
  }

  #kill(): void {
    const child = this.#child;
    this.#child = undefined;
    if (!child) return;
    child.ended ??= "killed";
    child.process.kill("SIGKILL");
    child.wake();
  }
}

function answer(call: Call, result: { text: string; refusal: ReturnType<typeof refusalIn> }): Json {
  if (result.refusal) throw refusedError(call.words, result.refusal);
  return parseOutput(result.text);
}

function endedError(child: Child, command: string, begun: boolean): MicrocephError {
  const data = { command, begun, ended: child.ended };
  if (child.ended?.endsWith("is not installed") || /failed to execute .*No such file/.test(child.stderr)) {
    return new MicrocephError("MISSING_PROGRAM", "the program ceph is not installed", { data });
  }
  if (begun) {
    const text = `\`ceph ${command}\` ended before its answer; whether it was carried out is unknown`;
    return new MicrocephError("DEADLINE_EXCEEDED", text, { data });
  }
  const words = child.stderr.trim().split("\n").slice(-2).join("; ").slice(0, 500);
  return new MicrocephError("CEPH_UNREACHABLE", `the monitors do not answer: ${words || child.ended}`, {
    data,
  });
}

function isSentinelAnswer(line: string): boolean {
  if (!line.startsWith('{"epoch":') || !line.includes('"num_up_osds"') || line.includes('"fsid"'))
    return false;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && "num_osds" in value;
  } catch {
    return false;
  }
}
