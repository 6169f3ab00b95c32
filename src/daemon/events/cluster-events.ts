import type { Handle, PeerId } from "../../ids/ids.ts";
import type { ClusterDocument } from "../../state/document/cluster-document.ts";
import type { DocumentStore } from "../../state/document/document-store.ts";
import type { JournalCopy } from "../../state/journal/journal-copy.ts";
import { type CephSnapshot, cephEvents } from "./ceph-events.ts";
import { documentEvents } from "./document-events.ts";
import type { EventLog } from "./event-log.ts";
import { journalEvents } from "./journal-events.ts";
import { type LeaseReport, type LeaseTold, leaseEvents } from "./lease-events.ts";

export interface ClusterEventsDeps {
  readonly events: EventLog;
  /** Id of the cluster: what was told is remembered for each. */
  readonly cluster: string;
  readonly journal: Pick<JournalCopy, "head" | "records" | "entry" | "members" | "tombstones">;
  readonly document: Pick<DocumentStore, "view" | "refetching">;
}

const pageRecords = 256;
/** Of a journal that is new here only the latest records are news. */
const newsOfNewJournal = 100;

/**
 * Events that follow from what every member has by itself: each member concludes them from its own copy, so
 * nothing is sent for them, and each comes once. How far that went is kept with the events, over restarts.
 */
export class ClusterEvents {
  readonly #deps: ClusterEventsDeps;
  readonly #handles = new Map<PeerId, Handle>();
  #document: ClusterDocument | null = null;
  #lease: LeaseTold | null = null;
  #ceph: CephSnapshot | null = null;
  #cephAnswers: boolean | null = null;
  #leaseCount = 0;

  constructor(deps: ClusterEventsDeps) {
    this.#deps = deps;
  }

  /** Leases taken by anyone since the daemon started. */
  get leaseChanges(): number {
    return this.#leaseCount;
  }

  /** After journal and document are open. */
  start(): void {
    this.journalChanged();
    if (!this.#deps.document.refetching) this.#document = this.#deps.document.view();
  }

  journalChanged(): void {
    const { events, journal, cluster } = this.#deps;
    const head = journal.head()?.revision ?? 0;
    const cursor = `journal/${cluster}`;
    for (const [peer, { handle }] of journal.members()) this.#handles.set(peer, handle);
    const known = events.cursor(cursor) ?? Math.max(0, head - newsOfNewJournal);
    // A journal that was recovered may be shorter than the one before.
    let after = Math.min(known, head);
    for (;;) {
      const records = journal.records(after, pageRecords);
      for (const record of records) {
        after = record.revision;
        events.emitAll(
          journalEvents(
            record,
            ({ entry }) => journal.entry(entry),
            (peer) => this.handleOf(peer),
          ),
        );
      }
      if (records.length < pageRecords) break;
    }
    events.setCursor(cursor, after);
  }

  documentChanged(): void {
    const { document, events } = this.#deps;
    // Fetched whole for the first time, nothing in it is news.
    if (document.refetching) return;
    const now = document.view();
    const before = this.#document;
    this.#document = now;
    if (before !== null) events.emitAll(documentEvents(before, now, (peer) => this.handleOf(peer)));
  }

  presenceChanged(peer: PeerId, state: "alive" | "suspect" | "failed" | "left"): void {
    this.#deps.events.emit(`member.${state}`, { peer, handle: this.handleOf(peer) });
  }

  leaseChanged(report: LeaseReport): void {
    const { events, journal, cluster } = this.#deps;
    // A recovered cluster counts its epochs anew.
    const cursor = `lease/${cluster}/${journal.head()?.generation ?? 1}`;
    const told = this.#lease ?? { epoch: events.cursor(cursor) ?? 0, holder: null, quorum: null };
    const next = leaseEvents({ ...told, epoch: events.cursor(cursor) ?? 0 }, report);
    this.#lease = next.told;
    events.emitAll(next.events);
    this.#leaseCount += next.events.filter(({ type }) => type === "lease.taken").length;
    events.setCursor(cursor, next.told.epoch);
  }

  /** What Ceph's maps say now; null: its monitors do not answer. */
  cephChanged(snapshot: CephSnapshot | null): void {
    const { events } = this.#deps;
    const answers = snapshot !== null;
    if (this.#cephAnswers !== null && this.#cephAnswers !== answers) {
      events.emit(answers ? "ceph.reachable" : "ceph.unreachable", {});
    }
    this.#cephAnswers = answers;
    if (snapshot === null) return;
    // At the first look all is as it was.
    if (this.#ceph !== null) events.emitAll(cephEvents(this.#ceph, snapshot));
    this.#ceph = snapshot;
  }

  voterLost(peer: PeerId): void {
    this.#deps.events.emit("voter.lost", { peer, handle: this.handleOf(peer) }, { node: peer });
  }

  /** Also of one that was removed meanwhile. */
  handleOf(peer: PeerId): Handle | null {
    return this.#deps.journal.members().get(peer)?.handle ?? this.#handles.get(peer) ?? null;
  }
}
