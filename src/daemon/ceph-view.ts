import type { Logger } from "pino";
import type { CephHealth } from "../api/contract/status.ts";
import type { CephCommands, CephStatus, OsdTree, Pool } from "../ceph/command/commands.ts";
import { poolDefault } from "../ceph/control/crush-facts.ts";
import { messageOf } from "../errors/microceph-error.ts";
import type { CephSnapshot } from "./events/ceph-events.ts";

export interface CephLook {
  /** What events follow from. */
  readonly snapshot: CephSnapshot;
  /** Of the monitors' and the OSD map. */
  readonly epochs: CephStatus["epochs"];
}

export interface CephViewDeps {
  readonly ceph: () => CephCommands | null;
  readonly now: () => number;
  /** Milliseconds of a clock that nobody sets. */
  readonly steadyNow: () => number;
  readonly log: Logger;
  /** Called when Ceph's health or its numbers of daemons changed. */
  readonly onChange: () => void;
  /** Called after each look; null: not answered. */
  readonly onLook: (look: CephLook | null) => void;
}

/**
 * Milliseconds between two looks when nothing says that there is something to see: for what no event tells of
 * (used bytes, the clocks of the monitors), and while Ceph does not answer.
 */
const periodMs = { answering: 15_000, silent: 3_000 };
/** Milliseconds between two looks at least: while a cluster is built, there is something to see all the time. */
const gapMs = 250;
const callMs = 15_000;

/**
 * What Ceph last said of itself, kept fresh in the background, so that every read is answered at once and
 * with its age, also while Ceph has no quorum.
 */
export class CephView {
  readonly #deps: CephViewDeps;
  #health: CephHealth | null = null;
  #pools: readonly Pool[] = [];
  #tree: OsdTree | null = null;
  /** Epoch of the map that pools and tree are of; null: not known. */
  #mapOf: number | null = null;
  #defaultSize = 3;
  #answersNow = false;
  #timer: NodeJS.Timeout | undefined;
  #asking: Promise<void> | null = null;
  #again = false;
  #looks = 0;
  /** When the last look ended. */
  #lookedAt = Number.NEGATIVE_INFINITY;
  #misses = 0;
  #stop = new AbortController();

  constructor(deps: CephViewDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#stop = new AbortController();
    this.refresh();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    await this.#asking;
  }

  get health(): CephHealth | null {
    return this.#health;
  }

  /** How often Ceph was asked since the start. */
  get looks(): number {
    return this.#looks;
  }

  /** How many askings in a row were not answered. */
  get misses(): number {
    return this.#misses;
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

  /**
   * Look now, or very soon after the last look. What is under way may have begun before what is to be seen, so then
   * once more.
   */
  refresh(): void {
    if (this.#asking === null) this.#lookIn(this.#lookedAt + gapMs - this.#deps.steadyNow());
    else this.#again = true;
  }

  #lookIn(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#stop.signal.aborted) return;
    if (ms <= 0) {
      this.#look();
      return;
    }
    this.#timer = setTimeout(() => this.#look(), ms);
    this.#timer.unref();
  }

  #look(): void {
    this.#again = false;
    this.#asking ??= this.#ask()
      .catch((error) =>
        this.#deps.log.warn({ error: messageOf(error) }, "what Ceph said of itself was not told"),
      )
      .finally(() => {
        this.#asking = null;
        this.#lookedAt = this.#deps.steadyNow();
        const period = this.#answersNow ? periodMs.answering : periodMs.silent;
        this.#lookIn(this.#again ? gapMs : period);
      });
  }

  async #ask(): Promise<void> {
    const ceph = this.#deps.ceph();
    if (ceph === null) return;
    this.#looks += 1;
    const before = JSON.stringify([
      this.#health && { ...this.#health, asOf: "", usage: null },
      this.#answersNow,
    ]);
    try {
      const call = { deadlineMs: callMs, signal: this.#stop.signal };
      const status = await ceph.status(call);
      const tree = await this.#treeOf(ceph, status, call);
      if (this.#pools.length === 0) {
        this.#defaultSize = await poolDefault(ceph, "osd_pool_default_size", call);
      }
      this.#health = healthOf(status, this.#deps.now());
      this.#answersNow = true;
      this.#misses = 0;
      this.#deps.onLook({ snapshot: snapshotOf(status, tree), epochs: status.epochs });
    } catch (error) {
      this.#answersNow = false;
      // Monitors that come back can have been made anew, with other maps of the same epochs.
      this.#mapOf = null;
      this.#misses += 1;
      if (!this.#stop.signal.aborted) this.#deps.onLook(null);
      this.#deps.log.debug({ error: messageOf(error) }, "Ceph does not answer");
    }
    const after = JSON.stringify([
      this.#health && { ...this.#health, asOf: "", usage: null },
      this.#answersNow,
    ]);
    if (after !== before) this.#deps.onChange();
  }

  /** Pools and tree follow from the OSD map: what is known of one epoch is not asked for again. */
  async #treeOf(
    ceph: CephCommands,
    { epochs }: CephStatus,
    call: { readonly deadlineMs: number; readonly signal: AbortSignal },
  ): Promise<OsdTree> {
    if (this.#tree !== null && epochs.osds !== null && epochs.osds === this.#mapOf) return this.#tree;
    this.#mapOf = null;
    this.#pools = await ceph.pools(call);
    this.#tree = await ceph.osdTree(call);
    this.#mapOf = epochs.osds;
    return this.#tree;
  }
}

function snapshotOf(status: CephStatus, { osds }: OsdTree): CephSnapshot {
  return {
    osds: new Map(osds.map(({ id, up, reweight, host }) => [id, { up, in: reweight > 0, host }])),
    quorum: status.quorum,
  };
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
