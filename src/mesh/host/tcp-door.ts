import { Server, type Socket } from "node:net";
import type { Connection, Listener, Transport } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import { tcp } from "@libp2p/tcp";
import type { Libp2pOptions } from "libp2p";
import { MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import { hostPort } from "../../ids/host-port.ts";
import type { PeerId } from "../../ids/ids.ts";
import { gatheringUpgrader } from "./gathered-writes.ts";
import { endpointOf, parseIpAddress, tcpMultiaddr } from "./ip-address.ts";

/** What libp2p hands to the factories of its parts. */
export type Libp2pComponents = Parameters<NonNullable<Libp2pOptions["transports"]>[number]>[0];
type TcpTransport = ReturnType<ReturnType<typeof tcp>> & Transport;

export interface TcpDoorOptions {
  /** Most inbound sockets at a time; further ones are closed at once. */
  readonly maxConnections: number;
  /** A socket on which nothing moved for so long is closed, milliseconds. */
  readonly idleMs: number;
}

/**
 * libp2p's TCP transport, driven directly: every dial makes a connection of its own (the connection manager
 * would share one between callers, and the first to finish would close it under the other), a busy port comes
 * out as a coded error with its address, and IPv6 link-local peers work both ways, which plain libp2p can't.
 */
export class TcpDoor {
  readonly #options: TcpDoorOptions;
  #components: Libp2pComponents | undefined;
  #transport: TcpTransport | undefined;
  readonly #listeners: Listener[] = [];
  /** Zone of inbound link-local sockets, by `ip port`. */
  readonly #zones = new Map<string, string>();
  #port = 0;

  constructor(options: TcpDoorOptions) {
    this.#options = options;
  }

  /** Goes into libp2p's `transports`. */
  readonly factory = (components: Libp2pComponents): Transport => {
    this.#components = components;
    const make = tcp({
      maxConnections: this.#options.maxConnections,
      inboundSocketInactivityTimeout: this.#options.idleMs,
      outboundSocketInactivityTimeout: this.#options.idleMs,
    });
    this.#transport = make(components) as TcpTransport;
    return this.#transport;
  };

  get components(): Libp2pComponents {
    if (this.#components === undefined) throw new TypeError("the door is not built into a host yet");
    return this.#components;
  }

  /** The port that it listens on; 0 before `listen`. */
  get port(): number {
    return this.#port;
  }

  /**
   * Listen on every address, all on one port (0: a free one). A host without IPv6 may name `::`.
   * @throws PORT_IN_USE, ADDRESS_UNAVAILABLE
   */
  async listen(addresses: readonly string[], port: number): Promise<void> {
    this.#port = port;
    for (const text of addresses) {
      try {
        await this.#listenOn(text);
      } catch (error) {
        if (text === "::" && this.#listeners.length > 0 && isMissingFamily(error)) continue;
        await this.close();
        throw listenError(error, text, port);
      }
    }
  }

  async #listenOn(text: string): Promise<void> {
    const address = parseIpAddress(text);
    if (address === undefined) throw new TypeError("not an IP address");
    const upgrader = gatheringUpgrader(this.components.upgrader);
    const listener = this.#requireTransport().createListener({ upgrader });
    // @libp2p/tcp refuses sockets whose remote address has a zone; the server is a private field of its listener.
    const server: unknown = Reflect.get(listener, "server");
    if (server instanceof Server) server.prependListener("connection", (socket) => this.#takeOffZone(socket));
    await listener.listen(tcpMultiaddr(address, this.#port));
    this.#listeners.push(listener);
    if (this.#port === 0) {
      const bound = server instanceof Server ? server.address() : null;
      const first = listener.getAddrs()[0];
      this.#port =
        bound !== null && typeof bound === "object"
          ? bound.port
          : ((first && endpointOf(first)?.port) ?? this.#port);
    }
  }

  #takeOffZone(socket: Socket): void {
    const { ip, zone } = parseIpAddress(socket.remoteAddress ?? "") ?? {};
    if (ip === undefined || zone === undefined) return;
    const key = `${ip} ${socket.remotePort}`;
    this.#zones.set(key, zone);
    socket.once("close", () => this.#zones.delete(key));
    Object.defineProperty(socket, "remoteAddress", { value: ip });
  }

  /** IP address of the other end, with its zone where it has one. */
  addressOf(connection: Pick<Connection, "remoteAddr">): string {
    const endpoint = endpointOf(connection.remoteAddr);
    if (endpoint === undefined) return "";
    const zone = this.#zones.get(`${endpoint.ip} ${endpoint.port}`);
    return zone === undefined ? endpoint.ip : `${endpoint.ip}%${zone}`;
  }

  /** A new connection, encrypted and multiplexed; with `expect`, only to the holder of that key. */
  async dial(
    address: string,
    port: number,
    expect: PeerId | undefined,
    signal: AbortSignal,
  ): Promise<Connection> {
    const parsed = parseIpAddress(address);
    if (parsed === undefined) throw new TypeError(`not an IP address: ${address}`);
    const plain = tcpMultiaddr(parsed, port);
    const target = expect === undefined ? plain : plain.encapsulate(`/p2p/${peerIdFromString(expect)}`);
    const upgrader = gatheringUpgrader(this.components.upgrader);
    // The transport gives its options to net.connect after the multiaddr's, so the zone can be handed in here.
    const host = parsed.zone === undefined ? {} : { host: `${parsed.ip}%${parsed.zone}` };
    // Node keeps the signal of a connect for the life of the socket: the caller's must not cut it later.
    const connecting = new AbortController();
    const abort = (): void => connecting.abort(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    try {
      return await this.#requireTransport().dial(target, { upgrader, signal: connecting.signal, ...host });
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Stop listening; inbound sockets are closed. */
  async close(): Promise<void> {
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
  }

  #requireTransport(): TcpTransport {
    if (this.#transport === undefined) throw new TypeError("the door is not built into a host yet");
    return this.#transport;
  }
}

function isMissingFamily(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL";
}

function listenError(error: unknown, address: string, port: number): MicrocephError {
  const inUse = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
  const place = hostPort(address, port);
  return inUse
    ? new MicrocephError("PORT_IN_USE", `${place} is in use`, { data: { address, port }, cause: error })
    : new MicrocephError("ADDRESS_UNAVAILABLE", `cannot listen on ${place}: ${messageOf(error)}`, {
        data: { address, port },
        cause: error,
      });
}
