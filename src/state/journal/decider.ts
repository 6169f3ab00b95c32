import type { Logger } from "pino";
import { MicrocephError } from "../../errors/microceph-error.ts";
import { canonicalJson } from "../../ids/canonical-json.ts";
import type { ClusterId, EntryId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { EtcdApi } from "../etcd/etcd-api.ts";
import type { Lease } from "../lease/lease-value.ts";
import { mustBeAcknowledged } from "./fold.ts";
import { JournalWriter, type RecordDraft, type View } from "./journal-writer.ts";
import { entryKey, entryPrefix } from "./keys.ts";
import { compareNumbers, sameNumber } from "./numbers.ts";
import { catchUp, type RecordSink } from "./read-records.ts";
import { recordDomain, type Sign } from "./record.ts";
import { Secrets } from "./secrets.ts";
import { decodeEntry, type StoredEntry } from "./stored.ts";
import type { DecisionNumber, Draft, Entry, JournalRecord } from "./types.ts";

export interface DeciderOptions {
  readonly cluster: ClusterId;
  /** At least this one; what the journal in etcd says wins when it is higher. 1 at founding. */
  readonly generation: number;
}

export interface DeciderDeps<Key> {
  readonly etcd: EtcdApi;
  readonly lease: { held(): Lease | null };
  readonly clusterKey: () => Key;
  /** `signWithClusterKey` of the mesh. */
  readonly sign: Sign<Key>;
  /** The own copy of the journal: it has every record of ours before the call that wrote it returns. */
  readonly copy: RecordSink;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly log: Logger;
}

export interface Ending {
  readonly result?: Json;
  readonly reason: string;
  /** The agent has durably promised not to carry it out. */
  readonly cancelAcknowledged?: boolean;
  /** The agent was removed, or is away and declared dead or lost: no promise of it is needed. */
  readonly agentGone?: boolean;
}

/** How often a write begins again because the head had moved; only our own calls move it under our lease. */
const rounds = 5;

/**
 * Writes decisions while we hold the lease, one record after the other. Throws LEASE_LOST without it,
 * NOT_READY before `restampOpen` has been done under it, NO_QUORUM or DEADLINE_EXCEEDED with the outcome
 * unknown: the same call made again then finds out, and does it only once.
 */
export class Decider<Key = unknown> {
  readonly #deps: DeciderDeps<Key>;
  readonly #writer: JournalWriter;
  readonly #secrets: Secrets;
  /** Epoch under which all open entries have been re-stamped. */
  #readyEpoch: number | null = null;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: DeciderOptions, deps: DeciderDeps<Key>) {
    const { etcd, copy, now, log, sign, clusterKey } = deps;
    this.#deps = deps;
    const signRecord = (text: string): string => sign(clusterKey(), recordDomain, text);
    this.#writer = new JournalWriter(options, { etcd, copy, now, log, signRecord });
    this.#secrets = new Secrets({ etcd, lease: () => this.#lease() });
  }

  /**
   * Decide something. After an unknown outcome the same draft returns the entry that the first call made, and
   * another draft is refused with STALE_DECISION: it was planned without knowing of that entry. With `epoch`,
   * that of the lease under which it was planned, it is refused with LEASE_LOST under any other: a plan that
   * was made before the lease went to somebody and came back is out of date.
   */
  open(draft: Draft, planned: { readonly epoch?: number } = {}): Promise<Entry> {
    return this.#inTurn(async () => {
      if (planned.epoch !== undefined && planned.epoch !== this.#lease().epoch) {
        throw new MicrocephError("LEASE_LOST", `planned under the lease of epoch ${planned.epoch}`);
      }
      const { kind, body, agent, reason } = draft;
      const record: RecordDraft = { event: "open", entry: null, kind, body, agent, result: null, reason };
      return this.#write(null, () => record, draft);
    });
  }

  /** Record, before it is sent, that the entry's agent may have it. Idempotent. */
  handed(id: EntryId): Promise<Entry> {
    return this.#change(id, (entry) => (entry.handed ? null : change(entry, "handed", null, "")));
  }

  /** Give one open entry a new number: its agent has obeyed a later one. */
  restamp(id: EntryId): Promise<Entry> {
    return this.#change(id, (entry) => change(entry, "restamp", null, "its agent has obeyed a later number"));
  }

  /**
   * End an entry. Idempotent; STALE_DECISION when it has ended the other way. Throws CANCEL_NOT_ACKNOWLEDGED
   * for abandoning a handed entry without its agent's promise, unless that agent is gone for good.
   */
  close(id: EntryId, state: "done" | "abandoned", ending: Ending): Promise<Entry> {
    return this.#inTurn(() =>
      this.#write(id, ({ entry }) => {
        if (!entry) throw unknownEntry(id);
        if (entry.state === state) return entry;
        if (entry.state !== "open") {
          throw new MicrocephError("STALE_DECISION", `decision ${id} is ${entry.state} already`);
        }
        if (state === "done") return change(entry, "done", ending.result ?? null, ending.reason);
        const cancelAcknowledged = ending.cancelAcknowledged ?? false;
        const agentGone = ending.agentGone ?? false;
        if (mustBeAcknowledged(entry) && !cancelAcknowledged && !agentGone) {
          throw new MicrocephError("CANCEL_NOT_ACKNOWLEDGED", `decision ${id} is in its agent's hands`, {
            data: { entry: id, agent: entry.agent },
          });
        }
        const result = { cancelAcknowledged, ...(agentGone ? { agentGone } : {}) };
        return change(entry, "abandoned", result, ending.reason);
      }),
    );
  }

  /**
   * First thing under a new lease: bring the copy up to date and give every open entry a new number, so that
   * what an earlier holder has sent is overtaken. @returns the open entries, oldest first
   */
  restampOpen(): Promise<Entry[]> {
    return this.#inTurn(async () => {
      const { etcd, copy } = this.#deps;
      const lease = this.#lease();
      await this.#writer.settle();
      await catchUp(etcd, copy);
      const before = await this.#openEntries();
      const entries: Entry[] = [];
      for (const stored of before) {
        entries.push(stored.epoch === lease.epoch ? stored.entry : await this.#restampUnder(lease, stored));
      }
      // Even with nothing to stamp the lease must have been ours when the entries were read.
      await this.#writer.read(lease, null);
      this.#readyEpoch = lease.epoch;
      return entries;
    });
  }

  /**
   * Linearizable: is the entry open under exactly this number? Any voter may ask, with or without the lease.
   * Throws without a majority, and then nothing irreversible may be done.
   */
  async confirm(id: EntryId, number: DecisionNumber, signal?: AbortSignal): Promise<boolean> {
    const { kvs } = await this.#deps.etcd.range(entryKey(id), signal ? { signal } : {});
    const [kv] = kvs;
    if (!kv) return false;
    const { entry } = decodeEntry(kv.value);
    return entry.state === "open" && sameNumber(entry.number, number);
  }

  /** Fenced by the lease as decisions are. */
  putSecret(name: string, value: Json): Promise<void> {
    return this.#secrets.put(name, value);
  }

  /** The secret as it is, or, when there is none, as `make` makes it now; made once, whoever asks. */
  ensureSecret(name: string, make: () => Json): Promise<Json> {
    return this.#secrets.ensure(name, make);
  }

  /** Linearizable, with or without the lease. */
  getSecret(name: string): Promise<Json | undefined> {
    return this.#secrets.get(name);
  }

  #change(id: EntryId, plan: (entry: Entry) => RecordDraft | null): Promise<Entry> {
    return this.#inTurn(() =>
      this.#write(id, ({ entry }) => {
        if (!entry) throw unknownEntry(id);
        if (entry.state !== "open") {
          throw new MicrocephError("STALE_DECISION", `decision ${id} is ${entry.state}`);
        }
        return plan(entry) ?? entry;
      }),
    );
  }

  /** Read, plan, write; again while the head moves. The plan may find that there is nothing to write. */
  async #write(
    id: EntryId | null,
    plan: (view: View) => RecordDraft | Entry,
    opening: Draft | null = null,
  ): Promise<Entry> {
    const lease = this.#lease();
    if (this.#readyEpoch !== lease.epoch) {
      throw new MicrocephError("NOT_READY", "open decisions have not been re-stamped under this lease yet");
    }
    for (let round = 0; round < rounds; round += 1) {
      const late = await this.#writer.settle();
      if (opening && late?.event === "open") return await this.#openedBefore(late, opening);
      const view = await this.#writer.read(lease, id);
      const planned = plan(view);
      if (!("event" in planned)) return planned;
      const written = await this.#writer.write(lease, view, planned);
      if (written !== "overtaken") return written;
    }
    throw new MicrocephError("NO_QUORUM", "the head of the journal moved under every try to continue it");
  }

  async #openedBefore(late: JournalRecord, draft: Draft): Promise<Entry> {
    const asked = canonicalJson([draft.kind, draft.body, draft.agent]);
    if (canonicalJson([late.kind, late.body, late.agent]) === asked) {
      const { entry } = await this.#writer.read(this.#lease(), late.entry);
      if (entry) return entry;
    }
    throw new MicrocephError("STALE_DECISION", `decision ${late.entry} was made after all: plan again`, {
      data: { entry: late.entry },
    });
  }

  async #restampUnder(lease: Lease, stored: StoredEntry): Promise<Entry> {
    const { id } = stored.entry;
    for (let round = 0; round < rounds; round += 1) {
      const view = await this.#writer.read(lease, id);
      const { entry } = view;
      if (entry?.state !== "open") throw unknownEntry(id);
      if (view.stampedUnder === lease.epoch) return entry;
      const draft = change(entry, "restamp", null, "taken up under a new lease");
      const written = await this.#writer.write(lease, view, draft);
      if (written !== "overtaken") return written;
    }
    throw new MicrocephError("NO_QUORUM", `decision ${id} could not be re-stamped`);
  }

  async #openEntries(): Promise<StoredEntry[]> {
    const { kvs } = await this.#deps.etcd.range(entryPrefix, { prefix: true });
    return kvs
      .map((kv) => decodeEntry(kv.value))
      .sort((a, b) => compareNumbers(a.entry.number, b.entry.number));
  }

  #lease(): Lease {
    const lease = this.#deps.lease.held();
    if (!lease) throw new MicrocephError("LEASE_LOST", "this node does not hold the leader lease");
    return lease;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(work);
    this.#queue = turn.catch(() => undefined);
    return turn;
  }
}

function change(
  entry: Entry,
  event: "restamp" | "handed" | "done" | "abandoned",
  result: Json,
  reason: string,
): RecordDraft {
  return { event, entry, kind: entry.kind, body: null, agent: entry.agent, result, reason };
}

function unknownEntry(id: EntryId): MicrocephError {
  return new MicrocephError("NOT_FOUND", `the journal has no open decision ${id}`, { data: { entry: id } });
}
