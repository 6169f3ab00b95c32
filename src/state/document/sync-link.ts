import { MicrocephError } from "../../errors/microceph-error.ts";
import type { Json } from "../../ids/json.ts";
import type { DocumentStore } from "./document-store.ts";
import type { SyncSession } from "./durable-document.ts";
import { join, type Refusal, type SyncReply, sameHeads, split, syncReply } from "./sync-messages.ts";

/** What an exchange came to. "moved": not equal, as edits went on meanwhile; "stuck": not equal all the same. */
export type Outcome =
  | { readonly state: "equal" | "moved" | "stuck"; readonly theirs: Theirs }
  | { readonly state: "refused"; readonly reason: Refusal };

interface Theirs {
  readonly heads: readonly string[];
  readonly refetching: boolean;
}

type SyncAnswer = SyncReply & { kind: "sync" };

/** An exchange that takes more rounds than this makes no progress. */
const maxRounds = 64;

class Refused extends Error {
  readonly reason: Refusal;
  constructor(reason: Refusal) {
    super(`refused: ${reason}`);
    this.reason = reason;
  }
}

/**
 * Our side of the sync with one peer. The session is kept from one exchange to the next, so that only what is
 * new is spoken of; whenever anything goes wrong it is dropped and the next exchange starts from nothing.
 */
export class SyncLink {
  readonly #document: DocumentStore;
  readonly #request: (body: Json, signal: AbortSignal) => Promise<Json>;
  readonly #newId: () => string;
  #session: { readonly id: string; readonly sync: SyncSession; n: number } | undefined;

  constructor(deps: {
    document: DocumentStore;
    request: (body: Json, signal: AbortSignal) => Promise<Json>;
    newId: () => string;
  }) {
    this.#document = deps.document;
    this.#request = deps.request;
    this.#newId = deps.newId;
  }

  /** Make both documents equal. Throws what the transport and the store throw. */
  async exchange(signal: AbortSignal): Promise<Outcome> {
    try {
      const before = this.#document.heads();
      const first = await this.#ask({ kind: "heads", heads: before }, signal);
      if (first.kind !== "heads") throw unexpected(first);
      if (sameHeads(first.heads, this.#document.heads())) return { state: "equal", theirs: first };
      const last = await this.#talk(signal);
      const after = this.#document.heads();
      if (sameHeads(last.heads, after)) return { state: "equal", theirs: last };
      const moved = !sameHeads(before, after) || !sameHeads(first.heads, last.heads);
      if (!moved) this.#session = undefined;
      return { state: moved ? "moved" : "stuck", theirs: last };
    } catch (error) {
      this.#session = undefined;
      if (error instanceof Refused) return { state: "refused", reason: error.reason };
      throw error;
    }
  }

  /** Speak until neither has anything to say. */
  async #talk(signal: AbortSignal): Promise<SyncAnswer> {
    this.#session ??= { id: this.#newId(), sync: this.#document.session(), n: 0 };
    const session = this.#session;
    let silent = false;
    let answer: SyncAnswer | undefined;
    for (let round = 0; round < maxRounds; round += 1) {
      const message = session.sync.next();
      if (message === null && silent && answer !== undefined) return answer;
      // Automerge says nothing when it thinks that the other side has no news; null asks for them.
      const reply: SyncAnswer = await this.#say(session.id, session.n, message, signal);
      answer = reply;
      session.n += 1;
      silent = reply.data === null;
      if (silent) continue;
      const parts = await this.#rest(session.id, reply, signal);
      if (session.sync.receive(join(parts)) === "refused") throw new Refused("damaged");
    }
    throw new MicrocephError("DEADLINE_EXCEEDED", "the documents do not become equal");
  }

  async #say(
    session: string,
    n: number,
    message: Uint8Array | null,
    signal: AbortSignal,
  ): Promise<SyncAnswer> {
    const parts = message === null ? [null] : split(message);
    const heads = this.#document.heads();
    for (const [part, data] of parts.entries()) {
      const body = { kind: "sync", session, n, part, of: parts.length, data, heads };
      const reply = await this.#ask(body, signal);
      if (reply.kind === "sync" && part === parts.length - 1) return reply;
      if (reply.kind !== "part") throw unexpected(reply);
    }
    throw new MicrocephError("INTERNAL", "a sync message without an answer");
  }

  async #rest(session: string, answer: SyncAnswer, signal: AbortSignal): Promise<string[]> {
    const parts = [answer.data ?? ""];
    for (let part = 1; part < answer.of; part += 1) {
      const reply = await this.#ask({ kind: "more", session, part }, signal);
      if (reply.kind !== "more") throw unexpected(reply);
      parts.push(reply.data);
    }
    return parts;
  }

  async #ask(body: { [key: string]: Json }, signal: AbortSignal): Promise<SyncReply> {
    const { cluster, epoch } = this.#document;
    const reply = syncReply.safeParse(await this.#request({ v: 1, cluster, epoch, ...body }, signal));
    signal.throwIfAborted();
    if (!reply.success) throw new Refused("request");
    if (reply.data.kind === "refused") throw new Refused(reply.data.reason);
    return reply.data;
  }
}

function unexpected(reply: SyncReply): MicrocephError {
  return new MicrocephError("INTERNAL", "an answer of another kind than asked for", {
    data: { kind: reply.kind },
  });
}
