import type { Logger } from "pino";
import { messageOf } from "../errors/microceph-error.ts";
import type { runProgram } from "../process/run-program.ts";

/** snapd looks for refreshes some four times a day; no event tells us of one. */
const everyMs = 60 * 60_000;
const deadlineMs = 30_000;

/** The version that snapd has ready for this snap, by `snapctl refresh --pending`; null when there is none. */
export function pendingVersion(text: string): string | null {
  const value = (key: string): string | undefined =>
    new RegExp(`^${key}: *["']?([^"'\\s]{1,64})["']?$`, "m").exec(text)?.[1];
  const pending = value("pending");
  if (pending !== "ready" && pending !== "inhibited") return null;
  return value("version") ?? "a newer version";
}

/**
 * Whether snapd is about to refresh the snap that this daemon is in. That refreshes are held (`snap refresh --hold`) is
 * not told to a snap: what is ready stays so then, and a person decides.
 */
export class SnapRefresh {
  readonly #run: typeof runProgram;
  readonly #log: Logger;
  readonly #onChange: () => void;
  readonly #abort = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #pending: string | null = null;

  constructor(deps: {
    readonly run: typeof runProgram;
    readonly log: Logger;
    readonly onChange: () => void;
  }) {
    this.#run = deps.run;
    this.#log = deps.log;
    this.#onChange = deps.onChange;
  }

  get pending(): string | null {
    return this.#pending;
  }

  start(): void {
    const look = (): void => {
      this.#looking = this.#look();
    };
    look();
    this.#timer = setInterval(look, everyMs);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#abort.abort();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const before = this.#pending;
    try {
      const { signal } = this.#abort;
      const { stdout } = await this.#run("snapctl", ["refresh", "--pending"], { deadlineMs, signal });
      this.#pending = pendingVersion(stdout);
    } catch (error) {
      this.#log.debug({ error: messageOf(error) }, "snapd does not say whether it has a refresh");
      return;
    }
    if (this.#pending !== before) this.#onChange();
  }
}
