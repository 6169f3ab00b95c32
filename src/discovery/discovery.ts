import { networkInterfaces } from "node:os";
import type { Logger } from "pino";
import { DiscoveryCore } from "./core/discovery-core.ts";
import type { SightingChange } from "./core/sighting-table.ts";
import { allAddresses, linksOf, type NetworkInterfaces } from "./interfaces.ts";
import { LinkPool, type LinkReport, type OpenLink } from "./link-pool.ts";
import { LinkSocket } from "./link-socket.ts";
import { OwnPackets } from "./packet-gate.ts";
import type { ServiceAnnouncement, Sighting, SightingEvent } from "./service.ts";

/** Milliseconds between two looks at the interfaces. */
const interfaceWatchMs = 2_000;
/** Milliseconds that a goodbye may take to leave when we stop. */
const goodbyeMs = 500;

export interface DiscoveryOptions {
  /** DNS-SD service type without domain; default `_microceph._tcp`. */
  readonly serviceType?: string;
  /** Names of interfaces; default all but loopback. One that does not exist yet is used when it comes. */
  readonly interfaces?: readonly string[];
  readonly browseOnly?: boolean;
}

export interface DiscoveryDeps {
  readonly log: Logger;
  /** Milliseconds since the epoch that never go back; by default the monotonic clock from the start time on. */
  readonly now?: () => number;
  /** 0 ≤ n < 1 */
  readonly random?: () => number;
  readonly readInterfaces?: () => NetworkInterfaces;
  readonly openLink?: OpenLink;
}

export interface DiscoveryReport {
  /** Names in use, other than announced after a conflict; null before the first announcement. */
  readonly instance: string | null;
  readonly host: string | null;
  /** Names given up because others had them. */
  readonly renames: number;
  readonly sightings: number;
  readonly interfaces: (LinkReport & {
    /** Records not kept because a limit was reached. */
    readonly refused: number;
    /** Whether our names are proven to be ours there, so that they are announced. */
    readonly established: boolean;
  })[];
}

type Listener = (sighting: Sighting) => void;

/**
 * DNS-SD over multicast DNS (RFC 6762, 6763) on all chosen interfaces: announces this node for as long as it
 * runs and knows who else is announced. What it finds is a hint that anyone on the link can forge.
 */
export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #readInterfaces: () => NetworkInterfaces;
  readonly #core: DiscoveryCore;
  readonly #pool: LinkPool;
  readonly #listeners: Readonly<Record<SightingEvent, Set<Listener>>> = {
    seen: new Set(),
    changed: new Set(),
    lost: new Set(),
  };
  #running = false;
  #renames = 0;
  #watch: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DiscoveryOptions, deps: DiscoveryDeps) {
    this.#options = options;
    this.#log = deps.log;
    // Lives are counted in this clock: a step of the wall clock must not end all records.
    this.#now = deps.now ?? (() => Math.floor(performance.timeOrigin + performance.now()));
    this.#readInterfaces = deps.readInterfaces ?? networkInterfaces;
    const random = deps.random ?? Math.random;
    const serviceType = options.serviceType ?? "_microceph._tcp";
    this.#core = new DiscoveryCore({ serviceType, random });
    const own = new OwnPackets();
    const now = this.#now;
    this.#pool = new LinkPool({
      open: deps.openLink ?? ((link, linkDeps) => new LinkSocket(link, { ...linkDeps, own, now })),
      log: deps.log,
      now,
      hooks: {
        onUp: (link) => this.#core.putLink(link, now()),
        onDown: (link) => this.#core.removeLink(link, now()),
        onRetry: (link) => this.#core.restartLink(link, now()),
        onMessage: (link, message, from) => {
          this.#core.receive(link, message, from, now());
          this.#step();
        },
      },
    });
  }

  /** Returns when the sockets of the present interfaces are bound or have failed (see `report`). */
  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    this.#lookAtInterfaces();
    this.#watch = setInterval(() => this.#lookAtInterfaces(), interfaceWatchMs);
    this.#watch.unref();
    await this.#pool.ready();
  }

  /** Say goodbye on every link and close everything. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    clearInterval(this.#watch);
    clearTimeout(this.#timer);
    for (const { link, message, to } of this.#core.goodbye()) this.#pool.send(link, message, to);
    await this.#pool.close(goodbyeMs);
  }

  /**
   * Announce this node until `stop`. The first call probes for the names and announces them after about a
   * second; a later one with the same names changes port and TXT in place, at once.
   *
   * Throws a TypeError for what DNS-SD cannot carry, and an Error if this one only browses.
   */
  announce(announcement: ServiceAnnouncement): void {
    if (this.#options.browseOnly === true) throw new Error("a discovery that only browses cannot announce");
    this.#core.announce(announcement, this.#now());
    this.#step();
  }

  /** Every instance that is resolved now, without our own. */
  sightings(): Sighting[] {
    return this.#core.sightings();
  }

  /** Ask whether an instance is still there: it is lost in 10 s if nobody answers for it. */
  reconfirm(instance: string): void {
    this.#core.reconfirm(instance, this.#now());
    this.#step();
  }

  /** @returns a function that ends the subscription. */
  on(event: SightingEvent, listener: Listener): () => void {
    // One function may be given twice: each subscription is an entry of its own.
    const entry: Listener = (sighting) => listener(sighting);
    this.#listeners[event].add(entry);
    return () => this.#listeners[event].delete(entry);
  }

  report(): DiscoveryReport {
    const identity = this.#core.identity;
    return {
      instance: identity?.instance ?? null,
      host: identity?.host ?? null,
      renames: this.#renames,
      sightings: this.#core.sightings().length,
      interfaces: this.#pool.report().map((link) => ({
        ...link,
        refused: this.#core.refused(link.link),
        established: this.#core.established(link.link),
      })),
    };
  }

  #lookAtInterfaces(): void {
    try {
      const interfaces = this.#readInterfaces();
      this.#core.setOwnAddresses(allAddresses(interfaces));
      this.#pool.reconcile(linksOf(interfaces, this.#options.interfaces));
    } catch (error) {
      this.#log.warn({ err: error }, "the interfaces cannot be read");
    }
    this.#step();
  }

  /** Do what is due now and come back when something is due again. */
  #step(): void {
    if (!this.#running) return;
    const { packets, changes, renames } = this.#core.advance(this.#now());
    for (const { link, message, to } of packets) this.#pool.send(link, message, to);
    for (const { what, to } of renames) {
      this.#renames++;
      this.#log.info({ what, to }, "another host has our name, taking the next one");
    }
    for (const change of changes) this.#tell(change);
    this.#schedule();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (!this.#running) return;
    const wait = Math.ceil(this.#core.due() - this.#now());
    this.#timer = setTimeout(() => this.#step(), Math.min(Math.max(wait, 1), interfaceWatchMs));
    this.#timer.unref();
  }

  #tell({ event, sighting }: SightingChange): void {
    for (const listener of this.#listeners[event]) {
      try {
        listener(sighting);
      } catch (error) {
        this.#log.error({ err: error, event }, "a listener to sightings failed");
      }
    }
  }
}
