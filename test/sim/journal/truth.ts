import type { EntryId } from "../../../src/ids/ids.ts";
import type { WatchEvent } from "../../../src/state/etcd/etcd-api.ts";
import { entryAfter } from "../../../src/state/journal/fold.ts";
import { entryPrefix, recordPrefix } from "../../../src/state/journal/keys.ts";
import { compareNumbers, sameNumber } from "../../../src/state/journal/numbers.ts";
import { numberOf, parseRecordText } from "../../../src/state/journal/record.ts";
import type { DecisionNumber, Entry, JournalRecord } from "../../../src/state/journal/types.ts";

/** An irreversible act, as it happens. */
export interface Act {
  readonly node: string;
  readonly entry: EntryId;
  /** Number of the order that it follows, and the epoch of the holder that gave the order. */
  readonly number: DecisionNumber;
  readonly epoch: number;
  /** Virtual time at which the agent began the step. */
  readonly begunAt: number;
}

interface Stamp {
  readonly number: DecisionNumber;
  readonly at: number;
}

/**
 * What really happened, seen from outside, and what must hold of it:
 * - numbers: records follow each other without gap, and no lease writes after a later one has written;
 * - combined: at most one monitor change is open at a time, and none is carried out by order of a holder after
 *   a later holder has taken it up;
 * - overtaken: none is carried out under a number that was overtaken before its agent began;
 * - twice: each is carried out at most once;
 * - ended: none is carried out that has ended already.
 */
export class Truth {
  readonly violations: { readonly rule: string; readonly text: string }[] = [];
  readonly entries = new Map<EntryId, Entry>();
  readonly acts: Act[] = [];
  readonly records: JournalRecord[] = [];
  readonly #stamps = new Map<EntryId, Stamp[]>();
  /** When each holder began to act, by epoch. */
  readonly #takenUp = new Map<number, number>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** To be told of everything that is applied in etcd. */
  applied(events: readonly WatchEvent[]): void {
    for (const { type, kv } of events) {
      if (type === "put" && kv.key.startsWith(recordPrefix)) this.#recorded(kv.value);
      if (type === "put" && kv.key.startsWith(entryPrefix)) this.#oneAtATime();
    }
  }

  /** A holder begins to carry out what is open. */
  takesUp(epoch: number): void {
    if (!this.#takenUp.has(epoch)) this.#takenUp.set(epoch, this.#now());
  }

  act(act: Act): void {
    const { entry: id, number, epoch, begunAt } = act;
    if (this.acts.some((earlier) => earlier.entry === id)) this.#violated("twice", `${id} carried out twice`);
    this.acts.push(act);
    const entry = this.entries.get(id);
    if (entry?.state !== "open") this.#violated("ended", `${id} carried out when ${entry?.state}`);
    const stamps = this.#stamps.get(id) ?? [];
    const index = stamps.findIndex((stamp) => sameNumber(stamp.number, number));
    const overtakenAt = stamps[index + 1]?.at ?? Number.POSITIVE_INFINITY;
    if (index < 0 || overtakenAt < begunAt) {
      this.#violated("overtaken", `${id} carried out under ${number.revision}, overtaken before it began`);
    }
    for (const [later, at] of this.#takenUp) {
      if (later > epoch && at < begunAt) {
        this.#violated("combined", `${id} carried out by order of ${epoch} after ${later} had taken it up`);
      }
    }
  }

  #recorded(text: string): void {
    const record = parseRecordText(text);
    if (!record) {
      this.#violated("numbers", "an unreadable record");
      return;
    }
    const before = this.records.at(-1);
    this.records.push(record);
    if (before) {
      if (
        compareNumbers(numberOf(before), numberOf(record)) >= 0 ||
        record.revision !== before.revision + 1
      ) {
        this.#violated("numbers", `record ${record.revision} after ${before.revision}`);
      }
      if (record.epoch < before.epoch) {
        this.#violated("numbers", `record ${record.revision} by epoch ${record.epoch} after ${before.epoch}`);
      }
    }
    const after = entryAfter(this.entries.get(record.entry), record);
    if (!after.ok) {
      this.#violated("numbers", after.problem);
      return;
    }
    this.entries.set(record.entry, after.entry);
    if (record.event === "open" || record.event === "restamp") {
      const stamps = this.#stamps.get(record.entry) ?? [];
      this.#stamps.set(record.entry, [...stamps, { number: numberOf(record), at: this.#now() }]);
    }
  }

  #oneAtATime(): void {
    const open = [...this.entries.values()].filter((entry) => entry.state === "open");
    if (open.length > 1) {
      this.#violated("combined", `${open.map((entry) => entry.id).join(" and ")} are open at once`);
    }
  }

  #violated(rule: string, text: string): void {
    this.violations.push({ rule, text: `${Math.round(this.#now())} ms: ${rule}: ${text}` });
  }
}
