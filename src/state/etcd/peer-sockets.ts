import { mkdir, unlink } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { Logger } from "pino";
import { MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { Handle, PeerId } from "../../ids/ids.ts";
import { checkSocketPath, peerSocketName } from "./etcd-arguments.ts";
import { joinStreams } from "./join-streams.ts";

/** Another voter or learner: etcd knows it by its handle, the mesh by its PeerId. */
export interface Voter {
  readonly handle: Handle;
  readonly peer: PeerId;
}

export interface PeerSocketsDeps {
  /** A byte stream to that member's own `connectOwn()`. May throw; etcd tries again by itself. */
  readonly openTunnel: (peer: PeerId, signal: AbortSignal) => Promise<Duplex>;
  readonly log: Logger;
}

interface Offer {
  readonly voter: Voter;
  readonly server: Server;
  readonly sockets: Set<Socket>;
}

/**
 * The sockets through which the local etcd reaches the others: for each other voter one in the etcd
 * directory, named as its peer URL says. What connects there is carried over a tunnel of the mesh.
 */
export class PeerSockets {
  readonly #options: { readonly dir: string; readonly self: Handle };
  readonly #deps: PeerSocketsDeps;
  readonly #offers = new Map<Handle, Offer>();
  readonly #inbound = new Set<Socket>();
  readonly #joined = new Set<Promise<void>>();
  readonly #counters = { accepted: 0, tunnelFailed: 0, inbound: 0 };
  #stop = new AbortController();
  #change: Promise<void> = Promise.resolve();

  constructor(options: { dir: string; self: Handle }, deps: PeerSocketsDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** To be called before etcd starts, which looks for the others at once. */
  async start(voters: readonly Voter[]): Promise<void> {
    this.#stop = new AbortController();
    await mkdir(this.#options.dir, { recursive: true, mode: 0o700 });
    await this.setVoters(voters);
  }

  /** Offer exactly these (our own is left out): connections to one that is gone are cut. */
  setVoters(voters: readonly Voter[]): Promise<void> {
    const change = this.#change.then(() => this.#apply(voters));
    this.#change = change.catch(() => undefined);
    return change;
  }

  /**
   * A connection to the local etcd's own peer socket: what a tunnel from another voter ends at.
   * Throws PEER_UNREACHABLE when etcd does not run here.
   */
  connectOwn(): Promise<Duplex> {
    const path = join(this.#options.dir, peerSocketName(this.#options.self));
    return new Promise((resolve, reject) => {
      const socket = connect({ path, allowHalfOpen: true });
      socket.once("connect", () => {
        this.#inbound.add(socket);
        this.#counters.inbound += 1;
        socket.once("close", () => this.#inbound.delete(socket));
        resolve(socket);
      });
      socket.once("error", (cause) => {
        reject(new MicrocephError("PEER_UNREACHABLE", "no etcd listens on this node", { cause }));
      });
    });
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters };
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.setVoters([]);
    for (const socket of this.#inbound) socket.destroy();
    await Promise.all(this.#joined);
  }

  async #apply(voters: readonly Voter[]): Promise<void> {
    const wanted = new Map(
      voters.filter((voter) => voter.handle !== this.#options.self).map((voter) => [voter.handle, voter]),
    );
    for (const [handle, offer] of this.#offers) {
      if (wanted.get(handle)?.peer === offer.voter.peer) wanted.delete(handle);
      else await this.#withdraw(offer);
    }
    for (const voter of wanted.values()) await this.#offer(voter);
  }

  async #offer(voter: Voter): Promise<void> {
    const path = checkSocketPath(join(this.#options.dir, peerSocketName(voter.handle)));
    await unlink(path).catch(() => undefined);
    const sockets = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      socket.on("error", () => undefined);
      this.#track(this.#carry(socket, voter));
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, () => {
        server.off("error", reject);
        server.on("error", (error) => this.#deps.log.warn({ error: error.message }, "peer socket failed"));
        resolve();
      });
    });
    this.#offers.set(voter.handle, { voter, server, sockets });
  }

  async #withdraw({ voter, server, sockets }: Offer): Promise<void> {
    this.#offers.delete(voter.handle);
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  }

  async #carry(socket: Socket, voter: Voter): Promise<void> {
    this.#counters.accepted += 1;
    const gone = new AbortController();
    socket.once("close", () => gone.abort());
    try {
      const signal = AbortSignal.any([gone.signal, this.#stop.signal]);
      const tunnel = await this.#deps.openTunnel(voter.peer, signal);
      if (socket.destroyed || signal.aborted) {
        tunnel.destroy();
        socket.destroy();
        return;
      }
      await joinStreams(socket, tunnel);
    } catch (error) {
      this.#counters.tunnelFailed += 1;
      this.#deps.log.debug({ voter: voter.handle, error: messageOf(error) }, "no tunnel to a voter");
      socket.destroy();
    }
  }

  #track(work: Promise<void>): void {
    this.#joined.add(work);
    void work.finally(() => this.#joined.delete(work));
  }
}
