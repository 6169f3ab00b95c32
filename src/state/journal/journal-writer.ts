import type { Logger } from "pino";
import { MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { ClusterId, EntryId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { Compare, EtcdApi, Kv, Operation } from "../etcd/etcd-api.ts";
import { type Lease, leaseKey } from "../lease/lease-value.ts";
import { entryAfter } from "./fold.ts";
import { closedKey, entryKey, headKey, recordKey } from "./keys.ts";
import { entryIdOf } from "./numbers.ts";
import { catchUp, type RecordSink } from "./read-records.ts";
import { hashOf, maxRecordBytes, parseRecord, parseRecordText, signedText } from "./record.ts";
import { decodeEntry, decodeHead, encodeEntry, encodeHead, type Head } from "./stored.ts";
import type { Entry, JournalRecord, RecordEvent } from "./types.ts";

/** What the journal says, in one linearizable read under our lease. */
export interface View {
  readonly head: Head | null;
  /** etcd's revision of the head key: the next record is written only if it is still this. */
  readonly headRevision: number;
  readonly entry: Entry | null;
  /** Epoch under which the entry got its number. */
  readonly stampedUnder: number | null;
}

/** A record to be written; for `open` the entry gets its id from the record's number. */
export interface RecordDraft {
  readonly event: RecordEvent;
  readonly entry: Entry | null;
  readonly kind: string;
  readonly body: Json;
  readonly agent: JournalRecord["agent"];
  readonly result: Json;
  readonly reason: string;
}

export interface JournalWriterDeps {
  readonly etcd: EtcdApi;
  readonly signRecord: (text: string) => string;
  readonly copy: RecordSink;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly log: Logger;
}

/** Tries of one and the same record whose outcome stays unknown, before the caller is told so. */
const triesOfOne = 2;

/**
 * Writes one record at a time by a transaction that succeeds only if the lease key is exactly ours and the
 * head is the one that was read. A record whose outcome is unknown is looked up before anything else is
 * written; written again it is the same bytes under the same number, so it can take effect only once.
 */
export class JournalWriter {
  readonly #options: { readonly cluster: ClusterId; readonly generation: number };
  readonly #deps: JournalWriterDeps;
  /** Given up with unknown outcome: all continue the same head, so at most one can still be applied. */
  #unsettled: JournalRecord[] = [];

  constructor(options: { cluster: ClusterId; generation: number }, deps: JournalWriterDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Throws LEASE_LOST when the lease is not the given one any more, STATE_CORRUPT for another cluster's journal. */
  async read(lease: Lease, id: EntryId | null): Promise<View> {
    const { responses } = await this.#deps.etcd.txn({
      compare: [],
      success: [
        { do: "range", key: leaseKey },
        { do: "range", key: headKey },
        ...(id === null ? [] : ([{ do: "range", key: entryKey(id) }] as const)),
        ...(id === null ? [] : ([{ do: "range", key: closedKey(id) }] as const)),
      ],
      failure: [],
    });
    const [leaseKv, headKv, openKv, closedKv] = responses.map((response) => response.kvs[0]);
    requireLease(leaseKv, lease);
    const head = headKv ? decodeHead(headKv.value) : null;
    if (head && head.cluster !== this.#options.cluster) {
      throw new MicrocephError("STATE_CORRUPT", `etcd holds the journal of another cluster, ${head.cluster}`);
    }
    const entryKv = openKv ?? closedKv;
    const stored = entryKv ? decodeEntry(entryKv.value) : null;
    return {
      head,
      headRevision: headKv?.modRevision ?? 0,
      entry: stored?.entry ?? null,
      stampedUnder: stored?.epoch ?? null,
    };
  }

  /**
   * @returns the entry afterwards, or "overtaken" when the head has moved since the view: read again
   * @throws LEASE_LOST; or, with the outcome unknown, what the last try threw
   */
  async write(lease: Lease, view: View, draft: RecordDraft): Promise<Entry | "overtaken"> {
    const record = this.#record(lease, view, draft);
    const after = entryAfter(draft.entry ?? undefined, record);
    if (!after.ok) throw new Error(after.problem);
    for (let tries = 1; ; tries += 1) {
      try {
        const written = await this.#try(lease, view, record, after.entry);
        if (written) await this.#written(record);
        return written ? after.entry : "overtaken";
      } catch (error) {
        if (error instanceof MicrocephError && error.code === "LEASE_LOST") throw error;
        const found = await this.#lookUp(record).catch(() => "unknown" as const);
        if (found === "written") {
          await this.#written(record);
          return after.entry;
        }
        if (found === "overtaken") return "overtaken";
        if (found === "absent" && tries < triesOfOne) continue;
        this.#unsettled.push(record);
        throw error;
      }
    }
  }

  /**
   * Look up what was given up with unknown outcome. @returns the record that turns out to have been written
   * after all; null: none was (so far)
   */
  async settle(): Promise<JournalRecord | null> {
    const [first] = this.#unsettled;
    if (!first) return null;
    const there = await this.#recordAt(first.revision);
    if (!there) return null;
    const late = this.#unsettled.find((record) => hashOf(record) === hashOf(there)) ?? null;
    if (late) await this.#written(late);
    this.#unsettled = [];
    return late;
  }

  #record(lease: Lease, view: View, draft: RecordDraft): JournalRecord {
    const number = {
      generation: Math.max(this.#options.generation, view.head?.generation ?? 1),
      revision: (view.head?.revision ?? 0) + 1,
    };
    const { event, kind, body, agent, result, reason } = draft;
    const unsigned = {
      v: 1 as const,
      ...number,
      epoch: lease.epoch,
      at: new Date(this.#deps.now()).toISOString(),
      by: lease.holder,
      entry: draft.entry?.id ?? entryIdOf(number, kind),
      event,
      kind,
      body,
      agent,
      result,
      reason: reason.slice(0, 1000),
      previous: view.head?.hash ?? "",
    };
    const text = signedText(unsigned);
    if (Buffer.byteLength(text) > maxRecordBytes) {
      throw new TypeError(`a record of more than ${maxRecordBytes} bytes: ${event} of ${unsigned.entry}`);
    }
    const record = parseRecord({ ...unsigned, signature: this.#deps.signRecord(text) });
    if (!record) throw new TypeError(`not a valid record: ${event} of ${unsigned.entry}`);
    return record;
  }

  async #try(lease: Lease, view: View, record: JournalRecord, entry: Entry): Promise<boolean> {
    const { generation, revision, epoch } = record;
    const head = { cluster: this.#options.cluster, generation, revision, hash: hashOf(record), epoch };
    // Handing over or ending an entry leaves its number, and so the epoch of that number, as they are.
    const stampedUnder = record.event === "handed" ? (view.stampedUnder ?? epoch) : epoch;
    const value = encodeEntry({ epoch: stampedUnder, entry });
    const put: Operation[] =
      entry.state === "open"
        ? [{ do: "put", key: entryKey(entry.id), value }]
        : [
            { do: "delete", key: entryKey(entry.id) },
            { do: "put", key: closedKey(entry.id), value },
          ];
    const result = await this.#deps.etcd.txn({
      compare: [
        ...holds(lease),
        { key: headKey, target: "mod", result: "equal", revision: view.headRevision },
      ],
      success: [
        { do: "put", key: recordKey(revision), value: JSON.stringify(record) },
        { do: "put", key: headKey, value: encodeHead(head) },
        ...put,
      ],
      failure: [
        { do: "range", key: leaseKey },
        { do: "range", key: recordKey(revision) },
      ],
    });
    if (result.succeeded) return true;
    const [leaseKv, recordKv] = result.responses.map((response) => response.kvs[0]);
    // An earlier try of the same record, taken for lost, counts as this one.
    if (recordKv && isThis(record, recordKv.value)) return true;
    requireLease(leaseKv, lease);
    return false;
  }

  async #lookUp(record: JournalRecord): Promise<"written" | "overtaken" | "absent"> {
    const there = await this.#recordAt(record.revision);
    if (!there) return "absent";
    return hashOf(there) === hashOf(record) ? "written" : "overtaken";
  }

  async #recordAt(revision: number): Promise<JournalRecord | undefined> {
    const { kvs } = await this.#deps.etcd.range(recordKey(revision));
    return kvs[0] ? parseRecordText(kvs[0].value) : undefined;
  }

  /** The own copy knows what we wrote before our caller does; should that fail, the watch brings it. */
  async #written(record: JournalRecord): Promise<void> {
    this.#unsettled = [];
    const { etcd, copy, log } = this.#deps;
    try {
      if ((copy.head()?.revision ?? 0) < record.revision - 1) await catchUp(etcd, copy);
      copy.append([record]);
    } catch (error) {
      log.warn({ error: messageOf(error), revision: record.revision }, "record not copied yet");
    }
  }
}

/** True exactly while this very lease is held: a key made anew has another create revision. */
export function holds(lease: Lease): Compare[] {
  return [{ key: leaseKey, target: "create", result: "equal", revision: lease.epoch }];
}

export function requireLease(kv: Kv | undefined, lease: Lease): void {
  if (kv?.createRevision === lease.epoch) return;
  throw new MicrocephError("LEASE_LOST", `the leader lease of epoch ${lease.epoch} is held no more`, {
    data: { epoch: lease.epoch },
  });
}

function isThis(record: JournalRecord, text: string): boolean {
  const there = parseRecordText(text);
  return there !== undefined && hashOf(there) === hashOf(record);
}
