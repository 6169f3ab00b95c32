import type { Logger } from "pino";
import { MicrocephError } from "../../errors/microceph-error.ts";
import type { ClusterId, EntryId, PeerId } from "../../ids/ids.ts";
import type { Tombstone } from "../../mesh/identity/certificate.ts";
import type { LocalStore } from "../store/local-store.ts";
import { checkChain, type Tail, tailOf } from "./chain.ts";
import { entryAfter, foldRecords } from "./fold.ts";
import { type JournalMember, type MemberProofs, type Membership, membershipOf } from "./members.ts";
import type { RecordSink } from "./read-records.ts";
import { numberOf, parseRecord, recordDomain, signedText, type Verify } from "./record.ts";
import { RecordTable } from "./record-table.ts";
import type { DecisionNumber, Entry, JournalRecord } from "./types.ts";

export interface JournalCopyOptions {
  readonly cluster: ClusterId;
  /** Base64 of the cluster's raw public key. */
  readonly clusterKey: string;
}

export interface JournalCopyDeps {
  readonly store: LocalStore;
  /** `verifyWithClusterKey` of the mesh. */
  readonly verify: Verify;
  readonly proofs: MemberProofs;
  readonly log: Logger;
}

const clusterRow = "journal/cluster";

/**
 * This node's signed, ordered copy of the journal: what it knows of the cluster without asking anybody. Takes
 * only records that the cluster's key has signed and that continue the chain.
 */
export class JournalCopy implements RecordSink {
  readonly #options: JournalCopyOptions;
  readonly #deps: JournalCopyDeps;
  readonly #listeners = new Set<(head: DecisionNumber) => void>();
  readonly #counters = { accepted: 0, malformed: 0, badSignature: 0, outOfOrder: 0, forked: 0, badFold: 0 };
  #table: RecordTable;
  #tail: Tail | null = null;
  #last: JournalRecord | null = null;
  #entries = new Map<EntryId, Entry>();
  #membership: Membership | null = null;

  constructor(options: JournalCopyOptions, deps: JournalCopyDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#table = new RecordTable(deps.store);
  }

  /**
   * Read what is stored. From the first damaged record on it is dropped: other members have it.
   * @throws STATE_CORRUPT when the copy is another cluster's
   */
  open(): void {
    const { store, log } = this.#deps;
    const { cluster } = this.#options;
    this.#table.create();
    const stored = store.get<string>(clusterRow);
    if (stored !== undefined && stored !== cluster) {
      throw new MicrocephError("STATE_CORRUPT", `the journal in ${store.path} is of cluster ${stored}`, {
        data: { path: store.path, stored, cluster },
      });
    }
    store.put(clusterRow, cluster);
    const { dropped } = this.#table.dropDamaged();
    if (dropped > 0) log.warn({ dropped }, "damaged records of the journal dropped");
    this.#refold();
  }

  /** Forget everything, for a node that leaves its cluster. */
  clear(): void {
    const { store } = this.#deps;
    store.transaction(() => {
      this.#table.deleteFrom(1);
      store.delete(clusterRow);
    });
    this.#refold();
  }

  head(): DecisionNumber | null {
    return this.#last ? numberOf(this.#last) : null;
  }

  /** Newest record: its time is the age of what is known here. */
  last(): JournalRecord | null {
    return this.#last;
  }

  /** Hash of the record with this revision, "" for 0 and for one that is not here. */
  hashAt(revision: number): string {
    return this.#table.hashAt(revision) ?? "";
  }

  /**
   * Take records that continue the copy, in order; ones it has are skipped, others are counted and left. A
   * record of a later generation replaces what an older one has from its revision on: the cluster was
   * recovered without those. @returns how many were taken; they are durable
   */
  append(records: readonly unknown[]): number {
    const taken: JournalRecord[] = [];
    let tail = this.#tail;
    let replaceFrom: number | null = null;
    for (const value of records) {
      const record = parseRecord(value);
      if (!record) {
        this.#counters.malformed += 1;
        break;
      }
      const before = taken.length > 0 ? null : this.#storedBefore(record);
      if (before?.same) continue;
      const verdict = checkChain(before ? before.tail : tail, record, before?.replaced ?? null);
      if (verdict !== "continues" || !this.#isSigned(record)) {
        this.#refuse(record, verdict);
        break;
      }
      if (before) replaceFrom = record.revision;
      taken.push(record);
      tail = tailOf(record);
    }
    if (taken.length === 0) return 0;
    this.#deps.store.transaction(() => {
      if (replaceFrom !== null) this.#table.deleteFrom(replaceFrom);
      for (const record of taken) this.#table.insert(record);
    });
    this.#counters.accepted += taken.length;
    if (replaceFrom !== null) this.#refold();
    else this.#fold(taken);
    const head = this.head();
    if (head) for (const listener of this.#listeners) listener(head);
    return taken.length;
  }

  /** At most `limit` records after a revision, in order. */
  records(after: number, limit: number): JournalRecord[] {
    return this.#table.read(after, limit);
  }

  /** All entries, in the order of their opening. */
  entries(): Entry[] {
    return [...this.#entries.values()];
  }

  entry(id: EntryId): Entry | undefined {
    return this.#entries.get(id);
  }

  openEntries(): Entry[] {
    return this.entries().filter((entry) => entry.state === "open");
  }

  members(): ReadonlyMap<PeerId, JournalMember> {
    return this.#members().members;
  }

  tombstones(): ReadonlyMap<PeerId, Tombstone> {
    return this.#members().tombstones;
  }

  /** @returns the way to stop listening */
  on(_event: "change", listener: (head: DecisionNumber) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters };
  }

  /** When the record's revision is stored already: the same record, or what it would replace. */
  #storedBefore(record: JournalRecord): { same: boolean; tail: Tail | null; replaced: JournalRecord } | null {
    if (this.#tail === null || record.revision > this.#tail.revision) return null;
    const [replaced] = this.#table.read(record.revision - 1, 1);
    if (!replaced) return null;
    const [previous] = record.revision > 1 ? this.#table.read(record.revision - 2, 1) : [];
    const same = this.#table.hashAt(record.revision) === tailOf(record).hash;
    return { same, tail: previous ? tailOf(previous) : null, replaced };
  }

  #isSigned(record: JournalRecord): boolean {
    const { verify } = this.#deps;
    return verify(this.#options.clusterKey, recordDomain, signedText(record), record.signature);
  }

  #refuse(record: JournalRecord, verdict: ReturnType<typeof checkChain>): void {
    const { revision, generation } = record;
    switch (verdict) {
      case "continues":
        this.#counters.badSignature += 1;
        this.#deps.log.warn({ revision, generation }, "record of the journal with a wrong signature");
        return;
      case "gap":
        this.#counters.outOfOrder += 1;
        return;
      case "forked":
        this.#counters.forked += 1;
        this.#deps.log.error({ revision, generation }, "record of the journal that contradicts the copy");
        return;
    }
  }

  #fold(records: readonly JournalRecord[]): void {
    for (const record of records) {
      const after = entryAfter(this.#entries.get(record.entry), record);
      if (after.ok) this.#entries.set(record.entry, after.entry);
      else this.#badFold(after.problem);
      this.#last = record;
    }
    this.#tail = this.#last ? tailOf(this.#last) : null;
    this.#membership = null;
  }

  #refold(): void {
    const records = this.#table.read(0, Number.MAX_SAFE_INTEGER);
    const { entries, problems } = foldRecords(records);
    for (const problem of problems) this.#badFold(problem);
    this.#entries = entries;
    this.#last = records.at(-1) ?? null;
    this.#tail = this.#last ? tailOf(this.#last) : null;
    this.#membership = null;
  }

  #badFold(problem: string): void {
    this.#counters.badFold += 1;
    this.#deps.log.error({ problem }, "record of the journal that fits no entry");
  }

  #members(): Membership {
    this.#membership ??= membershipOf(this.#entries.values(), this.#deps.proofs);
    return this.#membership;
  }
}
