import type { Logger } from "pino";
import type { Message } from "./core/message.ts";
import type { Sender } from "./core/responder.ts";
import type { InterfaceLink } from "./interfaces.ts";
import type { LinkCounters, LinkSocketDeps, LinkTransport } from "./link-socket.ts";

/** Milliseconds after which a link that could not send is tried again; doubles up to the longest. */
const firstRetryMs = 2_000;
const longestRetryMs = 60_000;

export type OpenLink = (
  link: InterfaceLink,
  deps: Pick<LinkSocketDeps, "onMessage" | "onSendError" | "onFailed">,
) => LinkTransport;

export interface LinkReport extends LinkCounters {
  /** `eth0/IPv4` */
  readonly link: string;
  readonly interface: string;
  readonly family: 4 | 6;
  readonly state: "up" | "failed";
  /** Code or text of the last fault, null while all is well. */
  readonly error: string | null;
}

export interface LinkPoolHooks {
  readonly onMessage: (link: string, message: Message, from: Sender) => void;
  /** Announce and ask there: the link is new or has other addresses. */
  readonly onUp: (link: InterfaceLink) => void;
  readonly onDown: (link: string) => void;
  /** Announce and ask there again: packets were lost. */
  readonly onRetry: (link: string) => void;
}

interface Entry {
  link: InterfaceLink;
  /** Null if the system refused even to make a socket. */
  transport: LinkTransport | null;
  state: "up" | "failed";
  error: string | null;
  /** Milliseconds at which to try again; null while all is well. */
  retryAt: number | null;
  retryMs: number;
  faultAt: number;
}

const noPackets: LinkCounters = {
  received: 0,
  sent: 0,
  sendErrors: 0,
  own: 0,
  foreign: 0,
  limited: 0,
  malformed: 0,
};

/** The sockets of all links, kept in step with the interfaces. A fault of one leaves the others alone. */
export class LinkPool {
  readonly #open: OpenLink;
  readonly #hooks: LinkPoolHooks;
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();
  readonly #closing = new Set<Promise<void>>();

  constructor(deps: {
    readonly open: OpenLink;
    readonly hooks: LinkPoolHooks;
    readonly log: Logger;
    readonly now: () => number;
  }) {
    this.#open = deps.open;
    this.#hooks = deps.hooks;
    this.#log = deps.log;
    this.#now = deps.now;
  }

  /** Take in the interfaces as they are now, and retry what failed if its time has come. */
  reconcile(links: readonly InterfaceLink[]): void {
    const present = new Set(links.map(({ id }) => id));
    for (const [id, entry] of this.#entries) {
      if (present.has(id)) continue;
      this.#entries.delete(id);
      this.#close(entry);
      this.#hooks.onDown(id);
    }
    for (const link of links) this.#reconcileOne(link);
  }

  #reconcileOne(link: InterfaceLink): void {
    const entry = this.#entries.get(link.id);
    if (entry === undefined) {
      this.#start(link, { retryMs: firstRetryMs, faultAt: Number.NEGATIVE_INFINITY });
      this.#hooks.onUp(link);
      return;
    }
    const isDue = entry.retryAt !== null && this.#now() >= entry.retryAt;
    const changed = JSON.stringify(entry.link) !== JSON.stringify(link);
    const isNewSocket = link.socketKey !== entry.link.socketKey || (isDue && entry.state === "failed");
    if (isNewSocket) {
      this.#close(entry);
      this.#start(link, entry);
      if (entry.state === "failed") this.#tellWhenBack(link.id);
    } else {
      entry.link = link;
      entry.transport?.update(link);
    }
    if (isDue) {
      entry.retryAt = null;
      entry.error = null;
    }
    if (changed) this.#hooks.onUp(link);
    if (isNewSocket || isDue) this.#hooks.onRetry(link.id);
  }

  #tellWhenBack(id: string): void {
    const entry = this.#entries.get(id);
    void entry?.transport?.ready.then(() => {
      if (entry.state === "up") this.#log.info({ link: id }, "discovery works again on a link");
    });
  }

  #start(link: InterfaceLink, { retryMs, faultAt }: { retryMs: number; faultAt: number }): void {
    const entry: Entry = { link, transport: null, state: "up", error: null, retryAt: null, retryMs, faultAt };
    this.#entries.set(link.id, entry);
    try {
      entry.transport = this.#open(link, {
        onMessage: (message, from) => this.#hooks.onMessage(link.id, message, from),
        onSendError: (error) => this.#fault(entry, error, "up"),
        onFailed: (error) => this.#fault(entry, error, "failed"),
      });
    } catch (error) {
      this.#fault(entry, error instanceof Error ? error : new Error(String(error)), "failed");
    }
  }

  #fault(entry: Entry, error: Error, state: "up" | "failed"): void {
    const now = this.#now();
    const text = "code" in error && typeof error.code === "string" ? error.code : error.message;
    if (entry.error !== text) {
      const { id } = entry.link;
      this.#log.warn({ link: id, error: text }, "discovery has trouble on a link, it will be tried again");
    }
    entry.error = text;
    if (state === "failed" && entry.state === "up") {
      entry.state = "failed";
      this.#close(entry);
    }
    if (entry.retryAt !== null) return;
    const isFirst = now - entry.faultAt > 2 * entry.retryMs + firstRetryMs;
    entry.retryMs = isFirst ? firstRetryMs : Math.min(entry.retryMs * 2, longestRetryMs);
    entry.faultAt = now;
    entry.retryAt = now + entry.retryMs;
  }

  #close(entry: Entry): void {
    const closing = entry.transport?.close() ?? Promise.resolve();
    this.#closing.add(closing);
    void closing.finally(() => this.#closing.delete(closing));
  }

  send(link: string, message: Message, to?: Sender): void {
    const entry = this.#entries.get(link);
    if (entry?.state === "up") entry.transport?.send(message, to);
  }

  /** Until every socket is bound or has failed. */
  async ready(): Promise<void> {
    await Promise.all([...this.#entries.values()].map(({ transport }) => transport?.ready));
  }

  /** Let what was sent leave, for some milliseconds at most, and close everything. */
  async close(flushMs: number): Promise<void> {
    const flushed = [...this.#entries.values()].map(({ transport }) => transport?.flushed());
    const deadline = Promise.withResolvers<void>();
    const timer = setTimeout(deadline.resolve, flushMs);
    await Promise.race([Promise.all(flushed), deadline.promise]);
    clearTimeout(timer);
    for (const [id, entry] of this.#entries) {
      this.#close(entry);
      this.#hooks.onDown(id);
    }
    this.#entries.clear();
    await Promise.all(this.#closing);
  }

  report(): LinkReport[] {
    return [...this.#entries.values()].map(({ link, transport, state, error }) => ({
      link: link.id,
      interface: link.interface,
      family: link.family,
      state,
      error,
      ...(transport?.counters ?? noPackets),
    }));
  }
}
