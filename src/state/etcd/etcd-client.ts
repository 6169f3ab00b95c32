import { type IncomingMessage, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { isMicrocephError, MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import {
  type CallOptions,
  type EtcdApi,
  type EtcdMember,
  type EtcdStatus,
  type Kv,
  type RangeOptions,
  type Transaction,
  type TransactionResult,
  WatchCompacted,
  type WatchEvent,
} from "./etcd-api.ts";
import {
  decodeError,
  decodeGrant,
  decodeKeepAlive,
  decodeMemberAdd,
  decodeMembers,
  decodeRange,
  decodeStatus,
  decodeTransaction,
  decodeWatchLine,
  encodeRange,
  encodeTransaction,
  encodeWatch,
} from "./gateway-codec.ts";
import { connectionError, gatewayError } from "./gateway-errors.ts";
import { readBody } from "./read-body.ts";
import { readLines } from "./read-lines.ts";

export interface EtcdClientOptions {
  /** Absolute path of etcd's client socket. */
  readonly socketPath: string;
  /** Milliseconds for a call that names no deadline. etcd itself gives up after 5 s and two election timeouts. */
  readonly deadlineMs?: number;
}

/** Longest reply, and longest line of a watch, in bytes. etcd refuses requests above 1.5 MiB. */
const replyLimit = 32 * 1024 * 1024;
/** Milliseconds before a broken watch is taken up again: first, and longest. */
const watchPauseMs = { first: 50, longest: 1000 };

/** etcd's v3 JSON gateway on a Unix socket. Each call has its own connection, so none waits behind another. */
export class EtcdClient implements EtcdApi {
  readonly #socketPath: string;
  readonly #deadlineMs: number;

  constructor(options: EtcdClientOptions) {
    this.#socketPath = options.socketPath;
    this.#deadlineMs = options.deadlineMs ?? 5000;
  }

  async range(key: string, options: RangeOptions = {}): Promise<{ kvs: readonly Kv[]; revision: number }> {
    return this.#call("kv/range", encodeRange(key, options), options, decodeRange);
  }

  async txn(transaction: Transaction, options: CallOptions = {}): Promise<TransactionResult> {
    return this.#call("kv/txn", encodeTransaction(transaction), options, decodeTransaction);
  }

  async leaseGrant(ttlSeconds: number, options: CallOptions = {}): Promise<{ id: string }> {
    return this.#call("lease/grant", { TTL: String(ttlSeconds) }, options, decodeGrant);
  }

  async leaseKeepAlive(id: string, options: CallOptions = {}): Promise<{ ttlSeconds: number }> {
    return this.#call("lease/keepalive", { ID: id }, options, decodeKeepAlive);
  }

  async leaseRevoke(id: string, options: CallOptions = {}): Promise<void> {
    await this.#call("lease/revoke", { ID: id }, options, () => undefined);
  }

  async memberList(options: CallOptions = {}): Promise<readonly EtcdMember[]> {
    return this.#call("cluster/member/list", {}, options, decodeMembers);
  }

  async memberAdd(
    peerUrl: string,
    learner: boolean,
    options: CallOptions = {},
  ): Promise<{ id: string; members: readonly EtcdMember[] }> {
    const body = { peerURLs: [peerUrl], isLearner: learner };
    return this.#call("cluster/member/add", body, options, decodeMemberAdd);
  }

  async memberPromote(id: string, options: CallOptions = {}): Promise<void> {
    await this.#call("cluster/member/promote", { ID: id }, options, () => undefined);
  }

  async memberRemove(id: string, options: CallOptions = {}): Promise<void> {
    await this.#call("cluster/member/remove", { ID: id }, options, () => undefined);
  }

  async status(options: CallOptions = {}): Promise<EtcdStatus> {
    return this.#call("maintenance/status", {}, options, decodeStatus);
  }

  async watch(
    prefix: string,
    fromRevision: number,
    onEvents: (events: readonly WatchEvent[]) => void,
    signal: AbortSignal,
  ): Promise<void> {
    let next = fromRevision;
    let pauseMs = watchPauseMs.first;
    while (!signal.aborted) {
      try {
        await this.#watchOnce(
          prefix,
          next,
          (events) => {
            pauseMs = watchPauseMs.first;
            onEvents(events);
            for (const { kv } of events) next = Math.max(next, kv.modRevision + 1);
          },
          signal,
        );
      } catch (error) {
        if (signal.aborted) return;
        if (!isMicrocephError(error)) throw error;
      }
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
      pauseMs = Math.min(pauseMs * 2, watchPauseMs.longest);
    }
  }

  async #watchOnce(
    prefix: string,
    fromRevision: number,
    onEvents: (events: readonly WatchEvent[]) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const stream = await this.#post("watch", encodeWatch(prefix, fromRevision), signal);
    const refused = refusal(stream);
    const lines = readLines(stream, replyLimit);
    while (true) {
      // Only what the connection does is an error of the connection; what a listener throws is the caller's.
      const line = await lines.next().catch((error: unknown) => {
        throw connectionError(error, "watch");
      });
      if (line.done) return;
      const value = parseReply(line.value, "watch");
      const words = decodeError(value) ?? refused;
      if (words !== undefined) throw gatewayError(words, "watch");
      const { events, canceled } = decoded(decodeWatchLine, value, "watch");
      if (canceled && canceled.compactRevision > 0) throw new WatchCompacted(canceled.compactRevision);
      if (canceled) throw gatewayError(canceled.reason, "watch");
      if (events.length > 0) onEvents(events);
    }
  }

  async #call<T>(
    path: string,
    body: unknown,
    options: CallOptions,
    decode: (reply: unknown) => T,
  ): Promise<T> {
    const deadlineMs = options.deadlineMs ?? this.#deadlineMs;
    const deadline = AbortSignal.timeout(Math.ceil(deadlineMs));
    const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline;
    try {
      const response = await this.#post(path, body, signal);
      // A stream of one line (keepalive) or a whole reply: both are one JSON text.
      const value = parseReply(await readAll(response, path), path);
      const words = decodeError(value) ?? refusal(response);
      if (words !== undefined) throw gatewayError(words, path);
      return decoded(decode, value, path);
    } catch (error) {
      if (options.signal?.aborted) {
        throw new MicrocephError("CANCELLED", `etcd ${path} was cancelled`, { data: { call: path } });
      }
      if (deadline.aborted) {
        throw new MicrocephError("DEADLINE_EXCEEDED", `etcd ${path} did not answer in ${deadlineMs} ms`, {
          data: { call: path, deadlineMs },
        });
      }
      throw error;
    }
  }

  /** Send a request; the response as soon as its head has arrived. */
  #post(path: string, body: unknown, signal: AbortSignal): Promise<IncomingMessage> {
    const payload = JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const call = request(
        {
          socketPath: this.#socketPath,
          path: `/v3/${path}`,
          method: "POST",
          agent: false,
          signal,
          headers: {
            host: "localhost",
            "content-type": "application/json",
            "content-length": Buffer.byteLength(payload),
          },
        },
        resolve,
      );
      call.on("error", (error) => reject(connectionError(error, path)));
      call.end(payload);
    });
  }
}

/** Whatever its body looks like, a reply with another status than 200 is no answer. */
function refusal({ statusCode }: IncomingMessage): string | undefined {
  return statusCode === 200 ? undefined : `HTTP status ${statusCode}`;
}

function decoded<T>(decode: (reply: unknown) => T, reply: unknown, call: string): T {
  try {
    return decode(reply);
  } catch (error) {
    throw new MicrocephError("INTERNAL", `etcd ${call} answered in a form that is not understood`, {
      cause: error,
    });
  }
}

function parseReply(text: string, call: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw gatewayError(`no JSON: ${messageOf(error)}: ${text.slice(0, 100)}`, call);
  }
}

async function readAll(response: IncomingMessage, call: string): Promise<string> {
  try {
    return await readBody(response, replyLimit);
  } catch (error) {
    throw connectionError(error, call);
  }
}
