import { createHash } from "node:crypto";
import type { PeerId } from "../../../src/ids/ids.ts";
import type { DocumentStore } from "../../../src/state/document/document-store.ts";
import type { SyncSession } from "../../../src/state/document/durable-document.ts";

interface ModelChange {
  readonly hash: string;
  readonly actor: number;
  readonly seq: number;
  readonly deps: readonly string[];
  /** A change is made after all that it depends on. */
  readonly order: number;
}

interface ModelMessage {
  readonly heads: readonly string[];
  /** Number of the last change known of each actor: what Automerge's Bloom filter tells, without its errors. */
  readonly known: ReadonlyMap<number, number>;
  readonly changes: readonly ModelChange[];
}

/** Sizes of Automerge 3 for our flat document of short texts, in bytes; `model-document.test.ts` checks them. */
const sizes = {
  /** Kind, flags and counts of a sync message. */
  message: 14,
  head: 32,
  /** One short text under one key, compressed for itself. */
  change: 120,
  /** Ten bits for each change since the last sync. */
  bloom: 1.25,
  /** In a whole document, as all changes are packed together. */
  packedChange: 14,
} as const;

/** The messages and changes of one simulated cluster; a message is its number, padded to the size it would have. */
export class ModelRegistry {
  readonly #messages = new Map<number, ModelMessage>();
  readonly changes = new Map<string, ModelChange>();
  #last = 0;

  encode(message: ModelMessage, bytes: number): Uint8Array {
    this.#last += 1;
    this.#messages.set(this.#last, message);
    const data = Buffer.alloc(Math.max(8, Math.round(bytes)));
    data.writeUInt32BE(this.#last);
    return data;
  }

  decode(data: Uint8Array): ModelMessage {
    const message = this.#messages.get(Buffer.from(data).readUInt32BE());
    if (message === undefined) throw new Error("not a message of the model");
    return message;
  }
}

/** Stands for a document where real ones are too many: which changes it has, and how the sync protocol speaks. */
export class ModelDocument {
  readonly self: PeerId;
  readonly cluster: DocumentStore["cluster"];
  readonly refetching = false;
  readonly epoch = 1;
  readonly #actor: number;
  readonly #registry: ModelRegistry;
  readonly #known = new Map<number, number>();
  readonly #heads = new Set<string>();
  readonly #listeners = new Set<(change: { readonly local: boolean }) => void>();
  #sorted: string[] | undefined;
  #size = 0;

  constructor(self: PeerId, actor: number, cluster: DocumentStore["cluster"], registry: ModelRegistry) {
    this.self = self;
    this.cluster = cluster;
    this.#actor = actor;
    this.#registry = registry;
  }

  /** As much of a document as its sync uses. */
  asStore(): DocumentStore {
    return this as unknown as DocumentStore;
  }

  heads(): string[] {
    this.#sorted ??= [...this.#heads].sort();
    return this.#sorted;
  }

  hasHeads(heads: readonly string[]): boolean {
    return heads.every((head) => {
      const change = this.#registry.changes.get(head);
      return change !== undefined && this.#has(change);
    });
  }

  endRefetch(): void {}

  on(_event: "change", listener: (change: { readonly local: boolean }) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Make an edit. */
  write(): void {
    const seq = (this.#known.get(this.#actor) ?? 0) + 1;
    const hash = createHash("sha256").update(`${this.#actor}/${seq}`).digest("hex");
    const { changes } = this.#registry;
    const change = { hash, actor: this.#actor, seq, deps: this.heads(), order: changes.size };
    changes.set(hash, change);
    this.#add(change);
    this.#tell(true);
  }

  session(): SyncSession {
    let theirs: ModelMessage | undefined;
    let sentHeads: readonly string[] | undefined;
    let shared = 0;
    const sent = new Set<string>();
    let inFlight = false;
    return {
      next: () => {
        const heads = this.heads();
        const unchanged = sentHeads !== undefined && same(sentHeads, heads);
        const changes = theirs === undefined ? [] : this.#missing(theirs.known, sent);
        const equal = theirs !== undefined && same(theirs.heads, heads);
        if (unchanged && changes.length === 0 && (inFlight || equal)) return null;
        if (unchanged && inFlight) return null;
        sentHeads = heads;
        inFlight = true;
        for (const { hash } of changes) sent.add(hash);
        const message = { heads, known: new Map(this.#known), changes };
        return this.#registry.encode(message, this.#bytes(message, shared));
      },
      receive: (data) => {
        const message = this.#registry.decode(data);
        inFlight = false;
        theirs = message;
        const news = message.changes.filter((change) => !this.#has(change));
        for (const change of news) this.#add(change);
        if (same(message.heads, this.heads())) shared = this.#size;
        if (news.length > 0) this.#tell(false);
        return news.length > 0 ? "changed" : "same";
      },
    };
  }

  #bytes({ heads, changes }: ModelMessage, shared: number): number {
    const { message, head, change, bloom, packedChange } = sizes;
    const base = message + head * heads.length + (shared > 0 ? head : 0) + bloom * (this.#size - shared);
    // Automerge sends the whole document where more than a third of it is missing.
    const whole = changes.length * 3 > this.#size && changes.length > 3;
    return base + (whole ? 120 + packedChange * this.#size : change * changes.length);
  }

  #missing(known: ReadonlyMap<number, number>, sent: ReadonlySet<string>): ModelChange[] {
    const missing: ModelChange[] = [];
    for (const [actor, last] of this.#known) {
      for (let seq = (known.get(actor) ?? 0) + 1; seq <= last; seq += 1) {
        const hash = createHash("sha256").update(`${actor}/${seq}`).digest("hex");
        const change = this.#registry.changes.get(hash);
        if (change !== undefined && !sent.has(hash)) missing.push(change);
      }
    }
    // Causes first.
    return missing.sort((a, b) => a.order - b.order);
  }

  #has({ actor, seq }: ModelChange): boolean {
    return (this.#known.get(actor) ?? 0) >= seq;
  }

  #add(change: ModelChange): void {
    for (const dep of change.deps) this.#heads.delete(dep);
    this.#heads.add(change.hash);
    this.#known.set(change.actor, change.seq);
    this.#sorted = undefined;
    this.#size += 1;
  }

  #tell(local: boolean): void {
    for (const listener of this.#listeners) listener({ local });
  }
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((head, n) => head === b[n]);
}
