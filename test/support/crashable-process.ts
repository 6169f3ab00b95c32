import { AsyncLocalStorage } from "node:async_hooks";
import { existsSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { createRequire, syncBuiltinESMExports } from "node:module";

/** Thrown where a process that was killed would go on; nobody lives to see it. */
class Killed extends Error {}

/**
 * A process in a test that can be killed at one of its steps as SIGKILL would: from then on nothing that it
 * began goes on, no `finally` and no `catch` of it changes anything, and what it had on disk stays as it was.
 * Its steps are its writes to files (seen where they leave for the system) and what calls `step` itself.
 */
export class CrashableProcess {
  readonly name: string;
  readonly steps: string[] = [];
  killAtStep = Number.POSITIVE_INFINITY;
  #alive = true;
  readonly #dying: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Run its main function. */
  run<T>(main: () => T): T {
    return current.run(this, main);
  }

  /** Called when it is killed, or at once when it is dead. */
  onDeath(act: () => void): void {
    if (this.#alive) this.#dying.push(act);
    else act();
  }

  kill(): void {
    if (!this.#alive) return;
    this.#alive = false;
    for (const act of this.#dying) act();
  }

  /** A step of asynchronous work: never resolves for the dead. */
  async step(what: string): Promise<void> {
    if (!this.#pass(what)) await new Promise<never>(() => undefined);
  }

  /** A step of synchronous work: throws for the dead. */
  stepNow(what: string): void {
    if (!this.#pass(what)) throw new Killed(`${this.name} was killed`);
  }

  #pass(what: string): boolean {
    if (!this.#alive) return false;
    this.steps.push(what);
    if (this.steps.length >= this.killAtStep) this.kill();
    return this.#alive;
  }
}

const current = new AsyncLocalStorage<CrashableProcess>();

type Functions = Record<string, (...args: unknown[]) => unknown>;
const watched = ["rename", "mkdir", "rm", "symlink", "link", "writeFile", "open", "unlink"];

/** Make writes to files steps of the process that does them; the result undoes it. */
export function watchFiles(): () => void {
  const files = createRequire(import.meta.url)("node:fs/promises") as Functions;
  const originals = watched.map((name) => [name, files[name]] as const);
  for (const [name, original] of originals) {
    if (original === undefined) throw new Error(`there is no ${name}`);
    files[name] = async (...args: unknown[]): Promise<unknown> => {
      const process = current.getStore();
      const path = String(name === "rename" || name === "symlink" || name === "link" ? args[1] : args[0]);
      // Opening is a step because of what is written next. What finds all as it is to be changes nothing.
      const idle =
        (name === "open" && !/^[wa]/.test(String(args[1]))) ||
        (name === "mkdir" && existsSync(path)) ||
        (name === "rm" && !existsSync(path));
      if (process !== undefined && !idle) {
        await process.step(
          `${name} ${path
            .replaceAll(/[0-9a-f-]{8,}/g, "*")
            .split("/")
            .slice(-2)
            .join("/")}`,
        );
      }
      const result = await original(...args);
      // What a process has open is closed with it.
      if (name === "open") process?.onDeath(() => void (result as FileHandle).close().catch(() => undefined));
      if (process?.alive === false) await new Promise<never>(() => undefined);
      return result;
    };
  }
  syncBuiltinESMExports();
  return () => {
    for (const [name, original] of originals) if (original !== undefined) files[name] = original;
    syncBuiltinESMExports();
  };
}
