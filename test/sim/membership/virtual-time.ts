interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

/** Starts far from zero, so that an age is never mistaken for a time. */
export const epoch = 1_700_000_000_000;

/** Virtual time: events in the order of their times; promises settle between two of them. */
export class VirtualTime {
  #now = epoch;
  #order = 0;
  readonly #heap: Event[] = [];

  now(): number {
    return this.#now;
  }

  /** Milliseconds since the start of the run. */
  elapsed(): number {
    return this.#now - epoch;
  }

  after(milliseconds: number, run: () => void): () => void {
    this.#order += 1;
    const event: Event = {
      at: this.#now + Math.max(0, milliseconds),
      order: this.#order,
      run,
      cancelled: false,
    };
    this.#push(event);
    return () => {
      event.cancelled = true;
    };
  }

  /** Run events until that time since the start, or until `done` says so after an event. */
  async runUntil(elapsed: number, done: () => boolean = () => false): Promise<void> {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.at > epoch + elapsed) {
        this.#now = epoch + elapsed;
        return;
      }
      this.#pop();
      if (next.cancelled) continue;
      this.#now = next.at;
      next.run();
      await new Promise((resolve) => setImmediate(resolve));
      if (done()) return;
    }
  }

  #before(a: number, b: number): boolean {
    const [x, y] = [this.#heap[a], this.#heap[b]];
    if (x === undefined || y === undefined) return x !== undefined;
    return x.at < y.at || (x.at === y.at && x.order < y.order);
  }

  #swap(a: number, b: number): void {
    const [x, y] = [this.#heap[a], this.#heap[b]];
    if (x === undefined || y === undefined) return;
    this.#heap[a] = y;
    this.#heap[b] = x;
  }

  #push(event: Event): void {
    this.#heap.push(event);
    let at = this.#heap.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #pop(): void {
    this.#swap(0, this.#heap.length - 1);
    this.#heap.pop();
    let at = 0;
    for (;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#heap.length && this.#before(child, least)) least = child;
      }
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }
}
