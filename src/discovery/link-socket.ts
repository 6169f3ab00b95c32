import type { RemoteInfo } from "node:dgram";
import mdns from "multicast-dns";
import { isOnLink } from "./core/addresses.ts";
import { mdnsPort } from "./core/discovery-core.ts";
import { type Message, parseMessage } from "./core/message.ts";
import type { Sender } from "./core/responder.ts";
import { gatedSocket } from "./gated-socket.ts";
import type { InterfaceLink } from "./interfaces.ts";
import {
  defaultGateLimits,
  hasPlausibleHeader,
  isResponse,
  type OwnPackets,
  RateLimit,
  type Refusal,
} from "./packet-gate.ts";
import { toWire } from "./wire-format.ts";

/** Packets on one link since its socket was made. */
export interface LinkCounters {
  received: number;
  sent: number;
  sendErrors: number;
  /** Ours that came back. */
  own: number;
  /** From other links, which a socket gets as well, or a response from another port than 5353. */
  foreign: number;
  /** Above the packets per second. */
  limited: number;
  malformed: number;
}

export interface LinkSocketDeps {
  readonly now: () => number;
  readonly own: OwnPackets;
  /** Tests hand in one without a network. */
  readonly makeSocket?: typeof gatedSocket;
  readonly onMessage: (message: Message, from: Sender) => void;
  /** A packet could not be sent: no route, no address yet, the interface is going down. */
  readonly onSendError: (error: Error) => void;
  /**
   * The socket is of no use: not bound, or not joined to the group, in which case the library would send over
   * the default route, to another link.
   */
  readonly onFailed: (error: Error) => void;
}

/** What the service needs of a link; tests hand in their own. */
export interface LinkTransport {
  readonly counters: Readonly<LinkCounters>;
  /** Resolves when the socket is bound or has failed. */
  readonly ready: Promise<void>;
  send(message: Message, to?: Sender): void;
  update(link: InterfaceLink): void;
  flushed(): Promise<void>;
  close(): Promise<void>;
}

/** Multicast DNS on one interface in one family, over one instance of multicast-dns. */
export class LinkSocket implements LinkTransport {
  readonly #deps: LinkSocketDeps;
  readonly #mdns: mdns.MulticastDNS;
  readonly #rate = new RateLimit(defaultGateLimits);
  readonly counters: LinkCounters = {
    received: 0,
    sent: 0,
    sendErrors: 0,
    own: 0,
    foreign: 0,
    limited: 0,
    malformed: 0,
  };
  #link: InterfaceLink;
  #pending = new Set<Promise<void>>();
  #closed: Promise<void> | null = null;
  readonly ready: Promise<void>;

  constructor(link: InterfaceLink, deps: LinkSocketDeps) {
    this.#link = link;
    this.#deps = deps;
    const socket = (deps.makeSocket ?? gatedSocket)(link.family, {
      admit: (bytes, from) => this.#admit(bytes, from),
      sending: (bytes) => {
        const sources = this.#link.own.map(({ address }) => address);
        deps.own.remember(bytes, sources, deps.now());
      },
    });
    this.#mdns = mdns(
      link.family === 4
        ? { socket, type: "udp4", interface: link.own[0]?.address, bind: "0.0.0.0" }
        : { socket, type: "udp6", ip: "ff02::fb", interface: `::%${link.interface}`, bind: "::" },
    );
    this.ready = new Promise((resolve) => {
      this.#mdns.on("ready", resolve);
      this.#mdns.on("error", (error) => {
        this.#failed(error);
        resolve();
      });
    });
    this.#mdns.on("warning", (error) => this.#warned(error));
    this.#mdns.on("packet", (packet: unknown, from: RemoteInfo) => this.#receive(packet, from));
  }

  /** Addresses changed, the socket stays. */
  update(link: InterfaceLink): void {
    this.#link = link;
  }

  #admit(bytes: Buffer, from: RemoteInfo): boolean {
    const refusal = this.#refusal(bytes, from);
    if (refusal === null) this.counters.received++;
    else this.counters[refusal]++;
    return refusal === null;
  }

  #refusal(bytes: Buffer, from: RemoteInfo): Refusal | null {
    const link = this.#link;
    if (!isOnLink(from.address, link.interface, link.own)) return "foreign";
    if (this.#deps.own.recognise(bytes, from.address, link.id, this.#deps.now())) return "own";
    if (!this.#rate.admit(from.address, this.#deps.now())) return "limited";
    if (!hasPlausibleHeader(bytes)) return "malformed";
    return from.port !== mdnsPort && isResponse(bytes) ? "foreign" : null;
  }

  #receive(packet: unknown, from: RemoteInfo): void {
    if (this.#closed !== null) return;
    const message = parseMessage(packet);
    if (message === undefined) this.counters.malformed++;
    else this.#deps.onMessage(message, { address: from.address, port: from.port });
  }

  /** The library gives both what it cannot decode and what the system refuses as a warning. */
  #warned(error: Error): void {
    if ("syscall" in error) this.#failed(error);
    else this.counters.malformed++;
  }

  #failed(error: Error): void {
    if (this.#closed === null) this.#deps.onFailed(error);
  }

  send(message: Message, to?: Sender): void {
    if (this.#closed !== null) return;
    const sent = new Promise<void>((resolve) => {
      const done = (error?: Error | null): void => {
        if (error) {
          this.counters.sendErrors++;
          if (this.#closed === null) this.#deps.onSendError(error);
        } else {
          this.counters.sent++;
        }
        resolve();
      };
      const packet = toWire(message);
      const target = to === undefined ? undefined : { address: to.address, port: to.port };
      if (message.kind === "query") this.#mdns.query(packet, target, done);
      else this.#mdns.respond(packet, target, done);
    });
    this.#pending.add(sent);
    void sent.then(() => this.#pending.delete(sent));
  }

  /** Close at once; what was handed to the system is sent. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => this.#mdns.destroy(resolve));
    return this.#closed;
  }

  /** Until what was sent has left. */
  async flushed(): Promise<void> {
    await Promise.all(this.#pending);
  }
}
