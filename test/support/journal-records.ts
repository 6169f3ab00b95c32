import { type EntryId, handle, type PeerId, peerId } from "../../src/ids/ids.ts";
import { signCertificate, signTombstone } from "../../src/mesh/identity/certificate.ts";
import { generateClusterKey, signWithClusterKey } from "../../src/mesh/identity/cluster-key.ts";
import { entryIdOf } from "../../src/state/journal/numbers.ts";
import { hashOf, recordDomain, signedText } from "../../src/state/journal/record.ts";
import type { JournalRecord } from "../../src/state/journal/types.ts";

export const key = generateClusterKey();
export const holder: PeerId = peerId(`12D3KooW${"a".repeat(44)}`);
export const agentPeer: PeerId = peerId(`12D3KooW${"b".repeat(44)}`);

type Part = Partial<JournalRecord> & Pick<JournalRecord, "event">;

/** A chain of well-formed records, signed with the test cluster's key. */
export class RecordChain {
  readonly records: JournalRecord[];
  generation = 1;
  epoch = 10;

  constructor(records: readonly JournalRecord[] = []) {
    this.records = [...records];
  }

  /** One more record that continues the chain; any field may be given otherwise. */
  add(part: Part): JournalRecord {
    const previous = this.records.at(-1);
    const revision = (previous?.revision ?? 0) + 1;
    const number = { generation: this.generation, revision };
    const kind = part.kind ?? "test.thing";
    const unsigned = {
      v: 1 as const,
      ...number,
      epoch: this.epoch,
      at: new Date(1_700_000_000_000 + revision * 1000).toISOString(),
      by: holder,
      entry: entryIdOf(number, kind),
      kind,
      body: null,
      agent: null,
      result: null,
      reason: "",
      previous: previous ? hashOf(previous) : "",
      ...part,
    };
    const signature = part.signature ?? signWithClusterKey(key, recordDomain, signedText(unsigned));
    const record: JournalRecord = { ...unsigned, signature };
    this.records.push(record);
    return record;
  }

  open(part: Partial<JournalRecord> = {}): EntryId {
    return this.add({ event: "open", ...part }).entry;
  }

  /** An admission that is done. */
  admit(number: number): PeerId {
    const peer = peerId(`12D3KooW${"cdefgh".charAt(number).repeat(44)}`);
    const name = `n${number}`;
    const fields = { peer, handle: handle(name), generation: 1, decision: this.records.length + 1 };
    const certificate = { ...signCertificate(fields, key) };
    const entry = this.open({ kind: "member.admit", body: { peer, name, handle: name } });
    this.add({ event: "done", kind: "member.admit", entry, result: { certificate } });
    return peer;
  }

  /** A removal that is done. */
  remove(peer: PeerId, name: string): void {
    const fields = { peer, handle: handle(name), generation: 1, decision: this.records.length + 1 };
    const tombstone = { ...signTombstone(fields, key) };
    const entry = this.open({ kind: "member.remove", body: { peer, handle: name } });
    this.add({ event: "done", kind: "member.remove", entry, result: { tombstone } });
  }
}
