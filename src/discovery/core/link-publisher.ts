import { type Message, responsePackets } from "./message.ts";
import { MulticastQueue, repeatMs } from "./multicast-queue.ts";
import { sameName, serviceTypeDomain } from "./names.ts";
import { conflictIn, losesTieBreak, type NameConflict, Prober, probeMessage } from "./prober.ts";
import { additionalsFor, difference, type Identity, type RecordSet, recordSet } from "./record-set.ts";
import { identityOf, type ResourceRecord } from "./records.ts";
import { answerQuery, replyToSimpleResolver, type Sender } from "./responder.ts";

/** Milliseconds of random wait before the first probe, so that hosts that start at once spread. */
const probeSpreadMs = 250;
/** Milliseconds between the announcements (RFC 6762 section 8.3: at least two, one second apart). */
const announceAgainMs = 1_000;

interface Round {
  readonly at: number;
  readonly records: readonly ResourceRecord[];
}

/** Prober, announcer and responder of one link. Takes messages and the time, gives messages. */
export class LinkPublisher {
  readonly #random: () => number;
  readonly #queue = new MulticastQueue();
  #set: RecordSet | null = null;
  /** Null once the names are ours. */
  #prober: Prober | null = null;
  #rounds: Round[] = [];
  #immediate: Message[] = [];

  constructor(options: { readonly random: () => number }) {
    this.#random = options.random;
  }

  /** Whether the names are proven ours here. */
  established(): boolean {
    return this.#set !== null && this.#prober === null;
  }

  /**
   * Announce this from now on. New names are probed first and the old ones withdrawn; changed data under the
   * same names is announced at once.
   * @param notBefore milliseconds: no probe before that (many conflicts in short time)
   */
  publish(identity: Identity, addresses: readonly string[], now: number, notBefore = 0): void {
    const before = this.#set;
    const after = recordSet(identity, addresses);
    if (before === null || !haveSameNames(before, after)) {
      if (before !== null) this.#immediate.push(...this.goodbye());
      this.#set = after;
      this.#probe(Math.max(now + this.#random() * probeSpreadMs, notBefore));
      return;
    }
    this.#set = after;
    const { said, withdrawn } = difference(before, after);
    if (this.#prober !== null || said.length + withdrawn.length === 0) return;
    this.#immediate.push(...responsePackets(withdrawn));
    this.#announce(said, now);
  }

  /** Probe and announce again: the link was away or could not send. */
  restart(now: number): void {
    if (this.#set !== null) this.#probe(now + this.#random() * probeSpreadMs);
  }

  #probe(at: number): void {
    this.#prober = new Prober(at);
    this.#rounds = [];
    this.#queue.clear();
  }

  #announce(records: readonly ResourceRecord[], now: number): void {
    this.#rounds.push({ at: now, records }, { at: now + announceAgainMs, records });
  }

  /**
   * @returns a name that turned out to be another's while we probe for it; if it was ours already, probing
   * starts again to find out.
   */
  receive(message: Message, now: number, ownAddresses: ReadonlySet<string>, from: Sender): NameConflict {
    const set = this.#set;
    if (set === null) return null;
    if (message.kind === "query") this.#query(message, set, now, from);
    else return this.#response(message, set, now, ownAddresses);
    return null;
  }

  #query(query: Message, set: RecordSet, now: number, from: Sender): void {
    if (this.#prober !== null) {
      if (losesTieBreak(query, set)) this.#prober.postpone(now);
    } else {
      answerQuery(query, from, { set, queue: this.#queue, now, random: this.#random });
    }
  }

  #response(message: Message, set: RecordSet, now: number, addresses: ReadonlySet<string>): NameConflict {
    const queue = this.#queue;
    const said = (identity: string): boolean => queue.saidWithin(identity, now);
    const conflict = conflictIn(message, set, { addresses, said });
    if (this.#prober !== null) return this.#prober.asking() ? conflict : null;
    if (conflict !== null) {
      this.#probe(now);
      return null;
    }
    for (const record of message.answers) {
      if (record.ttl > 0) queue.heard(record);
      else this.#defend(record, set, now);
    }
    return null;
  }

  /** Another process said goodbye for a record that is ours too (an avahi-daemon with the same host name). */
  #defend(goodbye: ResourceRecord, set: RecordSet, now: number): void {
    const identity = identityOf(goodbye);
    const own = set.all.find((record) => identityOf(record) === identity);
    if (own !== undefined) this.#queue.add(own, now, null);
  }

  /** The reply to a simple resolver, or null. */
  reply(query: Message): Message | null {
    return this.#set === null || this.#prober !== null ? null : replyToSimpleResolver(query, this.#set);
  }

  due(): number {
    if (this.#immediate.length > 0) return 0;
    const rounds = this.#rounds.map(({ at }) => at);
    return Math.min(this.#prober?.due() ?? Number.POSITIVE_INFINITY, this.#queue.due(), ...rounds);
  }

  advance(now: number): Message[] {
    const messages = this.#immediate.splice(0);
    const set = this.#set;
    if (set === null) return messages;
    const step = this.#prober?.step(now);
    if (step === "probe") messages.push(probeMessage(set));
    if (step === "done") {
      this.#prober = null;
      this.#announce(set.all, now);
    }
    messages.push(...this.#multicast(set, now));
    return messages;
  }

  #multicast(set: RecordSet, now: number): Message[] {
    const current = new Map(set.all.map((record) => [identityOf(record), record]));
    for (const round of this.#rounds.filter(({ at }) => at <= now)) {
      for (const record of round.records) this.#queue.add(record, now, null);
    }
    this.#rounds = this.#rounds.filter(({ at }) => at > now);
    // What was queued before a change of data may be out of date.
    const answers = this.#queue.take(now).filter((record) => current.has(identityOf(record)));
    if (answers.length === 0) return [];
    const additionals = additionalsFor(set, answers).filter(
      (record) => !this.#queue.saidWithin(identityOf(record), now, repeatMs),
    );
    const packets = responsePackets(answers, additionals);
    this.#queue.note(
      packets.flatMap((packet) => packet.additionals),
      now,
    );
    return packets;
  }

  /**
   * Take back what was announced. Not the list of service types, which others have too, nor the addresses: an
   * avahi-daemon on this host may announce the same host name, and without SRV nobody asks for them.
   */
  goodbye(): Message[] {
    if (this.#set === null || this.#prober !== null) return [];
    const leaving = this.#set.all.filter(
      ({ name, type }) => type === "SRV" || type === "TXT" || (type === "PTR" && name !== serviceTypeDomain),
    );
    return responsePackets(leaving.map((record) => ({ ...record, ttl: 0 })));
  }
}

function haveSameNames(one: RecordSet, other: RecordSet): boolean {
  return sameName(one.instanceName, other.instanceName) && sameName(one.hostName, other.hostName);
}
