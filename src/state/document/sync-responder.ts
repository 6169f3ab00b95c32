import type { PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { DocumentStore } from "./document-store.ts";
import type { SyncSession } from "./durable-document.ts";
import { join, type Refusal, type SyncReply, type SyncRequest, split, syncRequest } from "./sync-messages.ts";
import { TokenBucket } from "./token-bucket.ts";

/** A burst of edits asks for some tens of requests a second; each costs about half a millisecond. */
const perPeer = { perSecond: 100, burst: 200 } as const;
const inAll = { perSecond: 400, burst: 800 } as const;

interface Inbound {
  readonly id: string;
  readonly session: SyncSession;
  next: number;
  inbox: string[];
  outbox: string[];
}

/** Answers the sync requests of other members: one session for each of them, all of it synchronous. */
export class SyncResponder {
  readonly #document: DocumentStore;
  readonly #now: () => number;
  readonly #onHeads: (from: PeerId, heads: readonly string[]) => void;
  readonly #inbound = new Map<PeerId, Inbound>();
  readonly #buckets = new Map<PeerId, TokenBucket>();
  readonly #all = new TokenBucket(inAll);
  readonly counts: Record<"answered" | `refused_${Refusal}`, number> = {
    answered: 0,
    refused_cluster: 0,
    refused_epoch: 0,
    refused_busy: 0,
    refused_session: 0,
    refused_damaged: 0,
    refused_request: 0,
  };

  constructor(deps: {
    document: DocumentStore;
    now: () => number;
    onHeads: (from: PeerId, heads: readonly string[]) => void;
  }) {
    this.#document = deps.document;
    this.#now = deps.now;
    this.#onHeads = deps.onHeads;
  }

  /** Throws what the store throws (DISK_FULL); everything else is answered. */
  handle(from: PeerId, body: Json): SyncReply {
    const bucket = this.#buckets.get(from) ?? new TokenBucket(perPeer);
    this.#buckets.set(from, bucket);
    if (!bucket.take(this.#now()) || !this.#all.take(this.#now())) return this.#refuse("busy");
    const parsed = syncRequest.safeParse(body);
    if (!parsed.success) return this.#refuse("request");
    const request = parsed.data;
    if (request.cluster !== this.#document.cluster) return this.#refuse("cluster");
    if (request.epoch !== this.#document.epoch) return this.#refuse("epoch");
    const reply = this.#answer(from, request);
    if (reply.kind !== "refused") this.counts.answered += 1;
    return reply;
  }

  /** Free what is kept for a peer. */
  forget(peer: PeerId): void {
    this.#inbound.delete(peer);
    this.#buckets.delete(peer);
  }

  peers(): PeerId[] {
    return [...this.#buckets.keys()];
  }

  #answer(from: PeerId, request: SyncRequest): SyncReply {
    switch (request.kind) {
      case "heads":
        this.#onHeads(from, request.heads);
        return { v: 1, kind: "heads", ...this.#ours() };
      case "sync":
        return this.#sync(from, request);
      case "more": {
        const inbound = this.#inbound.get(from);
        const data = inbound?.id === request.session ? inbound.outbox[request.part] : undefined;
        return data === undefined ? this.#refuse("session") : { v: 1, kind: "more", data };
      }
    }
  }

  #sync(from: PeerId, request: SyncRequest & { kind: "sync" }): SyncReply {
    let inbound = this.#inbound.get(from);
    if (inbound?.id !== request.session) {
      if (request.n !== 0 || request.part !== 0) return this.#refuse("session");
      inbound = { id: request.session, session: this.#document.session(), next: 0, inbox: [], outbox: [] };
      this.#inbound.set(from, inbound);
    }
    if (request.n !== inbound.next || request.part !== inbound.inbox.length || request.part >= request.of) {
      this.#inbound.delete(from);
      return this.#refuse("session");
    }
    if (request.data !== null) inbound.inbox.push(request.data);
    if (request.part < request.of - 1) return { v: 1, kind: "part" };

    const parts = inbound.inbox;
    inbound.inbox = [];
    inbound.next += 1;
    try {
      if (parts.length > 0 && inbound.session.receive(join(parts)) === "refused") {
        this.#inbound.delete(from);
        return this.#refuse("damaged");
      }
      const message = inbound.session.next();
      inbound.outbox = message === null ? [] : split(message);
    } catch (error) {
      this.#inbound.delete(from);
      throw error;
    }
    this.#onHeads(from, request.heads);
    const { outbox } = inbound;
    return { v: 1, kind: "sync", ...this.#ours(), of: Math.max(1, outbox.length), data: outbox[0] ?? null };
  }

  #ours(): { heads: string[]; refetching: boolean } {
    return { heads: this.#document.heads(), refetching: this.#document.refetching };
  }

  #refuse(reason: Refusal): SyncReply {
    this.counts[`refused_${reason}`] += 1;
    return { v: 1, kind: "refused", reason };
  }
}
