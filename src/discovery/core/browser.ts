import { isDialable } from "./addresses.ts";
import { type LinkSighting, missingOf, targetOf, viewOf } from "./instance-view.ts";
import { type Message, type Question, queryPackets } from "./message.ts";
import { fold, instanceLabel, sameName } from "./names.ts";
import { firstWait, QuerySchedule } from "./query-schedule.ts";
import { QuestionBacklog } from "./question-backlog.ts";
import { type CachedRecord, RecordCache } from "./record-cache.ts";
import type { RecordOf, ResourceRecord } from "./records.ts";

/** Instances that are kept on one link, and records of all of them. */
const maxInstances = 1_024;
const maxRecords = 8 * maxInstances;
/** Addresses of one family of a host on one link. */
const maxAddresses = 16;
/** Milliseconds until room is looked for again when there was none. */
const fullForMs = 250;
/** Reconfirmation: the life left, and when to ask meanwhile (RFC 6762 section 10.4: twice, 10 s). */
const reconfirmMs = 10_000;
const reconfirmAskMs = [0, 1_000, 3_000];
/** Milliseconds between two fresh starts of browsing because something was lost without a goodbye. */
const searchAgainMs = 60_000;
/** Milliseconds between two questions that a stranger's question makes us ask. */
const askBackMs = 15_000;
/** Seconds that what a probe says is kept: it is announced after one at most, or its names were taken. */
const probedTtl = 5;

interface Instance {
  /** Full name as its owner writes it, and its first label. */
  readonly name: string;
  readonly label: string;
  /** Folded name of the host that its SRV points to. */
  host: string | null;
  /** Schedule of queries for what is missing; null while nothing is. */
  missing: QuerySchedule | null;
  lastSeen: number;
}

function newInstance(name: string, label: string, lastSeen: number): Instance {
  return { name, label, host: null, missing: null, lastSeen };
}

/** Browses one service type on one link. Takes messages and the time, gives queries. */
export class Browser {
  readonly #serviceName: string;
  readonly #random: () => number;
  readonly #cache: RecordCache;
  readonly #schedule: QuerySchedule;
  readonly #backlog = new QuestionBacklog();
  readonly #instances = new Map<string, Instance>();
  /** Keys of the instances on a host, by its folded name. */
  readonly #hosts = new Map<string, Set<string>>();
  /** Keys of instances that the packet at hand speaks of. */
  readonly #touched = new Set<string>();
  readonly #dirty = new Set<string>();
  #fullUntil = Number.NEGATIVE_INFINITY;
  #searchedAt = Number.NEGATIVE_INFINITY;
  /** When to ask because a stranger asked, and when that was done last. */
  #askBackAt = Number.POSITIVE_INFINITY;
  #askedBackAt = Number.NEGATIVE_INFINITY;
  #refused = 0;

  constructor(options: { readonly serviceName: string; readonly random: () => number }, now: number) {
    this.#serviceName = options.serviceName;
    this.#random = options.random;
    this.#cache = new RecordCache({ random: options.random, capacity: maxRecords });
    this.#schedule = new QuerySchedule(now, options.random);
  }

  /** Records that were not kept because a limit was reached. */
  get refused(): number {
    return this.#refused;
  }

  /** @param from address of the sender, or null for one of our own */
  receive(message: Message, now: number, from: string | null): void {
    if (message.kind === "query") {
      if (from === null) return;
      this.#asked(message, now, from);
      this.#probed(message.authorities, now);
      return;
    }
    this.#told(message, now);
  }

  #told(message: Pick<Message, "answers" | "additionals">, now: number): void {
    const records = [...message.answers, ...message.additionals];
    // Pointers make instances known, these their hosts: what nobody refers to is not kept.
    for (const record of records) if (record.type === "PTR") this.#pointer(record, now);
    for (const record of records) {
      if (record.type === "SRV" || record.type === "TXT") this.#describe(record, now);
    }
    for (const record of records) {
      if (record.type === "A" || record.type === "AAAA") this.#address(record, now);
    }
    for (const key of this.#touched) this.#lookForMissing(key, now);
    this.#touched.clear();
  }

  /**
   * Whoever browses our service from an address that we do not know is likely to offer it: its announcements were
   * lost, as when two halves of a network meet again without a link that goes down. Our own next question may be
   * an hour away, so we ask once, soon.
   */
  #asked(query: Message, now: number, from: string): void {
    if (this.#askBackAt !== Number.POSITIVE_INFINITY || now - this.#askedBackAt < askBackMs) return;
    const isOurs = ({ type, name }: Question): boolean => type === "PTR" && sameName(name, this.#serviceName);
    if (!query.questions.some(isOurs) || this.#isKnown(from)) return;
    this.#askBackAt = now + firstWait(this.#random);
  }

  /**
   * A probe says what its host will announce unless somebody has its names (RFC 6762 section 8.1). Nobody may rely on
   * it, but whoever only dials and then asks who is there need not wait. It changes nothing that was announced.
   */
  #probed(authorities: readonly ResourceRecord[], now: number): void {
    const names = new Set<string>();
    for (const record of authorities) {
      if (record.type !== "SRV" || this.#instances.has(fold(record.name))) continue;
      if (!this.#know(record.name, now)) continue;
      names.add(fold(record.name));
      const host = fold(record.data.target);
      if (!this.#hosts.has(host)) names.add(host);
    }
    const answers = authorities
      .filter(({ name, type }) => type !== "PTR" && names.has(fold(name)))
      .map((record): ResourceRecord => ({ ...record, ttl: Math.min(record.ttl, probedTtl), flush: false }));
    if (answers.length > 0) this.#told({ answers, additionals: [] }, now);
  }

  #isKnown(address: string): boolean {
    const type = address.includes(":") ? "AAAA" : "A";
    return [...this.#hosts.keys()].some((host) =>
      this.#cache.records(host, type).some(({ record }) => record.data === address),
    );
  }

  #pointer(record: RecordOf<"PTR">, now: number): void {
    if (!sameName(record.name, this.#serviceName)) return;
    const label = instanceLabel(record.data, this.#serviceName);
    if (label === undefined) return;
    const key = fold(record.data);
    const isNew = record.ttl > 0 && !this.#instances.has(key);
    if (isNew && !this.#hasRoom(now)) return;
    if (!this.#put(record, now, maxInstances)) return;
    if (isNew) this.#instances.set(key, newInstance(record.data, label, now));
    this.#touch(key, now);
  }

  /** An instance whose pointer is not announced yet. @returns whether it is one of our service, and kept */
  #know(name: string, now: number): boolean {
    const label = instanceLabel(name, this.#serviceName);
    if (label === undefined || !this.#hasRoom(now)) return false;
    this.#instances.set(fold(name), newInstance(name, label, now));
    return true;
  }

  #hasRoom(now: number): boolean {
    if (this.#instances.size < maxInstances || this.#evict(now)) return true;
    this.#refused++;
    return false;
  }

  /** Make room: the oldest instance that is not complete goes first. */
  #evict(now: number): boolean {
    if (now < this.#fullUntil) return false;
    for (const [key, instance] of this.#instances) {
      if (instance.missing === null) continue;
      this.#forget(key, instance);
      return true;
    }
    this.#fullUntil = now + fullForMs;
    return false;
  }

  #describe(record: RecordOf<"SRV" | "TXT">, now: number): void {
    const key = fold(record.name);
    const instance = this.#instances.get(key);
    if (instance === undefined || !this.#put(record, now, 1)) return;
    this.#touch(key, now);
    if (record.type === "SRV" && record.ttl > 0) this.#moveTo(key, instance, fold(record.data.target));
  }

  #moveTo(key: string, instance: Instance, host: string | null): void {
    const before = instance.host;
    if (before === host) return;
    instance.host = host;
    if (host !== null) this.#hosts.set(host, (this.#hosts.get(host) ?? new Set()).add(key));
    if (before === null) return;
    const others = this.#hosts.get(before);
    others?.delete(key);
    if (others !== undefined && others.size > 0) return;
    this.#hosts.delete(before);
    this.#cache.remove(before, "A");
    this.#cache.remove(before, "AAAA");
  }

  #address(record: RecordOf<"A" | "AAAA">, now: number): void {
    const keys = this.#hosts.get(fold(record.name));
    if (keys === undefined || !isDialable(record.data) || !this.#put(record, now, maxAddresses)) return;
    for (const key of keys) this.#touch(key, now);
  }

  #put(record: ResourceRecord, now: number, limit: number): boolean {
    const taken = this.#cache.put(record, now, limit);
    if (!taken && record.ttl > 0) this.#refused++;
    return taken;
  }

  #touch(key: string, now: number): void {
    const instance = this.#instances.get(key);
    if (instance !== undefined) instance.lastSeen = now;
    this.#touched.add(key);
    this.#dirty.add(key);
  }

  #lookForMissing(key: string, now: number): void {
    const instance = this.#instances.get(key);
    if (instance === undefined) return;
    if (missingOf(this.#cache, instance.name).length === 0) instance.missing = null;
    else instance.missing ??= new QuerySchedule(now, this.#random);
  }

  /** Ask now whether an instance is still there; without an answer it is lost after 10 s. */
  reconfirm(key: string, now: number): void {
    const instance = this.#instances.get(key);
    if (instance === undefined) return;
    const target = targetOf(this.#cache, instance.name);
    const askAt = reconfirmAskMs.map((ms) => now + ms);
    for (const type of ["SRV", "TXT"] as const) {
      this.#cache.doubt(instance.name, type, now + reconfirmMs, askAt);
    }
    if (target === undefined) return;
    for (const type of ["A", "AAAA"] as const) this.#cache.doubt(target, type, now + reconfirmMs, askAt);
  }

  /** Ask again soon: the link was away or could not send. */
  restart(now: number): void {
    this.#schedule.restart(now);
  }

  due(): number {
    let due = Math.min(this.#schedule.due(), this.#cache.due(), this.#backlog.due(), this.#askBackAt);
    for (const { missing } of this.#instances.values()) due = Math.min(due, missing?.due() ?? due);
    return due;
  }

  advance(now: number): Message[] {
    const { ended, refresh } = this.#cache.advance(now);
    for (const entry of ended) this.#ended(entry, now);
    const wanted = refresh.map(({ name, type }): Question => ({ name, type }));
    for (const { missing, name } of this.#instances.values()) {
      if (missing?.step(now)) wanted.push(...missingOf(this.#cache, name));
    }
    const asksBack = now >= this.#askBackAt;
    if (asksBack) {
      this.#askedBackAt = now;
      this.#askBackAt = Number.POSITIVE_INFINITY;
    }
    if (this.#schedule.step(now) || asksBack) wanted.push({ name: this.#serviceName, type: "PTR" });
    this.#backlog.add(wanted);
    const questions = this.#backlog.take(now);
    return questions.length === 0 ? [] : queryPackets(questions, this.#knownAnswers(questions, now));
  }

  /** Pointers with more than half of their life left need no answer (RFC 6762 section 7.1). */
  #knownAnswers(questions: readonly Question[], now: number): ResourceRecord[] {
    if (!questions.some(({ type }) => type === "PTR")) return [];
    return this.#cache
      .records(this.#serviceName, "PTR")
      .map(({ record, expiresAt }) => ({ record, left: (expiresAt - now) / 1_000 }))
      .filter(({ record, left }) => left > record.ttl / 2)
      .map(({ record, left }) => ({ ...record, ttl: Math.floor(left), flush: false }));
  }

  #ended({ record, goodbye }: CachedRecord, now: number): void {
    if (record.type === "A" || record.type === "AAAA") {
      for (const key of this.#hosts.get(fold(record.name)) ?? []) this.#changed(key, now);
      return;
    }
    const key = fold(record.type === "PTR" ? record.data : record.name);
    const instance = this.#instances.get(key);
    if (instance === undefined) return;
    if (record.type === "TXT") {
      this.#changed(key, now);
      return;
    }
    // Without its SRV an instance is gone: nobody answered for it, or it said goodbye.
    this.#forget(key, instance);
    if (!goodbye && now - this.#searchedAt >= searchAgainMs) {
      this.#searchedAt = now;
      this.#schedule.restart(now);
    }
  }

  #changed(key: string, now: number): void {
    this.#dirty.add(key);
    this.#lookForMissing(key, now);
  }

  #forget(key: string, instance: Instance): void {
    this.#moveTo(key, instance, null);
    this.#cache.remove(instance.name, "SRV");
    this.#cache.remove(instance.name, "TXT");
    this.#cache.removePointer(this.#serviceName, instance.name);
    this.#instances.delete(key);
    this.#dirty.add(key);
  }

  /** Keys of instances about which something was learned or lost since the last call. */
  takeDirty(): string[] {
    const keys = [...this.#dirty];
    this.#dirty.clear();
    return keys;
  }

  /** Keys of all instances, complete or not. */
  keys(): string[] {
    return [...this.#instances.keys()];
  }

  /** An instance if it is complete, else null. */
  view(key: string): (LinkSighting & { readonly instance: string; readonly lastSeen: number }) | null {
    const instance = this.#instances.get(key);
    const view = instance === undefined ? null : viewOf(this.#cache, instance.name);
    if (instance === undefined || view === null) return null;
    return { ...view, instance: instance.label, lastSeen: instance.lastSeen };
  }
}
