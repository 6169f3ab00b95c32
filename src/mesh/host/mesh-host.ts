import type { Duplex } from "node:stream";
import type { Libp2p } from "libp2p";
import type { Logger } from "pino";
import { messageOf } from "../../errors/microceph-error.ts";
import { type ClusterId, isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { MemberCertificate } from "../identity/certificate.ts";
import type { NodeIdentity } from "../identity/node-identity.ts";
import type { Overlay } from "../overlay/overlay.ts";
import { routesTo } from "../overlay/routes.ts";
import type { Deadline } from "./deadline.ts";
import { Dialer } from "./dialer.ts";
import { Gossip, type GossipListener } from "./gossip.ts";
import { Links, pulseProtocol } from "./links.ts";
import { createMemberHost } from "./member-host.ts";
import type { Endpoint } from "./redial.ts";
import { Relay, relayMethod } from "./relay.ts";
import { type MemberContact, Roster } from "./roster.ts";
import { openReply, Rpc, type RpcHandler, rpcProtocol } from "./rpc.ts";
import { TcpDoor } from "./tcp-door.ts";
import type { Topic } from "./topics.ts";
import { type TunnelOpener, Tunnels, tunnelProtocol } from "./tunnel.ts";

export type { MemberContact } from "./roster.ts";
export type { Topic } from "./topics.ts";

export interface MeshHostOptions {
  readonly identity: NodeIdentity;
  /** IP addresses to listen on, or `0.0.0.0` and `::`. */
  readonly listen: readonly string[];
  /** 0 for a free one, see `port`. */
  readonly port: number;
  readonly cluster: ClusterId;
  /** Time between pulses on each connection, milliseconds; one that is silent for 3 to 4 of them is cut. */
  readonly pulseMs?: number;
}

export interface MeshHostDeps {
  readonly log: Logger;
  /** Milliseconds; only differences count. */
  readonly now?: () => number;
  readonly random?: () => number;
}

export type ConnectionListener = (peer: PeerId, up: boolean) => void;

/** A round over all addresses of a peer, milliseconds. */
const dialMs = 4000;
/** A dial so recent wins over one that comes in from the same peer, milliseconds. */
const simultaneousDialMs = 1000;
const streamLimits = { maxInboundStreams: 512, maxOutboundStreams: 512 };

/** The door for members: connections, requests, hints and tunnels between them. See README.md. */
export class MeshHost {
  readonly self: PeerId;
  readonly #options: MeshHostOptions;
  readonly #log: Logger;
  readonly #door = new TcpDoor({ maxConnections: 512, idleMs: 60_000 });
  readonly #links: Links;
  readonly #dialer: Dialer;
  readonly #rpc: Rpc;
  readonly #gossip: Gossip;
  readonly #tunnels: Tunnels;
  readonly #listeners = new Set<ConnectionListener>();
  /** Members whose connection was lost, until there is another one or nothing listens there. */
  readonly #lost = new Set<PeerId>();
  readonly #endListeners = new Set<(peer: PeerId) => void>();
  readonly #hearers = new Set<(peer: PeerId) => void>();
  readonly #roster: Roster;
  readonly #relay: Relay;
  #overlay: Overlay | undefined;
  #isUp: (peer: PeerId) => boolean = () => true;
  #host: Libp2p | undefined;

  constructor(options: MeshHostOptions, deps: MeshHostDeps) {
    this.#options = options;
    this.self = options.identity.peerId;
    this.#log = deps.log;
    const { log, random = Math.random, now = () => performance.now() } = deps;
    const { self } = this;
    this.#roster = new Roster(self, options.cluster);
    const admits = (peer: PeerId): boolean => this.#roster.admits(peer);
    const connectionTo = (peer: PeerId) => this.#links.connectionTo(peer);
    this.#rpc = new Rpc({ connectionTo, log });
    this.#relay = new Relay({
      identity: options.identity,
      ask: (peer, method, body, deadline) => this.#rpc.request(peer, method, body, deadline),
      serve: (author, method, body, deadline) => this.#rpc.serveFor(author, method, body, deadline),
      open: openReply,
      admits,
      isConnected: (peer) => this.#links.connectionTo(peer) !== undefined,
      routes: (target, most) => this.#routes(target, most),
    });
    this.#rpc.handle(relayMethod, this.#relay.handle);
    this.#tunnels = new Tunnels({ connectionTo, log });
    this.#gossip = new Gossip({ cluster: options.cluster }, { admits, log });
    this.#links = new Links(
      { self, pulseMs: options.pulseMs ?? 1000 },
      {
        now,
        log,
        admits,
        onChange: (peer, up) => this.#changed(peer, up),
        onHeard: (peer) => {
          for (const listener of this.#hearers) listener(peer);
        },
        onTick: (links) => this.#gossip.mend(links),
      },
    );
    this.#dialer = new Dialer(
      { self, dialMs },
      {
        dial: ({ address, port }, peer, signal) => this.#door.dial(address, port, peer, signal),
        isLinked: (peer) => this.#links.has(peer),
        onRefused: (peer) => this.#refused(peer),
        now,
        random,
        log,
      },
    );
  }

  /** @throws PORT_IN_USE, ADDRESS_UNAVAILABLE */
  async start(): Promise<void> {
    this.#host = await createMemberHost({
      privateKey: this.#options.identity.privateKey,
      door: this.#door,
      gossip: this.#gossip,
      refuses: (remote, inbound) => this.#refuses(remote, inbound),
    });
    this.#host.addEventListener("connection:open", ({ detail }) => this.#links.opened(detail));
    await this.#host.handle(pulseProtocol, (stream, connection) => this.#links.accept(stream, connection));
    await this.#host.handle(rpcProtocol, (stream, from) => this.#rpc.accept(stream, from), streamLimits);
    await this.#host.handle(
      tunnelProtocol,
      (stream, from) => this.#tunnels.accept(stream, from),
      streamLimits,
    );
    await this.#host.start();
    this.#gossip.start();
    this.#links.start();
    try {
      await this.#door.listen(this.#options.listen, this.#options.port);
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#dialer.start();
  }

  async stop(): Promise<void> {
    await this.#dialer.stop();
    await this.#rpc.stop();
    await this.#tunnels.stop();
    await this.#door.close();
    await this.#host?.stop();
    this.#links.stop();
  }

  /** The port that it listens on. */
  get port(): number {
    return this.#door.port;
  }

  /** All members; this node itself may be among them. Who is no longer named is cut before this returns. */
  setMembers(members: ReadonlyMap<PeerId, MemberContact>): void {
    this.#roster.setMembers(members);
    this.#apply();
  }

  /**
   * Admit the holder of a certificate that this node's journal does not name yet, for this run, until
   * `setMembers` names it or `deny` is called. A certificate that does not verify for this cluster is ignored.
   */
  introduce(certificate: MemberCertificate, contact: MemberContact): void {
    if (this.#roster.introduce(certificate, contact)) this.#apply();
  }

  /** Refuse this peer from now on, whatever `setMembers` says: it was removed, and a removed key never returns. */
  deny(peer: PeerId): void {
    this.#roster.deny(peer);
    this.#apply();
  }

  /**
   * Who is linked to whom, after `setMembers`: without it every pair is. Links that this node dialled and that are
   * not wanted any more are cut; those that others want stay.
   * `isUp` is asked for each request that others carry: whether to count on a member for that.
   */
  setOverlay(overlay: Overlay, isUp: (peer: PeerId) => boolean): void {
    this.#overlay = overlay.full ? undefined : overlay;
    this.#isUp = isUp;
    this.#apply();
  }

  /** Members with a connection on which both sides have been heard. */
  connected(): PeerId[] {
    return this.#links.peers();
  }

  /** Figures of requests and gossip since the start. */
  counters(): {
    readonly rpc: ReturnType<Rpc["counters"]>;
    readonly relay: ReturnType<Relay["counters"]>;
    readonly gossip: ReturnType<Gossip["counters"]>;
  } {
    return { rpc: this.#rpc.counters(), relay: this.#relay.counters(), gossip: this.#gossip.counters() };
  }

  /** Number of open connections to a peer: 1, or 2 for a moment after simultaneous dials. */
  connectionCount(peer: PeerId): number {
    return this.#links.count(peer);
  }

  /** @returns stops listening */
  onConnection(listener: ConnectionListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Called when a connection was lost and a dial is refused because nothing listens there any more: the daemon of that
   * member has ended. Once for each connection; a host that is away refuses nothing. @returns stops listening
   */
  onEnded(listener: (peer: PeerId) => void): () => void {
    this.#endListeners.add(listener);
    return () => this.#endListeners.delete(listener);
  }

  /** Called for each pulse of a connected member, about once a second. @returns stops listening */
  onHeard(listener: (peer: PeerId) => void): () => void {
    this.#hearers.add(listener);
    return () => this.#hearers.delete(listener);
  }

  /** The peer was seen at these addresses: dial at once if it is a member that is not connected. */
  dialHint(peer: PeerId, addresses: readonly string[], port: number): void {
    this.#dialer.hint(peer, endpointsOf({ addresses, port }));
  }

  /**
   * Ask a member, over its link or, of many members, carried by others.
   * @throws PEER_UNREACHABLE, DEADLINE_EXCEEDED, CANCELLED, or the error of the other side's handler
   */
  request(peer: PeerId, method: string, body: Json, options: Deadline): Promise<Json> {
    if (this.#links.connectionTo(peer) === undefined && this.#relay.reaches(peer)) {
      return this.#relay.request(peer, method, body, options);
    }
    return this.#rpc.request(peer, method, body, options);
  }

  /** Whether a request would reach a member now: it has a link, or is there and others carry it. */
  reaches(peer: PeerId): boolean {
    if (this.#links.connectionTo(peer) !== undefined) return true;
    return this.#overlay !== undefined && this.#isUp(peer) && this.#relay.reaches(peer);
  }

  handle(method: string, handler: RpcHandler): void {
    this.#rpc.handle(method, handler);
  }

  /** Tell all members, as a hint: it may be lost. At most 16 KiB of JSON. */
  publish(topic: Topic, body: Json): Promise<void> {
    return this.#gossip.publish(topic, body);
  }

  /** `from` signed the message, whoever relayed it. @returns stops listening */
  subscribe(topic: Topic, listener: GossipListener): () => void {
    return this.#gossip.subscribe(topic, listener);
  }

  /** @returns stops offering */
  offerTunnel(service: string, open: TunnelOpener): () => void {
    return this.#tunnels.offer(service, open);
  }

  /**
   * A byte stream to a service that the peer offers.
   * @throws PEER_UNREACHABLE, DEADLINE_EXCEEDED, CANCELLED
   */
  openTunnel(peer: PeerId, service: string, signal?: AbortSignal): Promise<Duplex> {
    return this.#tunnels.open(peer, service, signal);
  }

  /** Make dialer and connections fit the members. */
  #apply(): void {
    const linked = this.#overlay?.linked(this.self);
    // One that the overlay does not know yet, as it was only introduced, is a neighbour until it does.
    const wants = (peer: PeerId): boolean =>
      linked === undefined || linked.has(peer) || !this.#overlay?.members.has(peer);
    for (const peer of this.#dialer.wanted()) {
      if (!this.#roster.admits(peer) || !wants(peer)) this.#dialer.forget(peer);
    }
    for (const peer of this.#links.all()) {
      if (!this.#roster.admits(peer)) this.#links.cut(peer, "no longer a member");
      else if (!wants(peer)) this.#links.release(peer, "no longer a neighbour");
    }
    for (const contact of this.#roster.contacts()) {
      if (wants(contact.peer)) this.#dialer.want(contact.peer, endpointsOf(contact));
    }
  }

  #routes(target: PeerId, most: number): PeerId[][] {
    const overlay = this.#overlay;
    if (overlay === undefined) return [];
    const facts = { overlay, self: this.self, target, connected: this.connected(), isUp: this.#isUp };
    return routesTo(facts, most);
  }

  #refused(peer: PeerId): void {
    if (!this.#lost.delete(peer)) return;
    this.#log.debug({ peer }, "The daemon of a member has ended");
    for (const listener of this.#endListeners) listener(peer);
  }

  #changed(peer: PeerId, up: boolean): void {
    if (up) this.#lost.delete(peer);
    else this.#lost.add(peer);
    this.#dialer.changed(peer, up);
    this.#log.debug({ peer, up }, up ? "A member is connected" : "The connection to a member is lost");
    for (const listener of this.#listeners) {
      try {
        listener(peer, up);
      } catch (error) {
        this.#log.error({ peer, up, error: messageOf(error) }, "A listener to connections failed");
      }
    }
  }

  /** At the Noise handshake, before any of our protocols: strangers, and the second of two simultaneous dials. */
  #refuses(remote: { toString(): string }, inbound: boolean): boolean {
    const peer = remote.toString();
    if (!isPeerId(peer) || !this.#roster.admits(peer)) return true;
    if (!inbound || this.self > peer) return false;
    return this.#dialer.isDialing(peer, simultaneousDialMs) || this.#links.justDialed(peer);
  }
}

function endpointsOf(contact: Pick<MemberContact, "addresses" | "port">): Endpoint[] {
  const { addresses, port } = contact;
  return port === null ? [] : addresses.map((address) => ({ address, port }));
}
