/** What a node says of itself is written at most this often (ms); what comes in between is written once. */
export const factsIntervalMs = 1_000;
/** A rewrite of what another member changed under our name comes at most this often (ms). */
export const healIntervalMs = 30_000;

/**
 * Decides when this node's own facts are written: at once when some time has passed since the last write, else
 * once at the end of it, with what is then the latest.
 */
export class FactsWriter<Facts> {
  readonly #write: (facts: Facts) => void;
  readonly #now: () => number;
  readonly #onError: (error: unknown) => void;
  #latest: { readonly facts: Facts } | undefined;
  #pending = false;
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #lastWrite = Number.NEGATIVE_INFINITY;

  constructor(deps: { write: (facts: Facts) => void; now: () => number; onError: (error: unknown) => void }) {
    this.#write = deps.write;
    this.#now = deps.now;
    this.#onError = deps.onError;
  }

  /** Throws what writing throws, when it writes at once. */
  set(facts: Facts): void {
    this.#latest = { facts };
    this.#pending = true;
    const wait = this.#untilAfter(factsIntervalMs);
    if (wait <= 0) this.#flush();
    else this.#arm(wait);
  }

  /** Write what waits now, for one who must find it there. Throws what writing throws. */
  flush(): void {
    if (this.#pending) this.#flush();
  }

  /** Somebody else changed our entry: write it again, not sooner than the interval for that. */
  heal(): void {
    if (this.#latest === undefined) return;
    this.#pending = true;
    this.#arm(Math.max(0, this.#untilAfter(healIntervalMs)));
  }

  /** Write what waits, and no more afterwards. */
  stop(): void {
    if (this.#pending) this.#flush();
    this.#disarm();
    this.#latest = undefined;
  }

  /** Milliseconds until that long after the last write; a clock that was set back makes it no longer. */
  #untilAfter(intervalMs: number): number {
    return Math.min(intervalMs, this.#lastWrite + intervalMs - this.#now());
  }

  #arm(wait: number): void {
    const at = this.#now() + wait;
    if (at >= this.#dueAt) return;
    this.#disarm();
    this.#dueAt = at;
    this.#timer = setTimeout(() => {
      this.#dueAt = Number.POSITIVE_INFINITY;
      try {
        this.#flush();
      } catch (error) {
        this.#onError(error);
        // A full disk, most likely: the facts are still true, so they are written when it can be done.
        this.#pending = true;
        this.#arm(healIntervalMs);
      }
    }, wait);
    this.#timer.unref();
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#dueAt = Number.POSITIVE_INFINITY;
  }

  #flush(): void {
    this.#disarm();
    this.#pending = false;
    if (this.#latest === undefined) return;
    this.#lastWrite = this.#now();
    this.#write(this.#latest.facts);
  }
}
