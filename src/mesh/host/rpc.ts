import type { Connection, Stream } from "@libp2p/interface";
import type { Logger } from "pino";
import { z } from "zod";
import { type ErrorCode, errorCodes } from "../../errors/codes.ts";
import { isMicrocephError, MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import { type PeerId, peerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import { meshProtocol } from "../../version/protocol.ts";
import { type Deadline, withDeadline } from "./deadline.ts";
import { jsonFrames } from "./frames.ts";

export const rpcProtocol = `/microceph/rpc/${meshProtocol}`;
/** Longest request or reply, in bytes of its JSON. */
export const maxRpcFrameBytes = 4 * 1024 * 1024;
/** Time for a request to arrive whole; a member with a slow link gets 4 MiB through at 3 Mbit/s. */
const receiveMs = 10_000;
const maxHandlingMs = 600_000;

/** Answers one request of a member. The signal aborts when the asker gives up or this host stops. */
export type RpcHandler = (from: PeerId, body: Json, signal: AbortSignal) => Promise<Json>;

const requestSchema = z.looseObject({
  v: z.literal(1),
  method: z.string().min(1).max(128),
  deadlineMs: z.number().positive(),
  body: z.custom<Json>((value) => value !== undefined),
});
const errorSchema = z.looseObject({
  code: z.string().max(64),
  message: z.string().max(8192),
  data: z.record(z.string(), z.unknown()).optional(),
});
const replySchema = z.union([
  z.looseObject({ v: z.literal(1), error: errorSchema }),
  z.looseObject({ v: z.literal(1), body: z.custom<Json>((value) => value !== undefined) }),
]);

export interface RpcDeps {
  /** The connection to use for a peer. */
  readonly connectionTo: (peer: PeerId) => Connection | undefined;
  readonly log: Logger;
}

/** Ask one member: a stream for each request, closed after the reply. */
export class Rpc {
  readonly #deps: RpcDeps;
  readonly #handlers = new Map<string, RpcHandler>();
  readonly #serving = new Set<Promise<void>>();
  readonly #stopped = new AbortController();
  readonly #counters = { asked: 0, askedFailed: 0, served: 0, servedFailed: 0 };

  constructor(deps: RpcDeps) {
    this.#deps = deps;
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.allSettled(this.#serving);
  }

  /** Requests made and answered since the start, and those of them that ended in an error. */
  counters(): Readonly<Record<"asked" | "askedFailed" | "served" | "servedFailed", number>> {
    return { ...this.#counters };
  }

  handle(method: string, handler: RpcHandler): void {
    if (this.#handlers.has(method)) throw new TypeError(`the method ${method} has a handler already`);
    this.#handlers.set(method, handler);
  }

  /**
   * @throws PEER_UNREACHABLE (not connected, or the connection was lost: the request may have been carried
   * out), DEADLINE_EXCEEDED, CANCELLED, or the error that the other side's handler threw
   */
  async request(peer: PeerId, method: string, body: Json, deadline: Deadline): Promise<Json> {
    this.#counters.asked += 1;
    try {
      return await this.#ask(peer, method, body, deadline);
    } catch (error) {
      this.#counters.askedFailed += 1;
      throw error;
    }
  }

  async #ask(peer: PeerId, method: string, body: Json, deadline: Deadline): Promise<Json> {
    const what = `${method} to ${peer}`;
    const connection = this.#deps.connectionTo(peer);
    if (connection === undefined) {
      throw new MicrocephError("PEER_UNREACHABLE", `${what}: not connected`, { data: { peer, method } });
    }
    let stream: Stream | undefined;
    try {
      return await withDeadline(deadline, what, async (signal) => {
        stream = await connection.newStream(rpcProtocol, { signal });
        const frames = jsonFrames(stream, maxRpcFrameBytes);
        await frames.write({ v: 1, method, deadlineMs: deadline.deadlineMs, body }, signal);
        const reply = await frames.read(signal);
        await stream.close({ signal });
        return openReply(reply);
      });
    } catch (error) {
      stream?.abort(error instanceof Error ? error : new Error(String(error)));
      if (isMicrocephError(error) || error instanceof RangeError) throw error;
      throw new MicrocephError("PEER_UNREACHABLE", `${what}: ${messageOf(error)}`, {
        data: { peer, method },
        cause: error,
      });
    }
  }

  /** The reply, or its error, to a request that another member carried here, as if its author had a link. */
  serveFor(author: PeerId, method: string, body: Json, deadline: Deadline): Promise<Json> {
    this.#counters.served += 1;
    return this.#answer(author, method, body, deadline);
  }

  /** Handler of the protocol. */
  accept(stream: Stream, connection: Connection): void {
    const from = peerId(connection.remotePeer.toString());
    const work = this.#serve(stream, from).catch((error: unknown) => {
      this.#deps.log.debug({ peer: from, error: messageOf(error) }, "A request was dropped");
      stream.abort(error instanceof Error ? error : new Error(String(error)));
    });
    this.#serving.add(work);
    void work.finally(() => this.#serving.delete(work));
  }

  async #serve(stream: Stream, from: PeerId): Promise<void> {
    const gone = new AbortController();
    stream.addEventListener("close", () => gone.abort(), { once: true });
    const stop = (): void => gone.abort();
    this.#stopped.signal.addEventListener("abort", stop, { once: true });
    if (this.#stopped.signal.aborted) gone.abort();
    const { signal } = gone;
    try {
      const frames = jsonFrames(stream, maxRpcFrameBytes);
      const request = await withDeadline({ deadlineMs: receiveMs, signal }, "request", async (within) =>
        requestSchema.parse(await frames.read(within)),
      );
      const deadlineMs = Math.min(request.deadlineMs, maxHandlingMs);
      this.#counters.served += 1;
      const reply = await this.#answer(from, request.method, request.body, { deadlineMs, signal });
      await withDeadline({ deadlineMs: receiveMs, signal }, "reply", async (within) => {
        try {
          await frames.write(reply, within);
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          this.#deps.log.error({ peer: from, method: request.method }, "A reply is too large to be sent");
          await frames.write(errorFrame(error), within);
        }
        await stream.close({ signal: within });
      });
    } finally {
      this.#stopped.signal.removeEventListener("abort", stop);
    }
  }

  async #answer(from: PeerId, method: string, body: Json, deadline: Deadline): Promise<Json> {
    try {
      const handler = this.#handlers.get(method);
      if (handler === undefined) {
        throw new MicrocephError("UNSUPPORTED_BY_PEER", `${method} is not known here`, { data: { method } });
      }
      const reply = await withDeadline(deadline, method, (signal) => handler(from, body, signal));
      return { v: 1, body: reply ?? null };
    } catch (error) {
      this.#counters.servedFailed += 1;
      if (!isMicrocephError(error)) {
        this.#deps.log.warn({ peer: from, method, error: messageOf(error) }, "A request failed");
      }
      return errorFrame(error);
    }
  }
}

/** What is in a reply; throws the error that is. */
export function openReply(value: unknown): Json {
  const reply = replySchema.parse(value);
  if ("error" in reply) throw remoteError(reply.error as z.infer<typeof errorSchema>);
  return reply.body as Json;
}

/** Code, message and data travel; causes and stacks stay. */
function errorFrame(error: unknown): Json {
  const code: ErrorCode = isMicrocephError(error) ? error.code : "INTERNAL";
  const message = messageOf(error).slice(0, 4096);
  const data = isMicrocephError(error) ? jsonOrNothing(error.data) : undefined;
  return { v: 1, error: data === undefined ? { code, message } : { code, message, data } };
}

function jsonOrNothing(data: unknown): Json | undefined {
  try {
    const text = JSON.stringify(data);
    return text.length <= 256 * 1024 ? (JSON.parse(text) as Json) : undefined;
  } catch {
    return undefined;
  }
}

function remoteError(error: z.infer<typeof errorSchema>): MicrocephError {
  const known = Object.hasOwn(errorCodes, error.code);
  // A code of a later version: its meaning is not known here, its message is for people.
  const code = known ? (error.code as ErrorCode) : "INTERNAL";
  const data = { ...error.data, ...(known ? {} : { code: error.code }) };
  return new MicrocephError(code, error.message, { data });
}
