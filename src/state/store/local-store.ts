import { chmodSync, closeSync, constants, existsSync, fchmodSync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { MicrocephError } from "../../errors/microceph-error.ts";
import type { Json } from "../../ids/json.ts";
import { corrupt, withStoreErrors } from "./store-errors.ts";

/** Version of the tables below; a file with a later one is refused, an earlier one is migrated. */
export const storeSchemaVersion = 1;

/** Milliseconds a statement waits for another process that holds the file's write lock. */
const busyTimeoutMs = 2_000;

/** Companion files that SQLite keeps beside a database in WAL mode. */
export const companionSuffixes = ["-wal", "-shm"] as const;

/**
 * The node's own durable state: one SQLite file. When a call that writes returns, its content survives
 * `kill -9` and power loss (WAL, synchronous=FULL). Other rooms keep tables of their own in `db`.
 *
 * Throws MicrocephError STATE_CORRUPT (naming the file), DISK_FULL, STATE_TOO_NEW.
 */
export class LocalStore {
  readonly db: DatabaseSync;
  readonly path: string;
  #depth = 0;

  private constructor(path: string, db: DatabaseSync) {
    this.path = path;
    this.db = db;
  }

  /** Open or create the file, mode 0600, and check all of it. */
  static open(path: string): LocalStore {
    return withStoreErrors(path, () => {
      makePrivate(path);
      const db = new DatabaseSync(path, { timeout: busyTimeoutMs });
      try {
        db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304;");
        checkPages(path, db);
        const store = new LocalStore(path, db);
        store.transaction(() => migrate(path, db));
        // SQLite has no checksums of its own: a flipped bit inside a value passes quick_check.
        store.list("");
        return store;
      } catch (error) {
        db.close();
        throw error;
      }
    });
  }

  get<T extends Json>(key: string): T | undefined {
    return withStoreErrors(this.path, () => {
      const row = this.db.prepare("SELECT key, value, checksum FROM kv WHERE key = ?").get(key);
      return row === undefined ? undefined : (this.#value(row) as T);
    });
  }

  put(key: string, value: Json): void {
    const text = JSON.stringify(value);
    withStoreErrors(this.path, () => {
      this.db
        .prepare("INSERT OR REPLACE INTO kv (key, value, checksum) VALUES (?, ?, ?)")
        .run(key, text, checksumOf(key, text));
    });
  }

  delete(key: string): void {
    withStoreErrors(this.path, () => this.db.prepare("DELETE FROM kv WHERE key = ?").run(key));
  }

  /** All pairs whose key starts with the prefix, in the order of their keys. */
  list(prefix: string): [string, Json][] {
    return withStoreErrors(this.path, () =>
      this.db
        .prepare("SELECT key, value, checksum FROM kv WHERE key >= ? AND key < ? ORDER BY key")
        .all(prefix, `${prefix}\u{10FFFF}`)
        .map((row) => [String(row.key), this.#value(row)]),
    );
  }

  /**
   * All of it or nothing. `fn` is synchronous; an inner transaction is part of the outer one, and one that
   * throws undoes only its own writes.
   */
  transaction<T>(fn: () => T): T {
    return withStoreErrors(this.path, () => {
      const name = `level${this.#depth}`;
      const inner = this.#depth > 0;
      this.db.exec(inner ? `SAVEPOINT ${name}` : "BEGIN IMMEDIATE");
      this.#depth += 1;
      try {
        const result = fn();
        if (result instanceof Promise) throw new TypeError("a transaction's function must be synchronous");
        this.db.exec(inner ? `RELEASE ${name}` : "COMMIT");
        return result;
      } catch (error) {
        // SQLite itself may have rolled back already (a full disk, for one).
        if (this.db.isTransaction) this.db.exec(inner ? `ROLLBACK TO ${name}; RELEASE ${name}` : "ROLLBACK");
        throw error;
      } finally {
        this.#depth -= 1;
      }
    });
  }

  /** Idempotent. */
  close(): void {
    if (this.db.isOpen) this.db.close();
  }

  #value(row: Record<string, unknown>): Json {
    const key = String(row.key);
    const text = String(row.value);
    if (row.checksum !== checksumOf(key, text)) throw corrupt(this.path, `wrong checksum of ${key}`);
    return JSON.parse(text) as Json;
  }
}

function checksumOf(key: string, text: string): number {
  return crc32(`${key}\0${text}`);
}

/** The file has its mode before it has content; SQLite gives -wal and -shm the mode of the database. */
function makePrivate(path: string): void {
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    fchmodSync(file, 0o600);
  } finally {
    closeSync(file);
  }
  for (const suffix of companionSuffixes) {
    if (existsSync(path + suffix)) chmodSync(path + suffix, 0o600);
  }
  const directory = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function checkPages(path: string, db: DatabaseSync): void {
  const rows = db.prepare("PRAGMA quick_check(5)").all();
  const verdict = rows.map((row) => String(Object.values(row)[0])).join("; ");
  if (verdict !== "ok") throw corrupt(path, verdict.slice(0, 300));
}

function migrate(path: string, db: DatabaseSync): void {
  db.exec("CREATE TABLE IF NOT EXISTS schema (version INTEGER NOT NULL)");
  const found = db.prepare("SELECT max(version) AS version FROM schema").get()?.version ?? 0;
  if (typeof found !== "number") throw corrupt(path, "no schema version");
  if (found > storeSchemaVersion) {
    throw new MicrocephError("STATE_TOO_NEW", `${path} was written by a later version (schema ${found})`, {
      data: { path, found, known: storeSchemaVersion },
    });
  }
  if (found === storeSchemaVersion) return;
  db.exec(
    "CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER NOT NULL) STRICT, WITHOUT ROWID",
  );
  db.prepare("INSERT INTO schema (version) VALUES (?)").run(storeSchemaVersion);
}
