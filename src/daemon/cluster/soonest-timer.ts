/** A timer for the soonest of several wishes: who is woken by it serves them all. */
export class SoonestTimer {
  readonly #wake: () => void;
  #next: { readonly at: number; readonly timer: NodeJS.Timeout } | null = null;

  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** Wake after so many milliseconds, unless it wakes sooner anyway. */
  after(ms: number): void {
    const at = performance.now() + ms;
    if (this.#next !== null) {
      if (this.#next.at <= at) return;
      clearTimeout(this.#next.timer);
    }
    const timer = setTimeout(() => {
      this.#next = null;
      this.#wake();
    }, ms);
    timer.unref();
    this.#next = { at, timer };
  }
}
