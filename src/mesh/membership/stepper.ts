import type { Logger } from "pino";
import { messageOf } from "../../errors/microceph-error.ts";
import type { Clock } from "./clock.ts";
import { protocolTimes } from "./settings.ts";

export interface StepperDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Act on the facts of this moment; the answer is when to step again without an event, or null. */
  readonly step: () => number | null;
}

/** Steps on every event and at the time that the last step named, never one step inside another. */
export class Stepper {
  readonly #deps: StepperDeps;
  readonly #running = new Set<Promise<void>>();
  #cancelTimer: (() => void) | null = null;
  #started = false;
  #stepping = false;
  #again = false;

  constructor(deps: StepperDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#started = true;
    this.wake();
  }

  /** Waits for what runs in the background. */
  async stop(): Promise<void> {
    this.#started = false;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    await Promise.allSettled(this.#running);
  }

  wake(): void {
    if (!this.#started) return;
    if (this.#stepping) {
      this.#again = true;
      return;
    }
    this.#stepping = true;
    let wakeAt: number | null = null;
    try {
      do {
        this.#again = false;
        wakeAt = this.#deps.step();
      } while (this.#again);
    } catch (error) {
      this.#deps.log.error({ reason: messageOf(error) }, "a step of membership failed");
      wakeAt = this.#deps.clock.now() + protocolTimes.retryMs;
    } finally {
      this.#stepping = false;
    }
    this.#cancelTimer?.();
    const { clock } = this.#deps;
    this.#cancelTimer =
      wakeAt === null ? null : clock.after(Math.max(1, wakeAt - clock.now()), () => this.wake());
  }

  /** Run something in the background; a failure is logged. */
  background(what: string, run: () => Promise<void>): void {
    const promise = run()
      .catch((error: unknown) => {
        this.#deps.log.debug({ what, reason: messageOf(error) }, "background work failed");
      })
      .finally(() => this.#running.delete(promise));
    this.#running.add(promise);
  }
}
