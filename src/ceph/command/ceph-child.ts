import { setImmediate as nextTurn } from "node:timers/promises";
import type { Logger } from "pino";
import { MicrocephError } from "../../errors/microceph-error.ts";
import type { Json } from "../../ids/json.ts";
import type { CephAhead } from "./ceph-ahead.ts";
import { CephProcess, type WaitEnd } from "./ceph-process.ts";
import { checkWords, parseOutput, quoteWords, type Refusal, refusalIn, refusedError } from "./words.ts";

export interface CephChildOptions {
  /** Program and arguments of a `ceph` that reads commands from its standard input and answers in JSON. */
  readonly argv: readonly [string, ...string[]];
  /** Most bytes of one answer; default 64 MiB. */
  readonly maxBytes?: number;
  /** Milliseconds that a question may stay unanswered before the child is given up; default 8 s. */
  readonly answerMs?: number;
  /** Where one may wait that was started before. */
  readonly ahead?: CephAhead;
}

export interface ChildCallOptions {
  /** Milliseconds, the wait for earlier commands included. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  /** A question: it always answers in JSON when it succeeds, so the answer itself shows its end: twice as fast. */
  readonly answers?: boolean;
}

interface Call {
  readonly words: readonly string[];
  readonly deadlineAt: number;
  readonly signal: AbortSignal | undefined;
  readonly answers: boolean;
  leaveQueue: () => void;
  readonly resolve: (value: Json) => void;
  readonly reject: (error: MicrocephError) => void;
}

interface Outcome {
  readonly text: string;
  readonly refusal: Refusal | undefined;
}

/**
 * Milliseconds that a child may take to start and connect, and to answer a question. A call that does not wait as
 * long leaves it alone, or on a slow machine none would ever get so far. A command that changes something is
 * ended at its deadline: it must not be carried out later.
 */
const connectMs = 60_000;
const answerMs = 8_000;

/** Most bytes of one answer. */
export const mostBytes = 64 * 1024 * 1024;

/** Closes commands that may answer nothing: its answer has a known shape and so marks the end of the one before. */
const sentinel = "osd stat";

/**
 * One long-lived `ceph -f json` that is fed commands over its standard input, one at a time: some 30 ms each
 * instead of 160 ms and a Python start. Commands that change something come before questions that wait. It is
 * started when it is first needed, and killed and started again when a command that changes something passes its
 * deadline, or a question is not answered for long, because nothing else ends a command that waits for a quorum.
 */
export class CephChild {
  readonly #options: CephChildOptions;
  readonly #log: Logger;
  #queue: Call[] = [];
  #working: Promise<void> | undefined;
  #process: CephProcess | undefined;
  /** What the child has still to say before it takes another command, and until when it is waited for. */
  #owes: { readonly look: () => unknown; readonly by: number } | null = null;
  #stopped = false;

  constructor(options: CephChildOptions, deps: { readonly log: Logger }) {
    this.#options = options;
    this.#log = deps.log;
  }

  /** Ends the child; calls in flight or waiting throw CANCELLED. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const call of this.#queue.splice(0)) {
      call.leaveQueue();
      call.reject(stoppingError());
    }
    this.#process?.kill();
    await this.#working;
  }

  /** Go on with a new child, which reads ceph.conf anew. A call in flight ends as unanswered. */
  reconnect(): void {
    this.#process?.kill();
  }

  /**
   * Run one command. Throws CEPH_UNREACHABLE (no monitor; nothing was run), CEPH_REFUSED (data.errno),
   * DEADLINE_EXCEEDED (data.begun says whether it may have been carried out: then re-read), CANCELLED, USAGE.
   */
  run(words: readonly string[], options: ChildCallOptions): Promise<Json> {
    return new Promise((resolve, reject) => {
      checkWords(words);
      if (this.#stopped) throw stoppingError();
      const call: Call = {
        words,
        deadlineAt: performance.now() + options.deadlineMs,
        signal: options.signal,
        answers: options.answers ?? false,
        leaveQueue: () => undefined,
        resolve,
        reject,
      };
      this.#enter(call, options.deadlineMs);
      this.#working ??= this.#work();
    });
  }

  /** A call that waits for others has its own deadline and signal already. */
  #enter(call: Call, deadlineMs: number): void {
    const giveUp = (): void => {
      call.leaveQueue();
      this.#queue = this.#queue.filter((each) => each !== call);
      call.reject(endError(call, call.signal?.aborted ? "aborted" : "late", false));
    };
    const timer = setTimeout(giveUp, deadlineMs);
    call.signal?.addEventListener("abort", giveUp, { once: true });
    call.leaveQueue = (): void => {
      clearTimeout(timer);
      call.signal?.removeEventListener("abort", giveUp);
    };
    // What changes something has waited for its decision, and must be done by its deadline: questions can wait.
    const first = call.answers ? -1 : this.#queue.findIndex(({ answers }) => answers);
    this.#queue.splice(first < 0 ? this.#queue.length : first, 0, call);
    if (call.signal?.aborted) giveUp();
  }

  async #work(): Promise<void> {
    // A turn later, so that `#working` is set before it is cleared.
    await nextTurn();
    for (;;) {
      const call = this.#queue.shift();
      if (!call) {
        // In the same turn as the look at the queue, or a call that comes next would wait for ever.
        this.#working = undefined;
        return;
      }
      call.leaveQueue();
      // Who waits with the same question now is answered with it: the answer will be younger than their asking.
      const line = quoteWords(call.words);
      const twins = call.answers
        ? this.#queue.filter(({ answers, words }) => answers && quoteWords(words) === line)
        : [];
      try {
        const value = await this.#carryOut(call);
        call.resolve(value);
        for (const twin of twins.filter((each) => this.#queue.includes(each))) {
          this.#queue = this.#queue.filter((each) => each !== twin);
          twin.leaveQueue();
          twin.resolve(value);
        }
      } catch (error) {
        const known =
          error instanceof MicrocephError
            ? error
            : new MicrocephError("INTERNAL", "a Ceph command failed", { cause: error });
        call.reject(known);
        if (known.code !== "CEPH_UNREACHABLE") continue;
        // Those that wait would only wait for the same monitors.
        for (const waiting of this.#queue.splice(0)) {
          waiting.leaveQueue();
          waiting.reject(known);
        }
      }
    }
  }

  async #carryOut(call: Call): Promise<Json> {
    const fresh = this.#process === undefined || this.#process.ended !== null;
    let outcome = await this.#exchange(call);
    if (outcome.refusal?.message === "invalid command" && !fresh) {
      // The child learnt the commands when it connected; a manager that came later brought its own.
      this.#process?.kill();
      outcome = await this.#exchange(call);
    }
    if (outcome.refusal) throw refusedError(call.words, outcome.refusal);
    return parseOutput(outcome.text);
  }

  async #exchange(call: Call): Promise<Outcome> {
    const process = await this.#ready(call);
    process.clear();
    const line = quoteWords(call.words);
    if (call.answers || line === sentinel) {
      process.write(`${line}\n`);
      const look = (): Outcome | undefined => answeredIn(process);
      this.#owes = { look, by: performance.now() + (this.#options.answerMs ?? answerMs) };
      const outcome = await this.#until(process, call, true, look);
      this.#owes = null;
      return outcome;
    }
    process.write(`${line}\n${sentinel}\n`);
    const text = await this.#until(process, call, true, () =>
      isSentinelAnswer(process.lines.at(-1)) ? process.lines.slice(0, -1).join("\n") : undefined,
    );
    // Standard error was written before the last line, but comes through another pipe: one more look at both.
    await nextTurn();
    await nextTurn();
    return { text, refusal: refusalIn(process.stderr) };
  }

  /** The child once it has said all that it owes, so that a failure up to here means: nothing was run. */
  async #ready(call: Call): Promise<CephProcess> {
    const process = this.#process?.ended === null ? this.#process : this.#start();
    if (this.#owes === null) return process;
    const { look, by } = this.#owes;
    const waited = await process.until(look, Math.min(by, call.deadlineAt), call.signal);
    if ("found" in waited) {
      this.#owes = null;
      return process;
    }
    if (waited.end === "late" && performance.now() < call.deadlineAt) {
      // It has owed that for too long: this call still has time for another child.
      process.kill();
      return this.#ready(call);
    }
    throw this.#givenUp(process, call, false, waited.end);
  }

  #start(): CephProcess {
    const { argv, maxBytes = mostBytes, ahead } = this.#options;
    const process = ahead?.take(argv) ?? new CephProcess(argv, maxBytes);
    this.#process = process;
    this.#owes = {
      look: () => process.lines.find(isSentinelAnswer),
      by: performance.now() + connectMs,
    };
    this.#log.debug({ pid: process.pid }, "started a ceph child");
    process.write(`${sentinel}\n`);
    return process;
  }

  /** `begun`: the command itself was written to the child. */
  async #until<T>(process: CephProcess, call: Call, begun: boolean, look: () => T | undefined): Promise<T> {
    const waited = await process.until(look, call.deadlineAt, call.signal);
    if ("found" in waited) return waited.found;
    throw this.#givenUp(process, call, begun, waited.end);
  }

  /** Why a call ends without its answer. The child is ended, too, unless it may take longer for what it owes. */
  #givenUp(process: CephProcess, call: Call, begun: boolean, end: WaitEnd): MicrocephError {
    const { ended } = process;
    const isAwaited = end !== "ended" && performance.now() < (this.#owes?.by ?? 0);
    if (!isAwaited || this.#stopped) process.kill();
    if (this.#stopped) return stoppingError();
    if (end !== "ended" || begun) return endError(call, end, begun);
    if (/ENOENT$|failed to execute .*No such file/.test(`${process.stderr.trim()}${ended}`)) {
      return new MicrocephError("MISSING_PROGRAM", "the program ceph is not installed");
    }
    const words = process.stderr.trim().split("\n").slice(-2).join("; ").slice(0, 500);
    return new MicrocephError("CEPH_UNREACHABLE", `the monitors do not answer: ${words || ended}`);
  }
}

/** The whole answer of a command that always answers: JSON, or an error. */
function answeredIn(process: CephProcess): Outcome | undefined {
  const refusal = refusalIn(process.stderr);
  if (refusal && process.stderr.endsWith("\n")) return { text: "", refusal };
  const text = process.lines.join("\n");
  if (text === "") return undefined;
  try {
    JSON.parse(text);
    return { text, refusal: undefined };
  } catch {
    return undefined;
  }
}

function stoppingError(): MicrocephError {
  return new MicrocephError("CANCELLED", "the daemon is stopping");
}

function endError(call: Call, end: WaitEnd, begun: boolean): MicrocephError {
  const command = call.words.slice(0, 3).join(" ");
  const outcome = begun ? "whether it was carried out is unknown" : "it was not begun";
  const data = { command, begun };
  if (end === "aborted") {
    return new MicrocephError("CANCELLED", `\`ceph ${command}\` was cancelled; ${outcome}`, { data });
  }
  return new MicrocephError("DEADLINE_EXCEEDED", `\`ceph ${command}\` had no answer in time; ${outcome}`, {
    data,
  });
}

function isSentinelAnswer(line: string | undefined): boolean {
  if (!line?.startsWith('{"epoch":') || !line.includes('"num_up_osds"')) return false;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && "num_osds" in value;
  } catch {
    return false;
  }
}
