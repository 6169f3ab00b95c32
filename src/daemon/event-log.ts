import { MicrocephError } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";

/** One line of `GET /1.0/events`. */
export interface MeshEvent {
  /** Grows by one with each event since this daemon started. */
  readonly seq: number;
  /** RFC 3339. */
  readonly at: string;
  readonly type: string;
  readonly data: Json;
}

/** The daemon's recent events, numbered and replayable. Events are hints: nothing depends on seeing them. */
export class EventLog {
  readonly #kept: MeshEvent[] = [];
  readonly #listeners = new Set<(event: MeshEvent) => void>();
  readonly #limit: number;
  readonly #now: () => number;
  #seq = 0;

  constructor(options: { readonly limit?: number }, deps: { readonly now: () => number }) {
    this.#limit = options.limit ?? 4096;
    this.#now = deps.now;
  }

  emit(type: string, data: Json): MeshEvent {
    this.#seq += 1;
    const event = { seq: this.#seq, at: new Date(this.#now()).toISOString(), type, data };
    this.#kept.push(event);
    if (this.#kept.length > this.#limit) this.#kept.shift();
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch {
        // A reader's fault is the reader's: what emits here must go on.
      }
    }
    return event;
  }

  /** Events after a sequence number, as far back as they are kept. */
  since(seq: number): readonly MeshEvent[] {
    return this.#kept.filter((event) => event.seq > seq);
  }

  /** Resolves at the next event, or after the time; throws CANCELLED when the signal aborts. */
  next(signal: AbortSignal, atMostMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (finish: () => void): void => {
        clearTimeout(timer);
        off();
        signal.removeEventListener("abort", cancel);
        finish();
      };
      const cancel = (): void => end(() => reject(new MicrocephError("CANCELLED", "the daemon is stopping")));
      const timer = setTimeout(() => end(resolve), atMostMs);
      const off = this.on(() => end(resolve));
      if (signal.aborted) cancel();
      else signal.addEventListener("abort", cancel);
    });
  }

  on(listener: (event: MeshEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
