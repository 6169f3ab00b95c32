import type { Logger } from "pino";
import { z } from "zod";
import { messageOf } from "../../errors/microceph-error.ts";
import type { PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { JournalCopy } from "./journal-copy.ts";
import { compareNumbers } from "./numbers.ts";
import type { DecisionNumber } from "./types.ts";

export interface JournalSyncOptions {
  /** Milliseconds between questions to a member at random, against lost hints. */
  readonly everyMs?: number;
}

export interface JournalSyncDeps {
  readonly copy: JournalCopy;
  /** Ask a member; ends in its `handle`. */
  readonly request: (peer: PeerId, body: Json, signal: AbortSignal) => Promise<Json>;
  readonly connected: () => readonly PeerId[];
  /** Tell all members, as a hint, how far this copy is. */
  readonly publishHead: (head: DecisionNumber) => void;
  /** Uniform in [0, 1). Default: Math.random. */
  readonly random?: () => number;
  readonly log: Logger;
}

const defaultEveryMs = 30_000;
/** Most records in a reply, and the size in characters after which a reply ends early; a message holds 4 MiB. */
const mostRecords = 200;
const fullReply = 1_000_000;

const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const numberSchema = z.object({ generation: count, revision: count });
const pullSchema = z.object({ after: count, hash: z.string().max(64), limit: count });
const replySchema = z.object({
  head: numberSchema.nullable(),
  /** The answerer has another record at `after`. */
  diverged: z.boolean(),
  records: z.array(z.unknown()).max(mostRecords),
});

/**
 * Brings the copy of the journal up to that of any other member: on a hint, on a new connection and now and
 * then. What arrives is checked by the copy, so it does not matter whom we ask.
 */
export class JournalSync {
  readonly #options: JournalSyncOptions;
  readonly #deps: JournalSyncDeps;
  readonly #asked = new Set<PeerId>();
  readonly #heardFrom = new Set<PeerId>();
  #stop = new AbortController();
  #worker: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #pulling = false;
  #heard = 0;
  #unsubscribe: () => void = () => undefined;

  constructor(options: JournalSyncOptions, deps: JournalSyncDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  start(): void {
    this.#stop = new AbortController();
    // What was pulled is known elsewhere; what came from etcd, or from ourselves, is news.
    this.#unsubscribe = this.#deps.copy.on("change", (head) => {
      if (!this.#pulling) this.#deps.publishHead(head);
    });
    this.#timer = setInterval(() => this.#askSomebody(), this.#options.everyMs ?? defaultEveryMs);
    this.#timer.unref();
    for (const peer of this.#deps.connected()) this.#ask(peer);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#unsubscribe();
    if (this.#timer) clearInterval(this.#timer);
    await this.#worker;
  }

  /** Answer another member's question. Throws ZodError for what is none. */
  handle(_from: PeerId, body: Json): Json {
    const { after, hash, limit } = pullSchema.parse(body);
    const { copy } = this.#deps;
    const head = copy.head();
    const known = copy.hashAt(after);
    const diverged = after > 0 && known !== "" && known !== hash;
    const records: Json[] = [];
    let size = 0;
    for (const record of diverged ? [] : copy.records(after, Math.min(limit, mostRecords))) {
      size += JSON.stringify(record).length;
      if (size > fullReply && records.length > 0) break;
      records.push(record as unknown as Json);
    }
    return { head: head && { ...head }, diverged, records };
  }

  /** A member says how far its copy is. Anything else is dropped. */
  onHead(from: PeerId, hint: Json): void {
    const parsed = numberSchema.safeParse(hint);
    if (!parsed.success) return;
    this.#heard = Math.max(this.#heard, parsed.data.revision);
    const head = this.#deps.copy.head();
    if (head === null || compareNumbers(parsed.data, head) > 0) this.#ask(from);
  }

  /** Highest revision that a member has told of. */
  get heard(): number {
    return this.#heard;
  }

  /** Whether all that a member knew was pulled from it at least once since the start. */
  hasHeard(peer: PeerId): boolean {
    return this.#heardFrom.has(peer);
  }

  onConnect(peer: PeerId): void {
    this.#ask(peer);
  }

  #askSomebody(): void {
    const peers = this.#deps.connected();
    const peer = peers[Math.floor((this.#deps.random ?? Math.random)() * peers.length)];
    if (peer !== undefined) this.#ask(peer);
  }

  #ask(peer: PeerId): void {
    if (this.#stop.signal.aborted) return;
    this.#asked.add(peer);
    this.#worker ??= this.#work(this.#stop.signal).finally(() => {
      this.#worker = null;
      // Asked for in the last moment.
      const [next] = this.#asked;
      if (next !== undefined) this.#ask(next);
    });
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (const peer of this.#asked) {
      this.#asked.delete(peer);
      if (signal.aborted) {
        this.#asked.clear();
        return;
      }
      try {
        await this.#pull(peer, signal);
        this.#heardFrom.add(peer);
      } catch (error) {
        this.#deps.log.debug({ peer, error: messageOf(error) }, "pull of the journal failed");
      }
    }
  }

  async #pull(peer: PeerId, signal: AbortSignal): Promise<void> {
    const { copy, request } = this.#deps;
    let after = copy.head()?.revision ?? 0;
    let fromStart = after === 0;
    while (!signal.aborted) {
      const question = { after, hash: copy.hashAt(after), limit: mostRecords };
      const { diverged, head, records } = replySchema.parse(await request(peer, question, signal));
      const own = copy.head();
      const recovered = records.length === 0 && head && own && compareNumbers(head, own) > 0;
      if (diverged || recovered) {
        // One of the two copies misses a recovery: look for the common beginning, from the start.
        if (fromStart) return;
        fromStart = true;
        after = 0;
        continue;
      }
      if (records.length === 0) return;
      const before = copy.head()?.revision ?? 0;
      this.#append(records);
      const now = copy.head()?.revision ?? 0;
      const last = after + records.length;
      // Behind the head: these are records we have too, on the way to where the copies part.
      const next = now !== before ? now : last;
      if (next <= after || (now === before && last > now)) return;
      after = next;
    }
  }

  #append(records: readonly unknown[]): void {
    this.#pulling = true;
    try {
      this.#deps.copy.append(records);
    } finally {
      this.#pulling = false;
    }
  }
}
