import { type EntryId, entryId, type Handle, handle, type PeerId } from "../../../src/ids/ids.ts";
import { type MemberCertificate, signCertificate } from "../../../src/mesh/identity/certificate.ts";
import type { ClusterKey } from "../../../src/mesh/identity/cluster-key.ts";
import type { AdmissionFacts } from "../../../src/mesh/membership/admission-facts.ts";
import type { JournalStanding } from "../../../src/mesh/membership/claim-standing.ts";

export interface SimEntry {
  readonly entry: EntryId;
  readonly peer: PeerId;
  readonly name: string;
  readonly handle: Handle;
  readonly openedAt: number;
  readonly opened: number;
}

type SimRecord =
  | { readonly event: "open"; readonly entry: SimEntry }
  | { readonly event: "done"; readonly entry: SimEntry; readonly certificate: MemberCertificate }
  | { readonly event: "abandoned"; readonly entry: SimEntry; readonly reason: string };

/** The agreed journal of one cluster: what consensus would keep. Copies are prefixes of it. */
export class SimJournal {
  readonly key: ClusterKey;
  readonly name: string;
  readonly founder: PeerId;
  readonly founders: ReadonlySet<PeerId>;
  readonly records: SimRecord[] = [];
  /** Who may append; null while nobody can. */
  holder: PeerId | null;
  holderLostAt = 0;

  constructor(key: ClusterKey, name: string, founder: PeerId, acceptors: readonly PeerId[]) {
    this.key = key;
    this.name = name;
    this.founder = founder;
    this.founders = new Set([founder, ...acceptors]);
    this.holder = founder;
  }

  open(peer: PeerId, name: string, given: Handle, now: number): SimEntry {
    const opened = this.records.length + 1;
    const entry = {
      entry: entryId(`${opened}-member.admit`),
      peer,
      name,
      handle: given,
      openedAt: now,
      opened,
    };
    this.records.push({ event: "open", entry });
    return entry;
  }

  done(id: EntryId): void {
    const entry = this.reservations().find((one) => one.entry === id);
    if (entry === undefined) return;
    const decision = this.records.length + 1;
    const certificate = signCertificate(
      { peer: entry.peer, handle: entry.handle, generation: 1, decision },
      this.key,
    );
    this.records.push({ event: "done", entry, certificate });
  }

  abandon(id: EntryId, reason: string): void {
    const entry = this.reservations().find((one) => one.entry === id);
    if (entry !== undefined) this.records.push({ event: "abandoned", entry, reason });
  }

  reservations(): SimEntry[] {
    const open = new Map<EntryId, SimEntry>();
    for (const record of this.records) {
      if (record.event === "open") open.set(record.entry.entry, record.entry);
      else open.delete(record.entry.entry);
    }
    return [...open.values()];
  }

  members(): Map<PeerId, { entry: SimEntry; certificate: MemberCertificate }> {
    const members = new Map<PeerId, { entry: SimEntry; certificate: MemberCertificate }>();
    for (const record of this.records) {
      if (record.event === "done") {
        members.set(record.entry.peer, { entry: record.entry, certificate: record.certificate });
      }
    }
    return members;
  }

  /** What a copy that has the first `head` records says of a node. */
  standing(peer: PeerId, head: number): JournalStanding {
    let certificate: MemberCertificate | null = null;
    let admission: JournalStanding["admission"] = null;
    for (const record of this.records.slice(0, head)) {
      if (record.entry.peer !== peer) continue;
      admission = record.event;
      if (record.event === "done") certificate = record.certificate;
    }
    return {
      head: head === 0 ? null : { generation: 1, revision: head },
      certificate,
      tombstone: null,
      admission,
      denied: false,
    };
  }

  facts(): AdmissionFacts["journal"] {
    const number = (entry: SimEntry): { generation: number; revision: number } => ({
      generation: 1,
      revision: entry.opened,
    });
    return {
      members: new Map(
        [...this.members()].map(([peer, { entry }]) => [
          peer,
          { handle: entry.handle, entry: entry.entry, openedNumber: number(entry) },
        ]),
      ),
      reservations: this.reservations().map((entry) => ({ ...entry, openedNumber: number(entry) })),
      tombstones: new Set(),
      handlesEverGiven: new Set(
        this.records.flatMap(({ event, entry }) => (event === "done" ? [entry.handle] : [])),
      ),
      founders: this.founders,
    };
  }
}

export const firstHandle = (name: string): Handle => handle(name);
