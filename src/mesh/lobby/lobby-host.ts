import type { Connection, Stream } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { yamux } from "@libp2p/yamux";
import { createLibp2p, type Libp2p } from "libp2p";
import type { Logger } from "pino";
import { isMicrocephError, MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import { isPeerId, type PeerId, peerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import { meshProtocol } from "../../version/protocol.ts";
import { cutConnection } from "../host/cut-connection.ts";
import { withDeadline } from "../host/deadline.ts";
import { jsonFrames } from "../host/frames.ts";
import { TcpDoor } from "../host/tcp-door.ts";
import type { NodeIdentity } from "../identity/node-identity.ts";
import { type Rate, RateLimiter, rateKey } from "./rate-limit.ts";

export const lobbyProtocol = `/microceph/lobby/${meshProtocol}`;
const maxFrameBytes = 4096;

/** Answers one request. The peer is proved by the connection, the address is where it came from. */
export type LobbyHandler = (from: { peer: PeerId; address: string }, request: Json) => Promise<Json>;

export interface LobbyLimits {
  /** Per remote address (IPv6: per /64), counting connections and requests. */
  readonly perAddress: Rate;
  /** From everyone together. One connection costs 6 to 10 ms of CPU: 40 a second are under half a core. */
  readonly total: Rate;
  /** Most inbound connections at a time. */
  readonly maxConnections: number;
  /** Longest time for one request, its handler included, milliseconds. */
  readonly requestMs: number;
  /** An inbound connection is closed after so long, used or not, milliseconds. */
  readonly connectionMs: number;
}

/** 32 nodes that greet each other every two seconds stay well below these. */
export const defaultLobbyLimits: LobbyLimits = {
  perAddress: { burst: 40, perSecond: 8 },
  total: { burst: 200, perSecond: 80 },
  maxConnections: 128,
  requestMs: 3000,
  connectionMs: 8000,
};

export interface LobbyHostOptions {
  readonly identity: NodeIdentity;
  readonly listen: readonly string[];
  /** 0 for a free one, see `port`. */
  readonly port: number;
  readonly limits?: Partial<LobbyLimits>;
}

export interface LobbyHostDeps {
  readonly handler: LobbyHandler;
  readonly log: Logger;
  /** Milliseconds, monotonic. */
  readonly clock?: () => number;
}

export interface LobbyTarget {
  /** IPv4 or IPv6; link-local with `%interface`. */
  readonly address: string;
  readonly port: number;
  readonly expect?: PeerId;
}

/** The door for strangers: one request and one reply, small and soon. See README.md. */
export class LobbyHost {
  readonly #options: LobbyHostOptions;
  readonly #limits: LobbyLimits;
  readonly #deps: LobbyHostDeps;
  readonly #clock: () => number;
  readonly #rates: RateLimiter;
  readonly #door: TcpDoor;
  readonly #counters: Record<string, number> = {};
  readonly #busy = new Set<Promise<unknown>>();
  readonly #stopped = new AbortController();
  #host: Libp2p | undefined;

  constructor(options: LobbyHostOptions, deps: LobbyHostDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#limits = { ...defaultLobbyLimits, ...options.limits };
    this.#clock = deps.clock ?? (() => performance.now());
    const { perAddress: perKey, total, maxConnections, connectionMs } = this.#limits;
    this.#rates = new RateLimiter({ perKey, total, maxKeys: 1024 });
    this.#door = new TcpDoor({ maxConnections, idleMs: connectionMs });
  }

  /** @throws PORT_IN_USE, ADDRESS_UNAVAILABLE */
  async start(): Promise<void> {
    const { identity, listen, port } = this.#options;
    const { requestMs } = this.#limits;
    this.#host = await createLibp2p({
      start: false,
      privateKey: identity.privateKey,
      addresses: { listen: [] },
      transports: [this.#door.factory],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux({ enableKeepAlive: false, maxInboundStreams: 4 })],
      connectionMonitor: { enabled: false },
      connectionManager: {
        // The limits are ours: these only must not come before them.
        maxConnections: 10_000,
        inboundConnectionThreshold: 10_000,
        maxIncomingPendingConnections: 32,
        inboundUpgradeTimeout: requestMs,
        inboundStreamProtocolNegotiationTimeout: requestMs,
      },
      connectionGater: {
        denyInboundConnection: (socket) =>
          !this.#rates.take(rateKey(this.#door.addressOf(socket)), this.#clock()) && this.#drop("rate"),
        denyInboundEncryptedConnection: (peer) => !isPeerId(peer.toString()) && this.#drop("key-type"),
      },
    });
    this.#host.addEventListener("connection:open", ({ detail }) => this.#limitLife(detail));
    await this.#host.handle(lobbyProtocol, (stream, connection) => this.#accept(stream, connection), {
      maxInboundStreams: 4,
      maxOutboundStreams: 4,
    });
    await this.#host.start();
    try {
      await this.#door.listen(listen, port);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#door.close();
    await this.#host?.stop();
    await Promise.allSettled(this.#busy);
  }

  /** The port that it listens on. */
  get port(): number {
    return this.#door.port;
  }

  counters(): Record<string, number> {
    return { ...this.#counters };
  }

  /**
   * One request to whoever answers at an address, over a connection of its own.
   * @throws PEER_UNREACHABLE (also when another than `expect` answers), DEADLINE_EXCEEDED, CANCELLED;
   * RangeError for a request that is too large
   */
  async ask(
    target: LobbyTarget,
    request: Json,
    options: { deadlineMs: number; signal?: AbortSignal },
  ): Promise<{ peer: PeerId; reply: Json }> {
    const { address, port, expect } = target;
    const what = `lobby of ${address} port ${port}`;
    if (frameBytes(request) > maxFrameBytes) throw new RangeError(`${what}: the request is too large`);
    if (this.#stopped.signal.aborted) throw new MicrocephError("CANCELLED", `${what}: this node is stopping`);
    const signal = AbortSignal.any([this.#stopped.signal, ...(options.signal ? [options.signal] : [])]);
    let connection: Connection | undefined;
    try {
      return await withDeadline({ deadlineMs: options.deadlineMs, signal }, what, async (within) => {
        connection = await this.#door.dial(address, port, undefined, within);
        if (within.aborted) {
          // The caller has its answer already, so nobody else will hang up.
          this.#track(hangUp(connection));
          throw within.reason;
        }
        const peer = connection.remotePeer.toString();
        if (!isPeerId(peer) || (expect !== undefined && peer !== expect)) {
          const message = `${what}: ${peer} answers there, not ${expect ?? "a node"}`;
          throw new MicrocephError("PEER_UNREACHABLE", message, { data: { address, port, expect, peer } });
        }
        const stream = await connection.newStream(lobbyProtocol, { signal: within });
        const frames = jsonFrames(stream, maxFrameBytes);
        await frames.write(request, within);
        return { peer, reply: await frames.read(within) };
      });
    } catch (error) {
      if (isMicrocephError(error)) throw error;
      throw new MicrocephError("PEER_UNREACHABLE", `${what}: ${messageOf(error)}`, {
        data: { address, port },
        cause: error,
      });
    } finally {
      if (connection !== undefined) this.#track(hangUp(connection));
    }
  }

  #accept(stream: Stream, connection: Connection): void {
    const address = this.#door.addressOf(connection);
    if (!this.#rates.take(rateKey(address), this.#clock())) {
      this.#drop("rate");
      cutConnection(connection, "too many requests");
      return;
    }
    this.#track(this.#serve(stream, connection, address));
  }

  async #serve(stream: Stream, connection: Connection, address: string): Promise<void> {
    const from = { peer: peerId(connection.remotePeer.toString()), address };
    const limit = { deadlineMs: this.#limits.requestMs, signal: this.#stopped.signal };
    try {
      await withDeadline(limit, "lobby request", async (signal) => {
        const frames = jsonFrames(stream, maxFrameBytes);
        const request = await frames.read(signal);
        this.#count("requests");
        await frames.write(await this.#answer(from, request), signal);
        await stream.close({ signal });
      });
    } catch (error) {
      this.#drop(isMicrocephError(error) ? "late" : "frame");
      this.#deps.log.debug({ ...from, error: messageOf(error) }, "A lobby request was dropped");
      cutConnection(connection, "bad request");
    }
  }

  async #answer(from: { peer: PeerId; address: string }, request: Json): Promise<Json> {
    try {
      const reply = await this.#deps.handler(from, request);
      if (frameBytes(reply) <= maxFrameBytes) return reply;
      this.#count("replies.too-large");
      this.#deps.log.error({ peer: from.peer }, "A lobby reply is too large to be sent");
      return { error: "too-large" };
    } catch (error) {
      this.#count("replies.internal");
      this.#deps.log.warn({ peer: from.peer, error: messageOf(error) }, "A lobby request failed");
      return { error: "internal" };
    }
  }

  /** Nobody keeps a connection: it is for a question or two. */
  #limitLife(connection: Connection): void {
    if (connection.direction !== "inbound") return;
    this.#count("connections");
    const timer = setTimeout(() => cutConnection(connection, "idle"), this.#limits.connectionMs);
    timer.unref();
    connection.addEventListener("close", () => clearTimeout(timer), { once: true });
  }

  #drop(reason: string): true {
    this.#count(`dropped.${reason}`);
    return true;
  }

  #count(name: string): void {
    this.#counters[name] = (this.#counters[name] ?? 0) + 1;
  }

  #track(work: Promise<unknown>): void {
    this.#busy.add(work);
    void work.finally(() => this.#busy.delete(work)).catch(() => undefined);
  }
}

function frameBytes(value: Json): number {
  return Buffer.byteLength(JSON.stringify(value));
}

async function hangUp(connection: Connection): Promise<void> {
  try {
    await connection.close({ signal: AbortSignal.timeout(500) });
  } catch {
    cutConnection(connection, "did not close in time");
  }
}
