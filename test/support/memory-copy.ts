import { checkChain, type Tail, tailOf } from "../../src/state/journal/chain.ts";
import { foldRecords } from "../../src/state/journal/fold.ts";
import type { RecordSink } from "../../src/state/journal/read-records.ts";
import { numberOf, parseRecord } from "../../src/state/journal/record.ts";
import type { DecisionNumber, Entry, JournalRecord } from "../../src/state/journal/types.ts";

/** A copy of the journal in memory, under the same rules as the one on disk but for signatures. */
export class MemoryCopy implements RecordSink {
  readonly records: JournalRecord[] = [];
  #tail: Tail | null = null;
  /** Until another record comes. */
  #folded: readonly Entry[] | null = null;

  head(): DecisionNumber | null {
    const last = this.records.at(-1);
    return last ? numberOf(last) : null;
  }

  append(values: readonly unknown[]): number {
    let taken = 0;
    for (const value of values) {
      const record = parseRecord(value);
      if (!record) throw new Error("a record that cannot be read");
      if (record.revision <= (this.#tail?.revision ?? 0)) continue;
      const verdict = checkChain(this.#tail, record, null);
      if (verdict === "gap") break;
      if (verdict === "forked") throw new Error(`record ${record.revision} forks the journal`);
      this.records.push(record);
      this.#tail = tailOf(record);
      this.#folded = null;
      taken += 1;
    }
    return taken;
  }

  entries(): Entry[] {
    if (this.#folded === null) {
      const { entries, problems } = foldRecords(this.records);
      if (problems.length > 0) throw new Error(problems.join("; "));
      this.#folded = [...entries.values()];
    }
    return [...this.#folded];
  }

  openEntries(): Entry[] {
    return this.entries().filter((entry) => entry.state === "open");
  }
}
