import type { Connection, Stream } from "@libp2p/interface";
import type { Logger } from "pino";
import { messageOf } from "../../errors/microceph-error.ts";
import { type PeerId, peerId } from "../../ids/ids.ts";
import { meshProtocol } from "../../version/protocol.ts";
import { cutConnection } from "./cut-connection.ts";
import { chooseLink, type LinkFacts, simultaneousMs } from "./link-choice.ts";
import { LinkHealth } from "./link-health.ts";

export const pulseProtocol = `/microceph/pulse/${meshProtocol}`;

interface Link extends LinkFacts {
  readonly peer: PeerId;
  readonly connection: Connection;
  readonly health: LinkHealth;
  proven: boolean;
  pulse: Stream | undefined;
  /** Another one is kept; this one closes as soon as what runs on it has had a moment to end. */
  retired: boolean;
  /** It is being cut: its pulse ends then, which must not cut it a second time. */
  cut: boolean;
}

export interface LinksOptions {
  readonly self: PeerId;
  /** Time between pulses, milliseconds. */
  readonly pulseMs: number;
}

export interface LinksDeps {
  readonly now: () => number;
  readonly log: Logger;
  readonly admits: (peer: PeerId) => boolean;
  /** The first connection to a peer is proven, or the last one is gone. */
  readonly onChange: (peer: PeerId, up: boolean) => void;
  /** A pulse of the peer came. */
  readonly onHeard: (peer: PeerId) => void;
  /** Each pulse interval, with the connections that are in use. */
  readonly onTick: (links: { peer: PeerId; connection: Connection }[]) => void;
}

const pulse = Uint8Array.of(1);
/** Ticks until a connection must have been proven. */
const provingTicks = 5;
const retireMs = 1000;

/**
 * The connections to members. One counts only when the other end has been heard on it: a dial also "succeeds"
 * when the other side's gater cuts it a moment later. A pulse each way each second notices a dead one.
 */
export class Links {
  readonly #options: LinksOptions;
  readonly #deps: LinksDeps;
  readonly #links = new Map<string, Link>();
  readonly #up = new Set<PeerId>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #ticker: NodeJS.Timeout | undefined;

  constructor(options: LinksOptions, deps: LinksDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  start(): void {
    this.#ticker = setInterval(() => this.#tick(), this.#options.pulseMs);
    this.#ticker.unref();
  }

  stop(): void {
    clearInterval(this.#ticker);
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** Peers with a proven connection. */
  peers(): PeerId[] {
    return [...this.#up];
  }

  /** Peers with any connection. */
  all(): PeerId[] {
    return [...new Set([...this.#links.values()].map(({ peer }) => peer))];
  }

  /** The connection to use for a peer. */
  connectionTo(peer: PeerId): Connection | undefined {
    const usable = this.#of(peer).filter((link) => link.proven && !link.retired);
    return chooseLink(usable)?.connection;
  }

  /** Whether there is any connection, proven or not. */
  has(peer: PeerId): boolean {
    return this.#of(peer).length > 0;
  }

  /** Number of open connections to a peer. */
  count(peer: PeerId): number {
    return this.#of(peer).length;
  }

  /** Whether we dialled this peer just now with success, so that its own dial at the same time is one too many. */
  justDialed(peer: PeerId): boolean {
    const since = this.#deps.now() - simultaneousMs;
    return this.#of(peer).some(
      ({ connection, proven, openedAt }) =>
        connection.direction === "outbound" && proven && openedAt >= since,
    );
  }

  /** Cut all connections to a peer, now. */
  cut(peer: PeerId, reason: string): void {
    for (const link of this.#of(peer)) cutLink(link, reason);
  }

  /** Cut those to a peer that this node dialled; one that the other side wants stays. */
  release(peer: PeerId, reason: string): void {
    for (const link of this.#of(peer)) if (link.connection.direction === "outbound") cutLink(link, reason);
  }

  /** A connection was opened, by either side. */
  opened(connection: Connection): void {
    const peer = peerId(connection.remotePeer.toString());
    if (!this.#deps.admits(peer)) {
      // The gater let it pass: it was removed while the handshake ran.
      this.#deps.log.info({ peer }, "A connection was cut: its peer is not a member");
      cutConnection(connection, "not a member");
      return;
    }
    const dialedBySelf = connection.direction === "outbound";
    const link: Link = {
      id: connection.id,
      peer,
      connection,
      dialedByLower: dialedBySelf === this.#options.self < peer,
      openedAt: this.#deps.now(),
      health: new LinkHealth(),
      proven: false,
      pulse: undefined,
      retired: false,
      cut: false,
    };
    this.#links.set(link.id, link);
    connection.addEventListener("close", () => this.#closed(link), { once: true });
    if (connection.status !== "open") this.#closed(link);
    else if (dialedBySelf) void this.#openPulse(link);
  }

  /** Handler of the pulse protocol: the dialling side opens the stream. */
  accept(stream: Stream, connection: Connection): void {
    const link = this.#links.get(connection.id);
    if (link === undefined || link.pulse !== undefined) stream.abort(new Error("unexpected pulse"));
    else this.#attach(link, stream);
  }

  async #openPulse(link: Link): Promise<void> {
    try {
      const signal = AbortSignal.timeout(provingTicks * this.#options.pulseMs);
      this.#attach(link, await link.connection.newStream(pulseProtocol, { signal }));
    } catch (error) {
      this.#deps.log.debug({ peer: link.peer, error: messageOf(error) }, "A connection did not come to life");
      cutLink(link, "no pulse");
    }
  }

  #attach(link: Link, stream: Stream): void {
    link.pulse = stream;
    stream.addEventListener("message", () => {
      link.health.heard();
      if (!link.proven) this.#prove(link);
      this.#deps.onHeard(link.peer);
    });
    stream.addEventListener("close", () => cutLink(link, "the pulse ended"));
    if (stream.status === "open") stream.send(pulse);
  }

  #prove(link: Link): void {
    link.proven = true;
    if (!this.#links.has(link.id)) return;
    if (!this.#up.has(link.peer)) {
      this.#up.add(link.peer);
      this.#deps.onChange(link.peer, true);
    }
    // One of the two decides, so they cannot close one each.
    if (this.#options.self < link.peer) this.#retireOthers(link.peer);
  }

  #retireOthers(peer: PeerId): void {
    const links = this.#of(peer).filter((link) => link.proven && !link.retired);
    const keep = chooseLink(links);
    for (const link of links) {
      if (link === keep) continue;
      link.retired = true;
      this.#deps.log.debug({ peer }, "A second connection to the same member is closed");
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        cutLink(link, "another connection is kept");
      }, retireMs);
      timer.unref();
      this.#timers.add(timer);
    }
  }

  #closed(link: Link): void {
    if (!this.#links.delete(link.id)) return;
    const left = this.#of(link.peer).some(({ proven }) => proven);
    if (!left && this.#up.delete(link.peer)) this.#deps.onChange(link.peer, false);
  }

  #tick(): void {
    for (const link of [...this.#links.values()]) {
      try {
        link.pulse?.send(pulse);
      } catch {
        // Its close event follows.
      }
      if (link.health.tick()) {
        this.#deps.log.debug({ peer: link.peer, proven: link.proven }, "A silent connection is cut");
        cutLink(link, "silent");
      }
    }
    this.#deps.onTick(
      this.peers().flatMap((peer) => {
        const connection = this.connectionTo(peer);
        return connection === undefined ? [] : [{ peer, connection }];
      }),
    );
  }

  #of(peer: PeerId): Link[] {
    return [...this.#links.values()].filter((link) => link.peer === peer);
  }
}

function cutLink(link: Link, reason: string): void {
  if (link.cut) return;
  link.cut = true;
  cutConnection(link.connection, reason);
}
