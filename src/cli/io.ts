/** Where text goes. */
export interface Output {
  write(text: string): void;
  readonly isTTY: boolean;
}

/** The world around the program, so that tests run it in-process. */
export interface CliIo {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Milliseconds on a clock that never steps back. */
  now(): number;
  /** Resolves after so many milliseconds, or at once when the signal aborts. */
  pause(ms: number): Promise<void>;
  /** Ask a person, or whoever writes to standard input: one line without its end; null when the input has ended. */
  ask(question: string): Promise<string | null>;
  /** Call again and again until the result is called. */
  every(ms: number, run: () => void): () => void;
}
