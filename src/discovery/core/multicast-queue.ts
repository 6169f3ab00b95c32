import { identityOf, type ResourceRecord } from "./records.ts";

/** Milliseconds before a record may be multicast again on a link (RFC 6762 section 6). */
export const repeatMs = 1_000;
/** The same when a probe for our name must be answered in time. */
const defenceRepeatMs = 250;
/** Milliseconds in which answers that wait join one that is due (section 6.4). */
const joinMs = 120;
/** Milliseconds for which the queue remembers what was said. */
const rememberMs = 60_000;
/** Askers kept apart for one answer; above that nobody's known answers cancel it. */
const maxAskers = 64;

interface Waiting {
  readonly record: ResourceRecord;
  due: number;
  /** Who asked; null if it goes out whatever others say (announcements, defence). */
  askers: Set<string> | null;
}

/**
 * Records that wait to be multicast on one link. Everything we multicast passes here, so that no record is
 * repeated within a second: a record that was said just now waits for the second to pass.
 */
export class MulticastQueue {
  readonly #waiting = new Map<string, Waiting>();
  readonly #said = new Map<string, number>();

  /** Milliseconds at which `take` has something, or Infinity. */
  due(): number {
    let due = Number.POSITIVE_INFINITY;
    for (const one of this.#waiting.values()) due = Math.min(due, one.due);
    return due;
  }

  /** @param asker of an answer; null for what must be said whoever else says it. */
  add(record: ResourceRecord, at: number, asker: string | null, urgent = false): void {
    const identity = identityOf(record);
    const last = this.#said.get(identity) ?? Number.NEGATIVE_INFINITY;
    const due = Math.max(at, last + (urgent ? defenceRepeatMs : repeatMs));
    const old = this.#waiting.get(identity);
    if (old === undefined) {
      this.#waiting.set(identity, { record, due, askers: asker === null ? null : new Set([asker]) });
      return;
    }
    old.due = Math.min(old.due, due);
    if (asker === null || (old.askers !== null && old.askers.size >= maxAskers)) old.askers = null;
    else old.askers?.add(asker);
  }

  /** The asker knows this record after all (known answers in a further packet of its query). */
  cancel(identity: string, asker: string): void {
    const one = this.#waiting.get(identity);
    if (one?.askers?.delete(asker) && one.askers.size === 0) this.#waiting.delete(identity);
  }

  /** Another host has just said the same with no shorter life (RFC 6762 section 7.4). */
  heard(record: ResourceRecord): void {
    const one = this.#waiting.get(identityOf(record));
    if (one !== undefined && one.askers !== null && record.ttl >= one.record.ttl) {
      this.#waiting.delete(identityOf(record));
    }
  }

  /** What is due now, with what may join it; counted as said. */
  take(now: number): ResourceRecord[] {
    if (this.due() > now) return [];
    const taken: ResourceRecord[] = [];
    for (const [identity, one] of this.#waiting) {
      const mayJoin = one.due <= now + joinMs && !this.saidWithin(identity, now, repeatMs);
      if (one.due > now && !mayJoin) continue;
      this.#waiting.delete(identity);
      taken.push(one.record);
    }
    this.note(taken, now);
    return taken;
  }

  /** Count records as said that went out beside the queue. */
  note(records: readonly ResourceRecord[], now: number): void {
    for (const record of records) this.#said.set(identityOf(record), now);
    for (const [identity, at] of this.#said) if (at < now - rememberMs) this.#said.delete(identity);
  }

  saidWithin(identity: string, now: number, ms = rememberMs): boolean {
    const at = this.#said.get(identity);
    return at !== undefined && now - at < ms;
  }

  clear(): void {
    this.#waiting.clear();
  }
}
