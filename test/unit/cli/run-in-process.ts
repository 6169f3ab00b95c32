import type { CliIo, Output } from "../../../src/cli/io.ts";
import { runCli } from "../../../src/cli/program.ts";

class Recorder implements Output {
  text = "";
  readonly isTTY: boolean;
  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }
  write(text: string): void {
    this.text += text;
  }
}

/** A terminal and a clock that the test holds. */
export class TestIo implements CliIo {
  readonly stdout: Recorder;
  readonly stderr: Recorder;
  readonly env: Record<string, string | undefined>;
  readonly interrupt = new AbortController();
  readonly signal = this.interrupt.signal;
  readonly tickers = new Set<() => void>();
  clock = 0;
  /** What a person answers, one after the other; then the input has ended. */
  answers: string[] = [];
  /** Run at each pause. */
  onPause: (ms: number) => void = () => undefined;

  constructor(
    options: {
      readonly stdoutTTY?: boolean;
      readonly stderrTTY?: boolean;
      readonly env?: Record<string, string>;
    } = {},
  ) {
    this.stdout = new Recorder(options.stdoutTTY ?? false);
    this.stderr = new Recorder(options.stderrTTY ?? false);
    this.env = { ...options.env };
  }

  now(): number {
    return this.clock;
  }
  async pause(ms: number): Promise<void> {
    this.clock += ms;
    this.onPause(ms);
  }
  async ask(question: string): Promise<string | null> {
    this.stderr.write(question);
    return this.answers.shift() ?? null;
  }
  every(_ms: number, run: () => void): () => void {
    this.tickers.add(run);
    return () => this.tickers.delete(run);
  }
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Run the real program in this process. */
export async function microceph(
  stateDir: string,
  line: string | readonly string[],
  io = new TestIo(),
): Promise<Outcome> {
  const args = typeof line === "string" ? line.split(" ").filter(Boolean) : line;
  const code = await runCli(["--state-dir", stateDir, ...args], io);
  return { code, stdout: io.stdout.text, stderr: io.stderr.text };
}
