import type { LocalStore } from "./local-store.ts";

/** A kept event: its number in this node's stream and its line, as readers get it. */
export interface KeptEvent {
  readonly seq: number;
  /** JSON. */
  readonly line: string;
  /** This node tells the others of it. */
  readonly told: boolean;
}

export interface RingBatch {
  readonly events: readonly KeptEvent[];
  /** How far each source of events has been read, by name. */
  readonly cursors: ReadonlyMap<string, number>;
  /** No number up to this one is given out by a later run. */
  readonly reserved: number;
}

const reservedKey = "events/reserved";
const cleanKey = "events/clean";

/**
 * The newest events of this node on disk. It is written in batches, so a crash may lose the last ones; their
 * numbers are reserved beforehand, so none is ever used twice.
 */
export class EventRing {
  readonly #store: LocalStore;
  readonly #limit: number;

  constructor(options: { readonly limit: number }, deps: { readonly store: LocalStore }) {
    this.#limit = options.limit;
    this.#store = deps.store;
  }

  /** Make the tables; the last reserved number, and whether the run before ended in order. */
  open(): { readonly reserved: number; readonly clean: boolean; readonly last: number } {
    const { db } = this.#store;
    db.exec(
      "CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, told INTEGER NOT NULL, line TEXT NOT NULL) STRICT;" +
        "CREATE INDEX IF NOT EXISTS events_told ON events (seq) WHERE told = 1;" +
        "CREATE TABLE IF NOT EXISTS event_cursors (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT",
    );
    const reserved = this.#store.get<number>(reservedKey) ?? 0;
    const last = this.#number("SELECT max(seq) AS n FROM events") ?? 0;
    return { reserved, clean: this.#store.get<boolean>(cleanKey) ?? reserved === 0, last };
  }

  append(batch: RingBatch): void {
    const { db } = this.#store;
    this.#store.transaction(() => {
      const insert = db.prepare("INSERT OR REPLACE INTO events (seq, told, line) VALUES (?, ?, ?)");
      for (const { seq, told, line } of batch.events) insert.run(seq, told ? 1 : 0, line);
      const cursor = db.prepare("INSERT OR REPLACE INTO event_cursors (name, value) VALUES (?, ?)");
      for (const [name, value] of batch.cursors) cursor.run(name, value);
      // By rank, not by number: numbers may have gaps.
      db.prepare(
        "DELETE FROM events WHERE seq <= (SELECT seq FROM events ORDER BY seq DESC LIMIT 1 OFFSET ?)",
      ).run(this.#limit);
      this.#store.put(reservedKey, batch.reserved);
      this.#store.put(cleanKey, false);
    });
  }

  /** The run ended in order: what was reserved beyond `last` is free again. */
  close(last: number): void {
    this.#store.transaction(() => {
      this.#store.put(reservedKey, last);
      this.#store.put(cleanKey, true);
    });
  }

  /** Lines after a number, oldest first. */
  read(after: number, limit: number): KeptEvent[] {
    return this.#rows("SELECT seq, told, line FROM events WHERE seq > ? ORDER BY seq LIMIT ?", after, limit);
  }

  /** Those after a number that this node tells the others. */
  readTold(after: number, limit: number): KeptEvent[] {
    const sql = "SELECT seq, told, line FROM events WHERE told = 1 AND seq > ? ORDER BY seq LIMIT ?";
    return this.#rows(sql, after, limit);
  }

  /** Number of the oldest that is kept; null when none is. */
  oldest(): number | null {
    return this.#number("SELECT min(seq) AS n FROM events");
  }

  /** Number of the newest that this node tells the others; null when none is kept. */
  newestTold(): number | null {
    return this.#number("SELECT max(seq) AS n FROM events WHERE told = 1");
  }

  cursors(): Map<string, number> {
    const rows = this.#store.db.prepare("SELECT name, value FROM event_cursors").all();
    return new Map(rows.map((row) => [String(row.name), Number(row.value)]));
  }

  #rows(sql: string, after: number, limit: number): KeptEvent[] {
    return this.#store.db
      .prepare(sql)
      .all(after, limit)
      .map((row) => ({
        seq: Number(row.seq),
        line: String(row.line),
        told: row.told === 1,
      }));
  }

  #number(sql: string): number | null {
    const n = this.#store.db.prepare(sql).get()?.n;
    return typeof n === "number" ? n : null;
  }
}
