import { monitorEventLoopDelay } from "node:perf_hooks";
import { type LoopDelay, type LoopState, loopAtEase, nextLoopState } from "./loop-slow.ts";

/** Milliseconds between the timer's turns, of which the histogram tells how late each was. */
const resolutionMs = 100;
/** Milliseconds of a window. No event tells that time went by. */
const windowMs = 10_000;

/** How late the event loop is, in windows of ten seconds. */
export class LoopWatch {
  readonly #histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  readonly #onChange: () => void;
  #timer: NodeJS.Timeout | undefined;
  #state: LoopState = loopAtEase;
  #delay: LoopDelay | null = null;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  start(): void {
    this.#histogram.enable();
    this.#timer = setInterval(() => this.#endWindow(), windowMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#histogram.disable();
  }

  /** Of the last whole window; of the one that runs until there is one. */
  get delay(): LoopDelay | null {
    return this.#delay ?? this.#read();
  }

  get slow(): boolean {
    return this.#state.slow;
  }

  #endWindow(): void {
    const delay = this.#read();
    this.#histogram.reset();
    if (delay === null) return;
    this.#delay = delay;
    const before = this.#state.slow;
    this.#state = nextLoopState(this.#state, delay);
    if (this.#state.slow !== before) this.#onChange();
  }

  /** The histogram has the time between turns; what is over the resolution is the delay. */
  #read(): LoopDelay | null {
    const histogram = this.#histogram;
    if (histogram.count === 0) return null;
    const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - resolutionMs / 1000);
    return {
      p50: late(histogram.percentile(50)),
      p99: late(histogram.percentile(99)),
      max: late(histogram.max),
    };
  }
}
