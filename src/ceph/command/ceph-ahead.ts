import { CephProcess } from "./ceph-process.ts";

/**
 * A `ceph` that was started before anybody needs it: its Python loads what `ceph` uses, a quarter of a second of
 * processor time, and waits for one line (sitecustomize.py). One that is not taken in time is ended.
 */
export class CephAhead {
  #waiting: { readonly process: CephProcess; readonly line: string; readonly timer: NodeJS.Timeout } | null =
    null;

  /** Start one, unless one waits. `keepMs`: milliseconds until it is ended. */
  start(
    argv: readonly [string, ...string[]],
    { maxBytes, keepMs }: { maxBytes: number; keepMs: number },
  ): void {
    if (this.#waiting !== null) return;
    const process = new CephProcess(argv, maxBytes, { MICROCEPH_CEPH_AHEAD: "1" });
    const timer = setTimeout(() => this.stop(), keepMs);
    timer.unref();
    this.#waiting = { process, line: JSON.stringify(argv), timer };
  }

  /** The one that waits with these arguments: from here on it goes on, as one that was just started. */
  take(argv: readonly [string, ...string[]]): CephProcess | undefined {
    const { process, line, timer } = this.#waiting ?? {};
    if (process === undefined || process.ended !== null || line !== JSON.stringify(argv)) return undefined;
    clearTimeout(timer);
    this.#waiting = null;
    process.write("\n");
    return process;
  }

  stop(): void {
    clearTimeout(this.#waiting?.timer);
    this.#waiting?.process.kill();
    this.#waiting = null;
  }
}
