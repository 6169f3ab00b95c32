import { fold } from "./names.ts";
import { identityOf, type RecordType, type ResourceRecord } from "./records.ts";

/** Milliseconds a record lives on after its goodbye or flush (RFC 6762 sections 10.1, 10.2). */
const graceMs = 1_000;
/** Shares of a record's life at which it is asked for again (section 5.2). */
const refreshShares = [0.8, 0.85, 0.9, 0.95];
/** Random addition to each share, so that not every host asks at once. */
const refreshSpread = 0.02;
/** Seconds: records with a shorter life are not worth four queries, they just end. */
const minRefreshTtl = 20;

export interface CachedRecord {
  readonly record: ResourceRecord;
  readonly receivedAt: number;
  /** Milliseconds; earlier than its TTL says after a goodbye, a flush or in a reconfirmation. */
  expiresAt: number;
  /** Took leave by itself: no reason to look for it. */
  goodbye: boolean;
  /** Times in milliseconds at which to ask for it, ascending. */
  refreshAt: number[];
}

function setKey(name: string, type: RecordType): string {
  return `${type} ${fold(name)}`;
}

/** Records of others on one link, with their ages. */
export class RecordCache {
  readonly #sets = new Map<string, Map<string, CachedRecord>>();
  readonly #random: () => number;
  readonly #capacity: number;
  #size = 0;
  #due = Number.POSITIVE_INFINITY;

  /** @param options.capacity records; more are refused */
  constructor(options: { readonly random: () => number; readonly capacity: number }) {
    this.#random = options.random;
    this.#capacity = options.capacity;
  }

  get size(): number {
    return this.#size;
  }

  records(name: string, type: RecordType): CachedRecord[] {
    return [...(this.#sets.get(setKey(name, type))?.values() ?? [])];
  }

  /** The one that arrived last, for types of which an instance has exactly one. */
  latest(name: string, type: RecordType): CachedRecord | undefined {
    const all = this.records(name, type);
    return all.reduce<CachedRecord | undefined>(
      (best, one) => (best === undefined || one.receivedAt >= best.receivedAt ? one : best),
      undefined,
    );
  }

  /**
   * Take in a record. A flush bit ends the others of its set: at once where there can be only one, else after
   * a grace and only those older than that, as the set may come in several packets.
   * @returns whether it was taken; not if the cache is full, or a goodbye names what is not known
   */
  put(record: ResourceRecord, now: number, limit: number): boolean {
    const key = setKey(record.name, record.type);
    const set = this.#sets.get(key) ?? new Map<string, CachedRecord>();
    const identity = identityOf(record);
    const known = set.get(identity);
    if (record.ttl === 0) {
      if (known === undefined) return false;
      known.goodbye = true;
      this.#shorten(known, now + graceMs);
      return true;
    }
    if (record.flush) this.#flush(key, set, identity, now);
    if (known === undefined && (set.size >= limit || this.#size >= this.#capacity)) return false;
    if (known === undefined) this.#size++;
    const entry = this.#entry(record, now);
    set.set(identity, entry);
    this.#sets.set(key, set);
    this.#due = Math.min(this.#due, entry.expiresAt, ...entry.refreshAt.slice(0, 1));
    return true;
  }

  #entry(record: ResourceRecord, now: number): CachedRecord {
    const life = record.ttl * 1_000;
    const refreshAt =
      record.ttl < minRefreshTtl
        ? []
        : refreshShares.map((share) => now + life * (share + this.#random() * refreshSpread));
    return { record, receivedAt: now, expiresAt: now + life, goodbye: false, refreshAt };
  }

  #flush(key: string, set: Map<string, CachedRecord>, keep: string, now: number): void {
    for (const [identity, one] of set) {
      if (identity === keep) continue;
      if (one.record.type === "SRV" || one.record.type === "TXT") this.#delete(key, set, identity);
      else if (one.receivedAt < now - graceMs) this.#shorten(one, now + graceMs);
    }
  }

  #shorten(entry: CachedRecord, expiresAt: number): void {
    entry.expiresAt = Math.min(entry.expiresAt, expiresAt);
    entry.refreshAt = [];
    this.#due = Math.min(this.#due, entry.expiresAt);
  }

  /** Let a set end soon unless it is said again; `askAt` are the times to ask for it. */
  doubt(name: string, type: RecordType, expiresAt: number, askAt: readonly number[]): void {
    for (const entry of this.records(name, type)) {
      this.#shorten(entry, expiresAt);
      entry.refreshAt = [...askAt];
      this.#due = Math.min(this.#due, ...askAt);
    }
  }

  remove(name: string, type: RecordType): void {
    const key = setKey(name, type);
    this.#size -= this.#sets.get(key)?.size ?? 0;
    this.#sets.delete(key);
  }

  removePointer(name: string, data: string): void {
    const key = setKey(name, "PTR");
    const set = this.#sets.get(key);
    if (set !== undefined) this.#delete(key, set, identityOf({ name, type: "PTR", data }));
  }

  #delete(key: string, set: Map<string, CachedRecord>, identity: string): void {
    if (!set.delete(identity)) return;
    this.#size--;
    if (set.size === 0) this.#sets.delete(key);
  }

  /** No later than the next time at which `advance` has something to do. */
  due(): number {
    return this.#due;
  }

  /** What ended, and what should be asked for now. */
  advance(now: number): { readonly ended: CachedRecord[]; readonly refresh: ResourceRecord[] } {
    const ended: CachedRecord[] = [];
    const refresh: ResourceRecord[] = [];
    if (now < this.#due) return { ended, refresh };
    this.#due = Number.POSITIVE_INFINITY;
    for (const [key, set] of this.#sets) {
      for (const [identity, entry] of set) {
        if (entry.expiresAt <= now) {
          this.#delete(key, set, identity);
          ended.push(entry);
          continue;
        }
        if ((entry.refreshAt[0] ?? Number.POSITIVE_INFINITY) <= now) {
          entry.refreshAt = entry.refreshAt.filter((at) => at > now);
          refresh.push(entry.record);
        }
        this.#due = Math.min(this.#due, entry.expiresAt, ...entry.refreshAt.slice(0, 1));
      }
    }
    return { ended, refresh };
  }
}
