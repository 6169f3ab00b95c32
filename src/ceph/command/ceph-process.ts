import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { programEnvironment, pythonFinds } from "../../process/program-environment.ts";

/** What ended a wait without what was waited for. */
export type WaitEnd = "late" | "aborted" | "ended";

/**
 * A running `ceph` whose standard input takes commands: its whole output lines, its standard error, and
 * waiting for something in them.
 */
export class CephProcess {
  /** Lines of standard output that are not blank, since the last `clear`. */
  lines: string[] = [];
  /** Standard error since the last `clear`, its last 64 KiB. */
  stderr = "";
  /** Why it ended; null while it runs. */
  ended: string | null = null;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #maxBytes: number;
  #rest = "";
  #bytes = 0;
  #wake: () => void = () => undefined;

  constructor(
    argv: readonly [string, ...string[]],
    maxBytes: number,
    environment: Readonly<Record<string, string>> = {},
  ) {
    const [program, ...args] = argv;
    this.#maxBytes = maxBytes;
    this.#process = spawn(program, args, {
      cwd: "/",
      stdio: "pipe",
      // Its Python finds sitecustomize.py there, which makes each command ten times cheaper.
      env: {
        ...programEnvironment(),
        ...pythonFinds(import.meta.dirname),
        PYTHONUNBUFFERED: "1",
        ...environment,
      },
    });
    this.#process.on("error", (error) => this.#end(error.message));
    // `close` and not `exit`: what it wrote last is read by then.
    this.#process.on("close", (code, signal) => this.#end(`ended with ${code ?? signal}`));
    this.#process.stdin.on("error", () => undefined);
    this.#process.stdout.setEncoding("utf8").on("data", (text: string) => this.#take(text));
    this.#process.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderr = (this.stderr + text).slice(-64 * 1024);
      this.#wake();
    });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Forget what was read, before the next command. */
  clear(): void {
    this.lines = [];
    this.stderr = "";
    this.#bytes = 0;
  }

  write(text: string): void {
    this.#process.stdin.write(text);
  }

  kill(): void {
    this.#process.kill("SIGKILL");
    this.#end("killed");
  }

  /** Wait until `look` finds something in the output. `deadlineAt` is on the clock of `performance.now()`. */
  async until<T>(
    look: () => T | undefined,
    deadlineAt: number,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly found: T } | { readonly end: WaitEnd }> {
    for (;;) {
      const found = look();
      if (found !== undefined) return { found };
      if (this.ended !== null) return { end: "ended" };
      if (signal?.aborted) return { end: "aborted" };
      const left = deadlineAt - performance.now();
      if (left <= 0) return { end: "late" };
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          signal?.removeEventListener("abort", done);
          resolve();
        };
        const timer = setTimeout(done, left);
        signal?.addEventListener("abort", done, { once: true });
        this.#wake = done;
      });
    }
  }

  #take(text: string): void {
    this.#bytes += text.length;
    if (this.#bytes > this.#maxBytes) {
      this.#process.kill("SIGKILL");
      this.#end(`answered more than ${this.#maxBytes} bytes`);
      return;
    }
    const parts = (this.#rest + text).split("\n");
    this.#rest = parts.pop() ?? "";
    this.lines.push(...parts.filter((line) => line.trim() !== ""));
    this.#wake();
  }

  #end(reason: string): void {
    this.ended ??= reason;
    this.#wake();
  }
}
