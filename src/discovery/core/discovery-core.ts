import type { ServiceAnnouncement, Sighting } from "../service.ts";
import { announcedIdentity } from "./announced-identity.ts";
import { Browser } from "./browser.ts";
import { LinkPublisher } from "./link-publisher.ts";
import type { Message } from "./message.ts";
import { fold, nextHost, nextInstance } from "./names.ts";
import type { Identity } from "./record-set.ts";
import type { Sender } from "./responder.ts";
import { type SightingChange, SightingTable } from "./sighting-table.ts";

/** Port of multicast DNS; whoever asks from another one is a simple resolver. */
export const mdnsPort = 5353;
/** Conflicts in so many milliseconds after which each further try waits (RFC 6762 section 8.1). */
const maxConflicts = 15;
const conflictWindowMs = 10_000;
const conflictBackoffMs = 5_000;
/** Milliseconds without conflict after which tries no longer wait. */
const conflictPardonMs = 60_000;

/** One interface in one family: a multicast domain of its own. */
export interface LinkFacts {
  readonly id: string;
  readonly interface: string;
  /** To announce there. */
  readonly addresses: readonly string[];
}

export interface OutgoingPacket {
  readonly link: string;
  readonly message: Message;
  /** Unicast there; by default it is multicast. */
  readonly to?: Sender;
}

export type NameChange = { readonly what: "instance" | "host"; readonly from: string; readonly to: string };

export interface Step {
  readonly packets: OutgoingPacket[];
  readonly changes: SightingChange[];
  readonly renames: NameChange[];
}

interface Link {
  facts: LinkFacts;
  readonly publisher: LinkPublisher;
  readonly browser: Browser;
}

/**
 * DNS-SD on all links without any I/O: facts, messages and the time go in; `advance` gives the packets to
 * send and what changed, `due` says when to call it next. All times in milliseconds since the epoch.
 */
export class DiscoveryCore {
  readonly #serviceName: string;
  readonly #random: () => number;
  readonly #links = new Map<string, Link>();
  readonly #table = new SightingTable();
  #ownAddresses: ReadonlySet<string> = new Set();
  /** As it was asked for; the identity differs from it after a conflict. */
  #announced: Identity | null = null;
  #identity: Identity | null = null;
  #conflicts: number[] = [];
  /** Too many conflicts: every try waits. */
  #isSlow = false;
  #packets: OutgoingPacket[] = [];
  #changes: SightingChange[] = [];
  #renames: NameChange[] = [];

  constructor(options: { readonly serviceType: string; readonly random: () => number }) {
    this.#serviceName = `${options.serviceType}.local`;
    this.#random = options.random;
  }

  /** The names in use, after conflicts. */
  get identity(): Identity | null {
    return this.#identity;
  }

  /** Throws a TypeError for what DNS-SD cannot carry. */
  announce(announcement: ServiceAnnouncement, now: number): void {
    const wanted = announcedIdentity(announcement, this.#serviceName);
    const asked = this.#announced;
    const current = this.#identity;
    const sameInstance = asked !== null && current !== null && asked.instance === wanted.instance;
    const sameHost = asked !== null && current !== null && asked.host === wanted.host;
    this.#announced = wanted;
    this.#use(
      {
        ...wanted,
        instance: sameInstance ? current.instance : wanted.instance,
        host: sameHost ? current.host : wanted.host,
      },
      now,
    );
  }

  #use(identity: Identity, now: number, notBefore = 0): void {
    const before = this.#identity;
    this.#identity = identity;
    for (const { publisher, facts } of this.#links.values()) {
      publisher.publish(identity, facts.addresses, now, notBefore);
    }
    // A sighting under our own name is hidden; another one may come to light.
    const names = before === null ? [identity.instance] : [before.instance, identity.instance];
    for (const name of new Set(names)) this.#update(this.#keyOf(name), now);
  }

  #keyOf(instance: string): string {
    return fold(`${instance}.${this.#serviceName}`);
  }

  /** Every address of this host on any interface: nobody else can be in conflict with these. */
  setOwnAddresses(addresses: Iterable<string>): void {
    this.#ownAddresses = new Set(addresses);
  }

  /** Start on a link, or announce and ask again on one whose addresses changed. */
  putLink(facts: LinkFacts, now: number): void {
    const known = this.#links.get(facts.id);
    const random = this.#random;
    const link = known ?? {
      facts,
      publisher: new LinkPublisher({ random }),
      browser: new Browser({ serviceName: this.#serviceName, random }, now),
    };
    link.facts = facts;
    this.#links.set(facts.id, link);
    if (this.#identity !== null) link.publisher.publish(this.#identity, facts.addresses, now);
    if (known !== undefined) link.browser.restart(now);
  }

  /** The link is gone, and with it what was seen there. */
  removeLink(id: string, now: number): void {
    const link = this.#links.get(id);
    if (link === undefined) return;
    this.#links.delete(id);
    for (const key of link.browser.keys()) this.#update(key, now);
  }

  /** Probe, announce and ask again: packets may have been lost for a while. */
  restartLink(id: string, now: number): void {
    const link = this.#links.get(id);
    link?.publisher.restart(now);
    link?.browser.restart(now);
  }

  receive(id: string, message: Message, from: Sender, now: number): void {
    const link = this.#links.get(id);
    if (link === undefined) return;
    if (from.port !== mdnsPort) {
      const reply = message.kind === "query" ? link.publisher.reply(message) : null;
      if (reply !== null) this.#packets.push({ link: id, message: reply, to: from });
      return;
    }
    const conflict = link.publisher.receive(message, now, this.#ownAddresses, from);
    link.browser.receive(message, now, this.#ownAddresses.has(from.address) ? null : from.address);
    for (const key of link.browser.takeDirty()) this.#update(key, now);
    if (conflict !== null) this.#rename(conflict, now);
  }

  #rename(what: "instance" | "host", now: number): void {
    const identity = this.#identity;
    const asked = this.#announced;
    if (identity === null || asked === null) return;
    const to = what === "instance" ? nextInstance(identity.instance) : nextHost(identity.host, asked.host);
    this.#renames.push({ what, from: identity[what], to });
    if (now - (this.#conflicts.at(-1) ?? now) > conflictPardonMs) this.#isSlow = false;
    this.#conflicts = [...this.#conflicts.filter((at) => at > now - conflictWindowMs), now];
    if (this.#conflicts.length >= maxConflicts) this.#isSlow = true;
    this.#use({ ...identity, [what]: to }, now, this.#isSlow ? now + conflictBackoffMs : 0);
  }

  #update(key: string, now: number): void {
    const own = this.#identity;
    const isOwn = own !== null && key === this.#keyOf(own.instance);
    const aspects = [...this.#links.values()].flatMap(({ browser, facts }) => {
      const view = isOwn ? null : browser.view(key);
      return view === null ? [] : [{ ...view, interface: facts.interface }];
    });
    const change = this.#table.update(key, aspects, now);
    if (change !== null) this.#changes.push(change);
  }

  sightings(): Sighting[] {
    return this.#table.list();
  }

  /** Ask now whether an instance is still there; without an answer it is lost after 10 s. */
  reconfirm(instance: string, now: number): void {
    for (const { browser } of this.#links.values()) browser.reconfirm(this.#keyOf(instance), now);
  }

  /** Records that were not kept on a link because a limit was reached. */
  refused(id: string): number {
    return this.#links.get(id)?.browser.refused ?? 0;
  }

  /** Whether our names are proven to be ours on a link. */
  established(id: string): boolean {
    return this.#links.get(id)?.publisher.established() ?? false;
  }

  /** Milliseconds at which `advance` has something to do, or Infinity. */
  due(): number {
    if (this.#packets.length + this.#changes.length + this.#renames.length > 0) return 0;
    let due = Number.POSITIVE_INFINITY;
    for (const { publisher, browser } of this.#links.values()) {
      due = Math.min(due, publisher.due(), browser.due());
    }
    return due;
  }

  advance(now: number): Step {
    for (const [link, { publisher, browser }] of this.#links) {
      const messages = [...publisher.advance(now), ...browser.advance(now)];
      this.#packets.push(...messages.map((message) => ({ link, message })));
      for (const key of browser.takeDirty()) this.#update(key, now);
    }
    return {
      packets: this.#packets.splice(0),
      changes: this.#changes.splice(0),
      renames: this.#renames.splice(0),
    };
  }

  /** Packets that take back what is announced, on every link. */
  goodbye(): OutgoingPacket[] {
    return [...this.#links].flatMap(([link, { publisher }]) =>
      publisher.goodbye().map((message) => ({ link, message })),
    );
  }
}
