import type { Duplex } from "node:stream";
import type { Connection, Stream } from "@libp2p/interface";
import type { Logger } from "pino";
import { z } from "zod";
import { MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import { type PeerId, peerId } from "../../ids/ids.ts";
import { meshProtocol } from "../../version/protocol.ts";
import { withDeadline } from "./deadline.ts";
import { StreamDuplex } from "./stream-duplex.ts";

export const tunnelProtocol = `/microceph/tunnel/${meshProtocol}`;

/** Opens the local end of a tunnel for a member. */
export type TunnelOpener = (from: PeerId) => Duplex | Promise<Duplex>;

const maxHeaderBytes = 1024;
const setupMs = 5000;
const openSchema = z.looseObject({ v: z.literal(1), service: z.string().min(1).max(128) });
const replySchema = z.looseObject({
  v: z.literal(1),
  ok: z.boolean(),
  reason: z.string().max(512).optional(),
});

export interface TunnelDeps {
  /** The connection to use for a peer. */
  readonly connectionTo: (peer: PeerId) => Connection | undefined;
  readonly log: Logger;
}

/** Raw byte streams between members, each to a named service: after a small frame each way they are the caller's. */
export class Tunnels {
  readonly #deps: TunnelDeps;
  readonly #services = new Map<string, TunnelOpener>();
  readonly #open = new Set<Duplex>();
  #stopped = false;

  constructor(deps: TunnelDeps) {
    this.#deps = deps;
  }

  /** Ends all open tunnels. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const tunnel of this.#open) tunnel.destroy();
  }

  /** @returns stops offering; tunnels that are open stay */
  offer(service: string, open: TunnelOpener): () => void {
    if (this.#services.has(service)) throw new TypeError(`the tunnel service ${service} is offered already`);
    this.#services.set(service, open);
    return () => {
      if (this.#services.get(service) === open) this.#services.delete(service);
    };
  }

  /** @throws PEER_UNREACHABLE (also when the service is not offered there), DEADLINE_EXCEEDED, CANCELLED */
  async open(peer: PeerId, service: string, signal?: AbortSignal): Promise<Duplex> {
    const what = `tunnel ${service} to ${peer}`;
    const connection = this.#deps.connectionTo(peer);
    if (connection === undefined || this.#stopped) {
      throw new MicrocephError("PEER_UNREACHABLE", `${what}: not connected`, { data: { peer, service } });
    }
    let duplex: Duplex | undefined;
    try {
      return await withDeadline({ deadlineMs: setupMs, signal }, what, async (within) => {
        const stream = await connection.newStream(tunnelProtocol, { signal: within });
        duplex = this.#adopt(stream);
        if (within.aborted) duplex.destroy();
        await writeHeader(duplex, { v: 1, service });
        const reply = replySchema.parse(await readHeader(duplex));
        if (!reply.ok) throw new Error(reply.reason ?? "refused");
        return duplex;
      });
    } catch (error) {
      duplex?.destroy();
      if (error instanceof MicrocephError && error.code !== "PEER_UNREACHABLE") throw error;
      throw new MicrocephError("PEER_UNREACHABLE", `${what}: ${messageOf(error)}`, {
        data: { peer, service },
        cause: error,
      });
    }
  }

  /** Handler of the protocol. */
  accept(stream: Stream, connection: Connection): void {
    const from = peerId(connection.remotePeer.toString());
    const duplex = this.#adopt(stream);
    this.#serve(duplex, from).catch((error: unknown) => {
      this.#deps.log.debug({ peer: from, error: messageOf(error) }, "A tunnel was refused");
      duplex.destroy();
    });
  }

  async #serve(duplex: Duplex, from: PeerId): Promise<void> {
    const local = await withDeadline({ deadlineMs: setupMs }, "tunnel", async (within) => {
      const { service } = openSchema.parse(await readHeader(duplex));
      const open = this.#services.get(service);
      if (open === undefined || this.#stopped) {
        await refuse(duplex, "this service is not offered here");
        return undefined;
      }
      let end: Duplex;
      try {
        end = await open(from);
      } catch (error) {
        await refuse(duplex, messageOf(error).slice(0, 500));
        return undefined;
      }
      if (within.aborted) end.destroy();
      return end;
    });
    if (local === undefined) return;
    joinDuplexes(duplex, local);
    await writeHeader(duplex, { v: 1, ok: true });
  }

  #adopt(stream: Stream): Duplex {
    const duplex = new StreamDuplex(stream);
    this.#open.add(duplex);
    duplex.once("close", () => this.#open.delete(duplex));
    // Whoever uses it sees the error through its own listener; without one yet it must not end the process.
    duplex.on("error", () => undefined);
    return duplex;
  }
}

/** Copy both ways; an end on one side is an end on the other, a failure is a failure. */
function joinDuplexes(a: Duplex, b: Duplex): void {
  const follow = (one: Duplex, other: Duplex): void => {
    one.on("error", () => undefined);
    one.once("close", () => {
      if (one.errored || !one.readableEnded || !one.writableFinished) other.destroy(one.errored ?? undefined);
    });
  };
  follow(a, b);
  follow(b, a);
  if (a.destroyed || b.destroyed) {
    a.destroy();
    b.destroy();
    return;
  }
  // The reply goes out before anything of b's: pipe() reads b in a later tick.
  a.pipe(b);
  b.pipe(a);
}

async function refuse(duplex: Duplex, reason: string): Promise<void> {
  await writeHeader(duplex, { v: 1, ok: false, reason });
  duplex.end();
}

async function writeHeader(duplex: Duplex, header: object): Promise<void> {
  const body = Buffer.from(JSON.stringify(header));
  const bytes = Buffer.alloc(2 + body.length);
  bytes.writeUInt16BE(body.length);
  body.copy(bytes, 2);
  await new Promise<void>((resolve, reject) => {
    duplex.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

async function readHeader(duplex: Duplex): Promise<unknown> {
  const length = (await readExactly(duplex, 2)).readUInt16BE();
  if (length === 0 || length > maxHeaderBytes) throw new RangeError("the tunnel's header is too large");
  return JSON.parse((await readExactly(duplex, length)).toString("utf8"));
}

/** Exactly so many bytes; what follows stays in the stream. */
async function readExactly(duplex: Duplex, count: number): Promise<Buffer> {
  return new Promise<Buffer>((resolve, reject) => {
    const done = (settle: () => void): void => {
      duplex.off("readable", attempt);
      duplex.off("close", closed);
      settle();
    };
    const closed = (): void => done(() => reject(duplex.errored ?? new Error("the tunnel was closed")));
    const attempt = (): void => {
      const bytes = duplex.read(count) as Buffer | null;
      if (bytes !== null && bytes.length === count) done(() => resolve(bytes));
      else if (bytes !== null || duplex.readableEnded) done(() => reject(new Error("the tunnel ended")));
    };
    duplex.on("close", closed);
    duplex.on("readable", attempt);
    if (duplex.destroyed) closed();
    else attempt();
  });
}
