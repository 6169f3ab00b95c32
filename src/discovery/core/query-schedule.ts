/** Milliseconds of random wait before the first query (RFC 6762 section 5.2). */
const firstWaitMs = { from: 20, to: 120 };
const firstIntervalMs = 1_000;
const longestIntervalMs = 60 * 60 * 1_000;

/** Milliseconds to wait before a question, so that those who have the same reason to ask do not ask at once. */
export const firstWait = (random: () => number): number =>
  firstWaitMs.from + random() * (firstWaitMs.to - firstWaitMs.from);

/** When to ask: after 20–120 ms, then after 1 s, 2 s, 4 s … up to once in 60 minutes. */
export class QuerySchedule {
  readonly #random: () => number;
  #at: number;
  #interval = firstIntervalMs;

  constructor(now: number, random: () => number) {
    this.#random = random;
    this.#at = now + firstWait(this.#random);
  }

  due(): number {
    return this.#at;
  }

  /** Whether to ask now. */
  step(now: number): boolean {
    if (now < this.#at) return false;
    this.#at = now + this.#interval;
    this.#interval = Math.min(this.#interval * 2, longestIntervalMs);
    return true;
  }

  restart(now: number): void {
    this.#at = now + firstWait(this.#random);
    this.#interval = firstIntervalMs;
  }
}
