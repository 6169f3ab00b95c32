import type { PresenceState } from "../../../src/mesh/presence/presence-core.ts";
import { Durations, Invariant, type InvariantReport } from "./measures.ts";
import { type Fault, type Timeline, warmUpMs } from "./timeline.ts";

/** So long after a fault nothing that follows from it is held against anybody: lost links are dialled again. */
const aftermathMs = 45_000;
export const suspectWithinMs = 3_000;
export const failedWithinMs = 10_000;
/** More for both where packets are lost and news is carried from one to the next: each loss costs 200 ms or more. */
export const carriedLateMs = 1_500;
/** So long after it was stopped a node may still doubt itself, and wait longer. */
const doubtMs = 15_000;
/** An edit is timed when nothing was wrong for so long. */
const quietMs = 60_000;

interface Edit {
  readonly heads: readonly string[];
  readonly at: number;
  readonly timed: boolean;
  readonly missing: Set<number>;
}

/** What really is, seen from outside, and what must hold of what the nodes believe. */
export class MeshTruth {
  readonly converged = new Durations();
  readonly suspected = new Durations();
  readonly failed = new Durations();
  falsePositives = 0;
  falseSuspicions = 0;
  readonly #timeline: Timeline;
  readonly #now: () => number;
  readonly #noFalsePositive = new Invariant("no member fails that is up and can be reached");
  readonly #noticed = new Invariant("a power-off is suspected after 3 s and failed after 10 s");
  readonly #edits: Edit[] = [];

  constructor(timeline: Timeline, now: () => number) {
    this.#timeline = timeline;
    this.#now = now;
  }

  /** A node has come to believe something of another. */
  believes(observer: number, about: number, state: PresenceState): void {
    const now = this.#now();
    if (now < warmUpMs / 2) return;
    if (state === "failed" || state === "suspect") this.#measure(observer, about, state, now);
    const excused = this.#timeline.excuses(observer, about, now - aftermathMs, now);
    if (state === "suspect" && !excused) this.falseSuspicions += 1;
    if (state !== "failed") return;
    if (!excused) this.falsePositives += 1;
    this.#noFalsePositive.check(
      excused,
      () => `${Math.round(now)} ms: n${observer + 1} believes that n${about + 1} has failed`,
    );
  }

  #measure(observer: number, about: number, state: "suspect" | "failed", now: number): void {
    const crash = this.#timeline.faults.find(
      (fault) =>
        fault.kind === "crash" &&
        fault.how === "power" &&
        fault.node === about &&
        fault.at <= now &&
        now < fault.until,
    );
    if (crash === undefined) return;
    // Only where this crash is all that happened to the two.
    if (this.#timeline.excuses(observer, about, crash.at - quietMs, now, crash)) return;
    if (this.#timeline.wasStopped(observer, crash.at - doubtMs, now)) return;
    const took = now - crash.at;
    (state === "suspect" ? this.suspected : this.failed).add(took);
  }

  /** So long after a power-off a peer of that node is asked what it believes. */
  askedAfter(ms: number, crash: Fault & { kind: "crash" }, observer: number, state: PresenceState): void {
    const now = this.#now();
    if (this.#timeline.excuses(observer, crash.node, crash.at - aftermathMs, now, crash)) return;
    if (this.#timeline.wasStopped(observer, crash.at - doubtMs, now)) return;
    const noticed = state === "failed" || (ms < failedWithinMs && state === "suspect");
    this.#noticed.check(
      noticed,
      () =>
        `${Math.round(now)} ms: n${observer + 1} sees n${crash.node + 1} ${state}, without power for ${ms} ms`,
    );
  }

  wrote(heads: readonly string[], others: Iterable<number>): void {
    const at = this.#now();
    const timed = at > warmUpMs && !this.#timeline.isTroubled(at, quietMs);
    this.#edits.push({ heads, at, timed, missing: new Set(others) });
  }

  /** The document of a node has changed. */
  documentChanged(self: number, has: (heads: readonly string[]) => boolean): void {
    for (const edit of [...this.#edits]) {
      if (!edit.missing.has(self) || !has(edit.heads)) continue;
      edit.missing.delete(self);
      if (edit.missing.size > 0) continue;
      const now = this.#now();
      if (edit.timed && !this.#timeline.isTroubled(now, 0)) this.converged.add(now - edit.at);
      this.#edits.splice(this.#edits.indexOf(edit), 1);
    }
  }

  invariants(): InvariantReport[] {
    return [this.#noFalsePositive.report(), this.#noticed.report()];
  }
}
