/** Seeded random numbers (mulberry32): the same seed gives the same run. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Uniform in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  /** A whole number from low to high, both included. */
  whole(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.next() * items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }
}

/** A running process: what it has scheduled waits while it is stopped, and is forgotten when it is killed. */
export class VirtualProcess {
  readonly name: string;
  alive = true;
  paused = false;
  /** What came due while it was paused. */
  readonly waiting: { readonly run: () => void; readonly cancelled: boolean }[] = [];

  constructor(name: string) {
    this.name = name;
  }
}

interface Event {
  readonly at: number;
  readonly order: number;
  readonly owner: VirtualProcess | null;
  readonly run: () => void;
  cancelled: boolean;
}

export interface VirtualTimeOptions {
  /** Far from zero, an age is never mistaken for a time. Default 0. */
  readonly startsAt?: number;
  /** After every event what waits for it runs; "when told": only after one that called `settle`. */
  readonly settles?: "always" | "when told";
}

/** Virtual milliseconds: events run one at a time, each with all that follows from it without waiting. */
export class VirtualTime {
  #now: number;
  #order = 0;
  #settles = true;
  readonly #startsAt: number;
  readonly #settlesAlways: boolean;
  readonly #events: Event[] = [];

  constructor(options: VirtualTimeOptions = {}) {
    const { startsAt = 0, settles = "always" } = options;
    this.#now = startsAt;
    this.#startsAt = startsAt;
    this.#settlesAlways = settles === "always";
  }

  now(): number {
    return this.#now;
  }

  /** Milliseconds since the start. */
  elapsed(): number {
    return this.#now - this.#startsAt;
  }

  /** Run something later; with an owner, only while that process lives, and not while it is paused. */
  after(ms: number, owner: VirtualProcess | null, run: () => void): void {
    this.#schedule(ms, owner, run);
  }

  /** The same; the result takes it back. */
  timer(ms: number, owner: VirtualProcess | null, run: () => void): () => void {
    const event = this.#schedule(ms, owner, run);
    return () => {
      event.cancelled = true;
    };
  }

  #schedule(ms: number, owner: VirtualProcess | null, run: () => void): Event {
    this.#order += 1;
    const event = { at: this.#now + Math.max(0, ms), order: this.#order, owner, run, cancelled: false };
    push(this.#events, event);
    return event;
  }

  /** The event that runs has promises wait for it. */
  settle(): void {
    this.#settles = true;
  }

  /** Resolves after that time, or early when aborted. */
  sleep(ms: number, owner: VirtualProcess | null, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      signal?.addEventListener("abort", () => resolve(), { once: true });
      this.after(ms, owner, resolve);
    });
  }

  pause(process: VirtualProcess): void {
    process.paused = true;
  }

  resume(process: VirtualProcess): void {
    process.paused = false;
    for (const event of process.waiting.splice(0)) {
      this.after(0, process, () => {
        if (!event.cancelled) event.run();
      });
    }
  }

  kill(process: VirtualProcess): void {
    process.alive = false;
    process.waiting.length = 0;
  }

  /** Run until that time, or until `done` says so after an event. */
  async run(untilMs: number, done: () => boolean = () => false): Promise<void> {
    await settled();
    while (true) {
      const next = this.#events[0];
      if (!next || next.at > untilMs) break;
      pop(this.#events);
      this.#now = next.at;
      if (next.cancelled || next.owner?.alive === false) continue;
      if (next.owner?.paused) {
        next.owner.waiting.push(next);
        continue;
      }
      next.run();
      if (this.#settlesAlways || this.#settles) {
        this.#settles = false;
        await settled();
      }
      if (done()) return;
    }
    this.#now = untilMs;
  }

  /** The same by the time since the start. */
  runUntil(elapsedMs: number, done?: () => boolean): Promise<void> {
    return this.run(this.#startsAt + elapsedMs, done);
  }
}

/** Everything here waits for virtual time only, so one turn of the loop runs all that is ready. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function push(heap: Event[], event: Event): void {
  let index = heap.length;
  heap.push(event);
  while (index > 0) {
    const above = (index - 1) >> 1;
    const parent = heap[above];
    if (!parent || !before(event, parent)) break;
    heap[index] = parent;
    index = above;
  }
  heap[index] = event;
}

function pop(heap: Event[]): void {
  const last = heap.pop();
  if (!last || heap.length === 0) return;
  let index = 0;
  while (true) {
    const left = 2 * index + 1;
    const [a, b] = [heap[left], heap[left + 1]];
    const child = b && a && before(b, a) ? left + 1 : left;
    const smaller = heap[child];
    if (!smaller || !before(smaller, last)) break;
    heap[index] = smaller;
    index = child;
  }
  heap[index] = last;
}
