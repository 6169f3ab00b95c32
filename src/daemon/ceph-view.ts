import type { Logger } from "pino";
import type { CephHealth } from "../api/contract/status.ts";
import type { CephCommands, CephStatus, Pool } from "../ceph/command/commands.ts";
import { poolDefault } from "../ceph/control/crush-facts.ts";
import { messageOf } from "../errors/microceph-error.ts";

export interface CephViewDeps {
  readonly ceph: () => CephCommands | null;
  readonly now: () => number;
  readonly log: Logger;
  /** Called when Ceph's health or its numbers of daemons changed. */
  readonly onChange: () => void;
}

const periodMs = 3_000;
const callMs = 2_500;

/**
 * What Ceph last said of itself, kept fresh in the background, so that every read is answered at once and
 * with its age, also while Ceph has no quorum.
 */
export class CephView {
  readonly #deps: CephViewDeps;
  #health: CephHealth | null = null;
  #pools: readonly Pool[] = [];
  #defaultSize = 3;
  #answersNow = false;
  #timer: NodeJS.Timeout | undefined;
  #asking: Promise<void> | null = null;
  #stop = new AbortController();

  constructor(deps: CephViewDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#stop = new AbortController();
    this.#timer = setInterval(() => this.refresh(), periodMs);
    this.#timer.unref();
    this.refresh();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort();
    await this.#asking;
  }

  get health(): CephHealth | null {
    return this.#health;
  }

  /** Whether the last asking was answered. */
  get answers(): boolean {
    return this.#answersNow;
  }

  /** As many OSDs are up as the largest pool, or else the default, has copies. */
  get storageReady(): boolean {
    const wanted =
      this.#pools.length === 0 ? this.#defaultSize : Math.max(...this.#pools.map(({ size }) => size));
    return this.#answersNow && (this.#health?.osds.up ?? 0) >= wanted;
  }

  refresh(): void {
    this.#asking ??= this.#ask()
      .catch((error) =>
        this.#deps.log.warn({ error: messageOf(error) }, "what Ceph said of itself was not told"),
      )
      .finally(() => {
        this.#asking = null;
      });
  }

  async #ask(): Promise<void> {
    const ceph = this.#deps.ceph();
    if (ceph === null) return;
    const before = JSON.stringify([
      this.#health && { ...this.#health, asOf: "", usage: null },
      this.#answersNow,
    ]);
    try {
      const call = { deadlineMs: callMs, signal: this.#stop.signal };
      const status = await ceph.status(call);
      this.#pools = await ceph.pools(call);
      if (this.#pools.length === 0) {
        this.#defaultSize = await poolDefault(ceph, "osd_pool_default_size", call);
      }
      this.#health = healthOf(status, this.#deps.now());
      this.#answersNow = true;
    } catch (error) {
      this.#answersNow = false;
      this.#deps.log.debug({ error: messageOf(error) }, "Ceph does not answer");
    }
    const after = JSON.stringify([
      this.#health && { ...this.#health, asOf: "", usage: null },
      this.#answersNow,
    ]);
    if (after !== before) this.#deps.onChange();
  }
}

function healthOf(status: CephStatus, now: number): CephHealth {
  return {
    status: status.health.status,
    checks: status.health.checks
      .filter((check) => !check.muted)
      .map(({ code, severity, message }) => ({ code, severity, summary: message })),
    asOf: new Date(now).toISOString(),
    monitors: { total: status.monitors, inQuorum: status.quorum.length },
    osds: { ...status.osds },
    pools: status.pgs.pools,
    usage: {
      totalBytes: status.bytes.total,
      usedBytes: status.bytes.used,
      availableBytes: status.bytes.available,
    },
  };
}
