import { randomUUID } from "node:crypto";
import { peerIdFromString } from "@libp2p/peer-id";
import { z } from "zod";
import { isMicrocephError, MicrocephError } from "../../errors/microceph-error.ts";
import { canonicalJson } from "../../ids/canonical-json.ts";
import { isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { NodeIdentity } from "../identity/node-identity.ts";
import { maxRelays } from "../overlay/routes.ts";
import type { Deadline } from "./deadline.ts";
import type { RpcHandler } from "./rpc.ts";

/** The method by which a member hands on a request that is not for itself. */
export const relayMethod = "mesh.relay";
const requestDomain = "microceph relayed request 1";
const replyDomain = "microceph relayed reply 1";

export interface RelayLimits {
  /** Requests that are carried for others at the same time: each may be as large as a frame. */
  readonly carried: number;
  /** Of these, for the same neighbour. */
  readonly carriedFor: number;
  /** Requests that are remembered, so that none is carried out a second time. */
  readonly remembered: number;
  /** Ways that are tried, one after the other. */
  readonly ways: number;
}

const defaultLimits: RelayLimits = { carried: 64, carriedFor: 16, remembered: 16_384, ways: 3 };

const peer = z.custom<PeerId>(isPeerId, "not a PeerId");
const json = z.custom<Json>((value) => value !== undefined);
const signature = z.string().max(128);
const requestSchema = z.looseObject({
  author: peer,
  target: peer,
  /** Members that still have to carry it, in order. */
  via: z.array(peer).max(maxRelays - 1),
  method: z.string().min(1).max(128),
  body: json,
  nonce: z.uuid(),
  deadlineMs: z.number().positive().max(600_000),
  /** By the author, base64, over everything but the way and the time. */
  signature,
});
const replySchema = z.looseObject({
  reply: json,
  /** By the target, base64, over the reply and the nonce of the request. */
  signature,
});
type Request = z.infer<typeof requestSchema>;
type Asked = Pick<Request, "author" | "target" | "method" | "body" | "nonce">;

export interface RelayDeps {
  readonly identity: NodeIdentity;
  /** Ask a member that is connected. */
  readonly ask: (peer: PeerId, method: string, body: Json, deadline: Deadline) => Promise<Json>;
  /** Answer a request as if it had come from its author over a link of its own; errors are part of the reply. */
  readonly serve: (author: PeerId, method: string, body: Json, deadline: Deadline) => Promise<Json>;
  /** What is in such a reply; throws the error that is. */
  readonly open: (reply: Json) => Json;
  readonly admits: (peer: PeerId) => boolean;
  readonly isConnected: (peer: PeerId) => boolean;
  /** Ways to a member without a link, best first: the members that carry a request, in order. */
  readonly routes: (target: PeerId, most: number) => PeerId[][];
}

/**
 * Requests to members without a link of their own, carried by one or two others. The author signs what is asked
 * and the target what it answers, so whoever carries them can neither change them nor speak in another's name; it
 * can read them, being a member. The way is named in full and gets shorter, so a request cannot go in circles.
 */
export class Relay {
  readonly #deps: RelayDeps;
  readonly #limits: RelayLimits;
  readonly #seen = new Set<string>();
  readonly #carried = new Map<PeerId, number>();
  readonly #counters = { carried: 0, refused: 0 };

  constructor(deps: RelayDeps, limits: Partial<RelayLimits> = {}) {
    this.#deps = deps;
    this.#limits = { ...defaultLimits, ...limits };
  }

  /** Requests that were carried for others, and those that were refused, since the start. */
  counters(): Readonly<Record<"carried" | "refused", number>> {
    return { ...this.#counters };
  }

  /** Whether there is a way to a member that has no link. */
  reaches(target: PeerId): boolean {
    return this.#deps.routes(target, 1).length > 0;
  }

  /**
   * Throws as a direct request does. Another way is tried when one says that it carried nothing to the target.
   * Should that be a lie, the target knows the request by its nonce, and does not carry it out twice.
   */
  async request(target: PeerId, method: string, body: Json, deadline: Deadline): Promise<Json> {
    const routes = this.#deps.routes(target, this.#limits.ways);
    const endsAt = performance.now() + deadline.deadlineMs;
    const asked = { author: this.#deps.identity.peerId, target, method, body, nonce: randomUUID() };
    const signed = { ...asked, signature: await this.#sign(requestBytes(asked)) };
    let failure: unknown = unreachable(`${method} to ${target}: no way to it`, { peer: target, method });
    for (const [first, ...via] of routes) {
      const deadlineMs = endsAt - performance.now();
      if (first === undefined || deadlineMs <= 0) break;
      let reply: Json;
      try {
        reply = await this.#deps.ask(
          first,
          relayMethod,
          { ...signed, via, deadlineMs },
          { ...deadline, deadlineMs },
        );
      } catch (error) {
        failure = ofRelay(error, asked);
        if (!wasNotCarried(error)) break;
        continue;
      }
      return this.#openReply(asked, reply);
    }
    throw failure;
  }

  /** Handler of `relayMethod`. */
  readonly handle: RpcHandler = async (from, value, signal) => {
    const request = requestSchema.safeParse(value);
    if (!request.success) return this.#refuse("it cannot be read");
    const { target, author } = request.data;
    if (!this.#deps.admits(author) || author === this.#deps.identity.peerId) {
      return this.#refuse("its author is no other member");
    }
    return target === this.#deps.identity.peerId
      ? this.#answer(request.data, signal)
      : this.#carry(from, request.data, signal);
  };

  async #answer(request: Request, signal: AbortSignal): Promise<Json> {
    const { author, method, body, nonce, deadlineMs } = request;
    if (method === relayMethod) return this.#refuse("it is a relayed one itself");
    if (!(await isSigned(author, () => requestBytes(request), request.signature))) {
      return this.#refuse("its signature is wrong");
    }
    if (this.#isKnown(nonce)) return this.#refuse("it came before");
    const reply = await this.#deps.serve(author, method, body, { deadlineMs, signal });
    return { reply, signature: await this.#sign(replyBytes(nonce, reply)) };
  }

  async #carry(from: PeerId, request: Request, signal: AbortSignal): Promise<Json> {
    const [next = request.target, ...via] = request.via;
    const { deadlineMs, author } = request;
    if (next === from || next === author || next === this.#deps.identity.peerId) {
      return this.#refuse("it goes in a circle");
    }
    if (!this.#deps.admits(next) || !this.#deps.isConnected(next))
      throw notCarried("the next has no link here");
    const all = [...this.#carried.values()].reduce((sum, count) => sum + count, 0);
    const mine = this.#carried.get(from) ?? 0;
    if (all >= this.#limits.carried || mine >= this.#limits.carriedFor) throw notCarried("too many at once");
    this.#carried.set(from, mine + 1);
    this.#counters.carried += 1;
    try {
      return await this.#deps.ask(next, relayMethod, { ...request, via } as unknown as Json, {
        deadlineMs,
        signal,
      });
    } finally {
      const left = (this.#carried.get(from) ?? 1) - 1;
      if (left > 0) this.#carried.set(from, left);
      else this.#carried.delete(from);
    }
  }

  async #openReply({ target, method, nonce }: Asked, value: Json): Promise<Json> {
    const parsed = replySchema.safeParse(value);
    const isGenuine = async ({ reply, signature }: z.infer<typeof replySchema>): Promise<boolean> =>
      isSigned(target, () => replyBytes(nonce, reply), signature);
    if (!parsed.success || !(await isGenuine(parsed.data))) {
      throw unreachable(`${method} to ${target}: the reply is not its own`, { peer: target, method });
    }
    return this.#deps.open(parsed.data.reply);
  }

  #refuse(why: string): never {
    this.#counters.refused += 1;
    throw new MicrocephError("USAGE", `a relayed request was refused: ${why}`);
  }

  #isKnown(nonce: string): boolean {
    if (this.#seen.has(nonce)) return true;
    this.#seen.add(nonce);
    const [oldest] = this.#seen;
    if (this.#seen.size > this.#limits.remembered && oldest !== undefined) this.#seen.delete(oldest);
    return false;
  }

  async #sign(bytes: Uint8Array): Promise<string> {
    return Buffer.from(await this.#deps.identity.privateKey.sign(bytes)).toString("base64");
  }
}

async function isSigned(by: PeerId, bytes: () => Uint8Array, signature: string): Promise<boolean> {
  const { publicKey } = peerIdFromString(by);
  if (publicKey === undefined) return false;
  try {
    return await publicKey.verify(bytes(), Buffer.from(signature, "base64"));
  } catch {
    // Too deep to be written again, or no signature at all.
    return false;
  }
}

function requestBytes({ author, target, method, body, nonce }: Asked): Uint8Array {
  return Buffer.from(`${requestDomain}\n${canonicalJson({ author, target, method, body, nonce })}`);
}

function replyBytes(nonce: string, reply: Json): Uint8Array {
  return Buffer.from(`${replyDomain}\n${canonicalJson({ nonce, reply })}`);
}

function unreachable(message: string, data: Record<string, unknown>): MicrocephError {
  return new MicrocephError("PEER_UNREACHABLE", message, { data });
}

/** What a relay says for itself, unsigned: it can tell that it did not get through, and nothing else. */
function ofRelay(error: unknown, { target, method }: Asked): unknown {
  const isItsOwn = ["PEER_UNREACHABLE", "DEADLINE_EXCEEDED", "CANCELLED"] as const;
  if (!isMicrocephError(error) || isItsOwn.some((code) => error.code === code)) return error;
  return new MicrocephError("PEER_UNREACHABLE", `${method} to ${target}: ${error.message}`, {
    data: { peer: target, method },
    cause: error,
  });
}

/** Not even begun: another way may be tried. */
function notCarried(why: string): MicrocephError {
  return unreachable(`a request was not carried on: ${why}`, { carried: false });
}

function wasNotCarried(error: unknown): boolean {
  return isMicrocephError(error, "PEER_UNREACHABLE") && error.data.carried === false;
}
