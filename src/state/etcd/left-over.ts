import { mkdir, readdir, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { readFileIfPresent, syncDirectory, writeFileAtomic } from "../../files/atomic-file.ts";
import { dataFolder } from "./etcd-arguments.ts";
import { killProcess, type ProcessIdentity } from "./proc-identity.ts";

const identityFile = "etcd.pid";
/** Says that this directory has held a member's data: its absence later is a loss, not a first start. */
const startedFile = "started";
/** Milliseconds to wait for a killed process to be gone. */
const killDeadlineMs = 3000;

/** What earlier runs left in the etcd directory: the process, the data, and the sign that there was data. */
export class LeftOver {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async recordProcess(identity: ProcessIdentity): Promise<void> {
    await writeFileAtomic(join(this.#dir, identityFile), JSON.stringify(identity));
  }

  /**
   * Kill the etcd of an earlier run, should its parent-death signal have come too early. It is not adopted:
   * nobody reads its exit any more, and a new start costs less than half a second.
   */
  async killProcess(): Promise<boolean> {
    const text = await readFileIfPresent(join(this.#dir, identityFile));
    const identity = text === undefined ? undefined : parseIdentity(text);
    return identity !== undefined && (await killProcess(identity, killDeadlineMs));
  }

  /** "lost": there was data here and it is gone. A new etcd in its place would be one that forgot its votes. */
  async data(): Promise<"none" | "present" | "lost"> {
    const files = await readdir(join(this.#dir, dataFolder, "member", "wal")).catch(() => []);
    if (files.some((name) => name.endsWith(".wal"))) return "present";
    return (await readFileIfPresent(join(this.#dir, startedFile))) === undefined ? "none" : "lost";
  }

  async recordStarted(): Promise<void> {
    if ((await readFileIfPresent(join(this.#dir, startedFile))) === undefined) {
      await writeFileAtomic(join(this.#dir, startedFile), "");
    }
  }

  /** Move what is left of the data aside, never delete it, so that the next start is a first one. */
  async setDataAside(suffix: string): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    await rename(join(this.#dir, dataFolder), join(this.#dir, `${dataFolder}.${suffix}`)).catch(ignoreAbsent);
    await unlink(join(this.#dir, startedFile)).catch(ignoreAbsent);
    await syncDirectory(this.#dir);
  }
}

function parseIdentity(text: string): ProcessIdentity | undefined {
  try {
    const { pid, startTime } = JSON.parse(text) as Partial<ProcessIdentity>;
    return Number.isSafeInteger(pid) && Number.isSafeInteger(startTime) && pid !== undefined && pid > 1
      ? { pid, startTime: startTime ?? 0 }
      : undefined;
  } catch {
    return undefined;
  }
}

function ignoreAbsent(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
