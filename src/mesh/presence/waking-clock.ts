/**
 * Time during which this node was awake. It stands still while the node does and is slow while the node is: of a
 * longer gap between two ticks it counts one tick.
 */
export class WakingClock {
  readonly #tickMs: number;
  #awake = 0;
  #tickedAt: number | undefined;

  constructor(tickMs: number) {
    this.#tickMs = tickMs;
  }

  /** Milliseconds. */
  get now(): number {
    return this.#awake;
  }

  /** By how many milliseconds this tick is late, 0 when it is not or the wall clock was set back. */
  tick(now: number): number {
    const elapsed = Math.max(0, now - (this.#tickedAt ?? now));
    this.#tickedAt = now;
    const isLate = elapsed > 2 * this.#tickMs;
    this.#awake += isLate ? this.#tickMs : elapsed;
    return isLate ? elapsed - this.#tickMs : 0;
  }
}
