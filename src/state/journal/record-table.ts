import type { LocalStore } from "../store/local-store.ts";
import { withStoreErrors } from "../store/store-errors.ts";
import { hashOf, parseRecordText } from "./record.ts";
import type { JournalRecord } from "./types.ts";

/** The table of records in the node's store: one row each, with its hash, which is the checksum too. */
export class RecordTable {
  readonly #store: LocalStore;

  constructor(store: LocalStore) {
    this.#store = store;
  }

  create(): void {
    this.#run(() =>
      this.#store.db.exec(
        "CREATE TABLE IF NOT EXISTS journal (revision INTEGER PRIMARY KEY, hash TEXT NOT NULL, record TEXT NOT NULL) STRICT",
      ),
    );
  }

  insert(record: JournalRecord): void {
    this.#run(() =>
      this.#store.db
        .prepare("INSERT INTO journal (revision, hash, record) VALUES (?, ?, ?)")
        .run(record.revision, hashOf(record), JSON.stringify(record)),
    );
  }

  deleteFrom(revision: number): number {
    return this.#run(() =>
      Number(this.#store.db.prepare("DELETE FROM journal WHERE revision >= ?").run(revision).changes),
    );
  }

  read(after: number, limit: number): JournalRecord[] {
    return this.#run(() =>
      this.#store.db
        .prepare("SELECT record FROM journal WHERE revision > ? ORDER BY revision LIMIT ?")
        .all(after, limit)
        .map((row) => JSON.parse(String(row.record)) as JournalRecord),
    );
  }

  hashAt(revision: number): string | undefined {
    return this.#run(() => {
      const row = this.#store.db.prepare("SELECT hash FROM journal WHERE revision = ?").get(revision);
      return row === undefined ? undefined : String(row.hash);
    });
  }

  /** Drop everything from the first record on that is missing, unreadable or not the one its hash names. */
  dropDamaged(): { dropped: number } {
    const rows = this.#run(() =>
      this.#store.db.prepare("SELECT revision, hash, record FROM journal ORDER BY revision").all(),
    );
    let previous = "";
    for (const [index, row] of rows.entries()) {
      const record = parseRecordText(String(row.record));
      const sound =
        record?.revision === index + 1 &&
        row.revision === record.revision &&
        record.previous === previous &&
        hashOf(record) === row.hash;
      if (!sound) return { dropped: this.deleteFrom(Number(row.revision)) };
      previous = String(row.hash);
    }
    return { dropped: 0 };
  }

  #run<T>(work: () => T): T {
    return withStoreErrors(this.#store.path, work);
  }
}
