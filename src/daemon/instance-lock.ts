import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { MicrocephError } from "../errors/microceph-error.ts";

/**
 * One daemon per state directory. The lock is SQLite's exclusive file lock: the kernel drops it when the
 * process ends in whatever way, so nothing stale can stay behind.
 */
export class InstanceLock {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Throws DAEMON_RUNNING when another daemon holds the directory. */
  static take(stateDir: string): InstanceLock {
    const database = new DatabaseSync(join(stateDir, "daemon.lock"));
    try {
      database.exec("PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;");
    } catch (error) {
      database.close();
      throw new MicrocephError("DAEMON_RUNNING", `another microcephd runs on ${stateDir}`, {
        data: { stateDir },
        cause: error,
      });
    }
    return new InstanceLock(database);
  }

  release(): void {
    this.#database.close();
  }
}
