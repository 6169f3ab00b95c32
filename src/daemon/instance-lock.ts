import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { MicrocephError } from "../errors/microceph-error.ts";
import { storeError } from "../state/store/store-errors.ts";

/**
 * One daemon per state directory. The lock is SQLite's exclusive file lock: the kernel drops it when the
 * process ends in whatever way, so nothing stale can stay behind.
 */
export class InstanceLock {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Throws DAEMON_RUNNING when another daemon holds the directory, DISK_FULL, PERMISSION_DENIED. */
  static take(stateDir: string): InstanceLock {
    const path = join(stateDir, "daemon.lock");
    let database: DatabaseSync | undefined;
    try {
      database = new DatabaseSync(path);
      database.exec("PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;");
      return new InstanceLock(database);
    } catch (error) {
      database?.close();
      throw lockError(error, stateDir, path);
    }
  }

  release(): void {
    this.#database.close();
  }
}

/** Primary result codes of SQLite (https://www.sqlite.org/rescode.html). */
const sqliteBusy = 5;
const sqliteReadOnly = 8;
const sqliteCannotOpen = 14;

function lockError(error: unknown, stateDir: string, path: string): unknown {
  const code = Number((error as { errcode?: unknown }).errcode) & 0xff;
  if (code === sqliteBusy) {
    const text = `another microcephd runs on ${stateDir}`;
    return new MicrocephError("DAEMON_RUNNING", text, { data: { stateDir }, cause: error });
  }
  if (code === sqliteReadOnly || code === sqliteCannotOpen) {
    const text = `${path} cannot be opened for writing`;
    return new MicrocephError("PERMISSION_DENIED", text, { data: { path }, cause: error });
  }
  return storeError(error, path);
}
