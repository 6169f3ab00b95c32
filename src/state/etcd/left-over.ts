import { mkdir, readdir, rename, rm, unlink } from "node:fs/promises";
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

  /**
   * `unfinished`: data of a first start that never ended well; a lone etcd killed between making its log and
   * writing its first entry waits for ever for a leader. `lost`: there was good data here and it is gone; a
   * new etcd in its place would be one that forgot its votes.
   */
  async data(): Promise<"none" | "unfinished" | "present" | "lost"> {
    const files = await readdir(join(this.#dir, dataFolder, "member", "wal")).catch(() => []);
    const there = files.some((name) => name.endsWith(".wal"));
    const started = (await readFileIfPresent(join(this.#dir, startedFile))) !== undefined;
    if (there) return started ? "present" : "unfinished";
    return started ? "lost" : "none";
  }

  /** To be called once etcd has answered, and before anybody is told so. */
  async recordStarted(): Promise<void> {
    if ((await readFileIfPresent(join(this.#dir, startedFile))) === undefined) {
      await writeFileAtomic(join(this.#dir, startedFile), "");
    }
  }

  /** Nobody was ever told that this data exists; one earlier lot of it is kept. */
  async setUnfinishedAside(): Promise<void> {
    const aside = join(this.#dir, `${dataFolder}.unfinished`);
    await rm(aside, { recursive: true, force: true });
    await rename(join(this.#dir, dataFolder), aside);
    await syncDirectory(this.#dir);
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
