import type { Logger } from "pino";
import type { EventData, EventType, MeshEvent } from "../../api/contract/events.ts";
import { MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { EventRing, KeptEvent } from "../../state/store/event-ring.ts";

export interface EventLogDeps {
  readonly ring: EventRing;
  /** PeerId of this node. */
  readonly self: string;
  readonly now: () => number;
  readonly log: Logger;
}

/** What an event may carry besides. */
export interface EmitOptions {
  /** The node that noticed it, and when; default: this one, now. */
  readonly node?: string;
  readonly at?: string;
  /** This node tells the others of it. */
  readonly told?: boolean;
}

/** An event before it has its number. */
export type NewEvent = {
  readonly [T in EventType]: { readonly type: T; readonly data: EventData<T>; readonly node?: string };
}[EventType];

/** Milliseconds from an event to its being on disk: one transaction for all that come meanwhile. */
const flushMs = 100;
/** Numbers reserved at a time. */
const block = 1_000;
/** The newest are answered from memory. */
const keptInMemory = 512;
const batchLimit = 2_048;

/**
 * This node's stream of events: numbered, kept over restarts, replayable. Events are hints: nothing depends on
 * seeing them.
 */
export class EventLog {
  readonly #deps: EventLogDeps;
  readonly #listeners = new Set<(event: MeshEvent) => void>();
  readonly #recent: KeptEvent[] = [];
  readonly #cursors: Map<string, number>;
  readonly #newCursors = new Map<string, number>();
  #unwritten: KeptEvent[] = [];
  #timer: NodeJS.Timeout | undefined;
  #seq: number;
  #reserved: number;
  #emitted = 0;
  #lost = 0;

  constructor(deps: EventLogDeps) {
    this.#deps = deps;
    const { reserved, clean, last } = deps.ring.open();
    this.#cursors = deps.ring.cursors();
    this.#seq = reserved;
    this.#reserved = reserved;
    if (!clean && reserved > last) {
      this.emit("events.gap", { from: last + 1, to: reserved, reason: "crash" });
    }
  }

  emit<T extends EventType>(type: T, data: EventData<T>, options: EmitOptions = {}): MeshEvent {
    this.#seq += 1;
    const { node = this.#deps.self, at = new Date(this.#deps.now()).toISOString() } = options;
    const event = { seq: this.#seq, at, node, type, data } as MeshEvent;
    const kept: KeptEvent = { seq: event.seq, line: JSON.stringify(event), told: options.told ?? false };
    this.#emitted += 1;
    this.#recent.push(kept);
    if (this.#recent.length > keptInMemory) this.#recent.shift();
    this.#unwritten.push(kept);
    // A number is out as soon as a listener has it, so it is reserved before.
    if (this.#seq > this.#reserved || this.#unwritten.length >= batchLimit) this.flush();
    else this.#flushSoon();
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch {
        // A reader's fault is the reader's: what emits here must go on.
      }
    }
    return event;
  }

  emitAll(events: readonly NewEvent[]): void {
    for (const { type, data, node } of events) this.emit(type, data, node === undefined ? {} : { node });
  }

  /** Number of the newest event. */
  get head(): number {
    return this.#seq;
  }

  counters(): { readonly emitted: number; readonly lost: number } {
    return { emitted: this.#emitted, lost: this.#lost };
  }

  /** How far a source of events has been turned into events, over restarts; undefined when it never was. */
  cursor(name: string): number | undefined {
    return this.#cursors.get(name);
  }

  /** Goes to disk with the events that it stands for. */
  setCursor(name: string, value: number): void {
    if (this.#cursors.get(name) === value) return;
    this.#cursors.set(name, value);
    this.#newCursors.set(name, value);
    this.#flushSoon();
  }

  /** Kept lines after a number, oldest first; before them what is missing, if anything is. */
  read(after: number, limit: number): { readonly gap: MeshEvent | null; readonly events: KeptEvent[] } {
    if (after > this.#seq) {
      const gap = this.#gap(this.#seq + 1, after, "unknown-number", 0);
      return { gap, events: this.#readKept(0, limit) };
    }
    const oldest = this.#oldest();
    if (after + 1 < oldest && after < this.#seq) {
      return {
        gap: this.#gap(after + 1, oldest - 1, "not-kept", oldest - 1),
        events: this.#readKept(after, limit),
      };
    }
    return { gap: null, events: this.#readKept(after, limit) };
  }

  /** Those after a number that this node tells the others, and the oldest number that is kept. */
  told(after: number, limit: number): { readonly oldest: number; readonly events: KeptEvent[] } {
    this.flush();
    return { oldest: this.#oldest(), events: this.#deps.ring.readTold(after, limit) };
  }

  /** Number of the newest event that this node tells the others; 0 when none is kept. */
  newestTold(): number {
    this.flush();
    return this.#deps.ring.newestTold() ?? 0;
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

  /** Write what waits. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#unwritten.length === 0 && this.#newCursors.size === 0 && this.#seq <= this.#reserved) return;
    const reserved = Math.max(this.#reserved, this.#seq + block);
    const events = this.#unwritten;
    try {
      this.#deps.ring.append({ events, cursors: this.#newCursors, reserved });
      this.#reserved = reserved;
      this.#unwritten = [];
      this.#newCursors.clear();
    } catch (error) {
      // A full disk: the stream goes on from memory, the oldest unwritten ones are given up.
      this.#deps.log.warn({ error: messageOf(error) }, "events cannot be written");
      const surplus = events.length - keptInMemory;
      if (surplus > 0) this.#lost += events.splice(0, surplus).length;
    }
  }

  /** The store stays open. */
  close(): void {
    this.flush();
    clearTimeout(this.#timer);
    try {
      this.#deps.ring.close(this.#seq);
    } catch (error) {
      this.#deps.log.warn({ error: messageOf(error) }, "the end of the events cannot be written");
    }
  }

  #flushSoon(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.flush(), flushMs);
    this.#timer.unref();
  }

  #oldest(): number {
    return this.#deps.ring.oldest() ?? this.#recent[0]?.seq ?? this.#seq + 1;
  }

  #readKept(after: number, limit: number): KeptEvent[] {
    const first = this.#recent[0]?.seq;
    if (first !== undefined && after + 1 >= first) {
      return this.#recent.filter(({ seq }) => seq > after).slice(0, limit);
    }
    this.flush();
    return this.#deps.ring.read(after, limit);
  }

  /** Not part of the stream: its number is such that `since` that number goes on after it. */
  #gap(from: number, to: number, reason: EventData<"events.gap">["reason"], seq: number): MeshEvent {
    const at = new Date(this.#deps.now()).toISOString();
    return { seq, at, node: this.#deps.self, type: "events.gap", data: { from, to, reason } };
  }
}
