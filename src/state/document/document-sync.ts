import type { Logger } from "pino";
import { messageOf } from "../../errors/microceph-error.ts";
import type { PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import { type After, afterInRealTime } from "./after.ts";
import type { DocumentStore } from "./document-store.ts";
import { SyncLink } from "./sync-link.ts";
import { headsSchema, sameHeads } from "./sync-messages.ts";
import { chooseSyncPeers, retryDelay } from "./sync-peers.ts";
import { SyncResponder } from "./sync-responder.ts";

/** Times in milliseconds. */
export const syncDefaults = {
  /** Edits are gathered for so long before others hear of them. */
  gatherMs: 50,
  /** By how much peers differ in when they react to the same news: most of them then have it already. */
  spreadMs: 200,
  /** Heads are compared at least so often, in case every hint was lost. */
  periodMs: 30_000,
} as const;

/** A gossip message holds 64 KiB; some of the heads are a hint as good as all. */
const headsInHint = 512;

export interface DocumentSyncDeps {
  readonly document: DocumentStore;
  /** Ask one member; rejects after its deadline. Frames are below 3 MiB. */
  readonly request: (peer: PeerId, body: Json, signal: AbortSignal) => Promise<Json>;
  readonly connected: () => PeerId[];
  /** Tell all members our heads, as a hint that may be lost. */
  readonly publishHeads: (heads: string[]) => void | Promise<void>;
  readonly log: Logger;
  /** Milliseconds, of any clock. */
  readonly now: () => number;
  /** [0, 1) */
  readonly random: () => number;
  /** Run something after so many milliseconds; the result takes it back. */
  readonly after?: After;
}

interface Peer {
  readonly link: SyncLink;
  readonly abort: AbortController;
  /** What it last said it has. */
  heads: readonly string[] | undefined;
  running: boolean;
  timer: (() => void) | undefined;
  dueAt: number;
  /** Run again after the one that is running. */
  again: boolean;
  /** Skip the run if by then we have these. */
  unless: readonly string[] | undefined;
  failures: number;
  /** After a failure: no exchange before this. */
  notBefore: number;
}

/**
 * Keeps documents equal: with few peers of a large mesh, one exchange at a time with each. News travel from
 * neighbour to neighbour; hints shorten the way; the periodic check repairs what both missed.
 */
export class DocumentSync {
  readonly #deps: DocumentSyncDeps;
  readonly #options: { readonly gatherMs: number; readonly spreadMs: number; readonly periodMs: number };
  readonly #responder: SyncResponder;
  readonly #peers = new Map<PeerId, Peer>();
  readonly #counts = { exchanges: 0, failures: 0, hints: 0, hints_dropped: 0 };
  #chosen: PeerId[] = [];
  readonly #running = new Set<Promise<void>>();
  #started = false;
  #stopListening: (() => void) | undefined;
  readonly #after: After;
  #periodTimer: (() => void) | undefined;
  #newsTimer: (() => void) | undefined;
  #localNews = false;

  constructor(deps: DocumentSyncDeps, options: Partial<typeof syncDefaults> = {}) {
    this.#deps = deps;
    this.#options = { ...syncDefaults, ...options };
    this.#after = deps.after ?? afterInRealTime;
    this.#responder = new SyncResponder({
      document: deps.document,
      now: deps.now,
      onHeads: (from, heads) => this.#heard(from, heads),
    });
  }

  /** The document is open by now. */
  start(): void {
    this.#started = true;
    this.#stopListening = this.#deps.document.on("change", ({ local }) => this.#news(local));
    for (const peer of this.#deps.connected()) this.onConnect(peer);
    this.#period();
  }

  /** Ends what is under way and waits for it. */
  async stop(): Promise<void> {
    this.#started = false;
    this.#stopListening?.();
    this.#periodTimer?.();
    this.#newsTimer?.();
    this.#newsTimer = undefined;
    for (const id of [...this.#peers.keys(), ...this.#responder.peers()]) this.onDisconnect(id);
    await Promise.allSettled(this.#running);
  }

  /** Answer another member's request. Throws DISK_FULL. */
  async handle(from: PeerId, body: Json): Promise<Json> {
    return this.#responder.handle(from, body) as Json;
  }

  /** A hint: the body that `publishHeads` was given there. Whatever it is, it costs at most one exchange. */
  onHeads(from: PeerId, body: Json): void {
    if (!this.#started) return;
    const parsed = headsSchema.safeParse(body);
    if (!parsed.success) {
      this.#counts.hints_dropped += 1;
      return;
    }
    this.#counts.hints += 1;
    const heads = parsed.data;
    const connected = this.#deps.connected();
    if (connected.includes(from)) this.#heard(from, heads);
    if (this.#deps.document.hasHeads(heads)) return;
    // The sender tells its own neighbours right now; the others ask a neighbour of theirs first, not all of
    // them the sender.
    const chosen = this.#chosen.filter((peer) => connected.includes(peer));
    if (chosen.includes(from)) this.#want(from, this.#spread(1), heads);
    else {
      const neighbour = chosen[Math.floor(this.#deps.random() * chosen.length)];
      if (neighbour !== undefined) this.#want(neighbour, this.#spread(2), heads);
      if (connected.includes(from)) this.#want(from, this.#spread(10), heads);
    }
  }

  onConnect(peer: PeerId): void {
    if (!this.#started || peer === this.#deps.document.self) return;
    // Both ends see it; one of them asks at once, the other a little later, when it mostly has the news.
    const ours = this.#deps.document.self < peer;
    const known = this.#peers.get(peer);
    if (known !== undefined) known.notBefore = Number.NEGATIVE_INFINITY;
    this.#want(peer, ours ? 0 : this.#options.spreadMs + this.#spread(1));
  }

  /** Frees all that is kept for the peer. */
  onDisconnect(id: PeerId): void {
    this.#responder.forget(id);
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    peer.timer?.();
    peer.abort.abort();
    this.#peers.delete(id);
  }

  /** Totals since the start, for metrics. */
  counters(): Record<string, number> {
    return { ...this.#counts, ...this.#responder.counts, peers: this.#peers.size };
  }

  #heard(from: PeerId, heads: readonly string[]): void {
    const peer = this.#peers.get(from);
    if (peer !== undefined) peer.heads = heads;
  }

  #news(local: boolean): void {
    this.#localNews ||= local;
    if (this.#newsTimer !== undefined) return;
    const wait = local ? this.#options.gatherMs : this.#options.gatherMs + this.#spread(1);
    this.#newsTimer = this.#after(wait, () => {
      this.#newsTimer = undefined;
      const heads = this.#deps.document.heads();
      if (this.#localNews) this.#publish(heads);
      this.#localNews = false;
      for (const id of this.#choose(this.#chosen)) {
        if (!sameHeads(this.#peers.get(id)?.heads, heads)) this.#want(id, 0);
      }
    });
  }

  #publish(heads: string[]): void {
    Promise.resolve()
      .then(() => this.#deps.publishHeads(heads.slice(0, headsInHint)))
      .catch((error: unknown) => {
        this.#deps.log.debug({ error: messageOf(error) }, "document heads not published");
      });
  }

  #period(): void {
    const connected = new Set(this.#deps.connected());
    for (const id of [...this.#peers.keys(), ...this.#responder.peers()]) {
      if (!connected.has(id)) this.onDisconnect(id);
    }
    for (const id of this.#choose([])) this.#want(id, this.#spread(1));
    const wait = this.#options.periodMs * (0.75 + this.#deps.random() / 2);
    this.#periodTimer = this.#after(wait, () => this.#period());
  }

  /** The peers to sync with: those chosen before, while they are connected and as many as they should be. */
  #choose(before: readonly PeerId[]): PeerId[] {
    const connected = this.#deps.connected();
    const kept = before.filter((peer) => connected.includes(peer));
    const fresh = chooseSyncPeers(this.#deps.document.self, connected, this.#deps.random);
    this.#chosen = kept.length === fresh.length ? kept : fresh;
    return this.#chosen;
  }

  #spread(factor: number): number {
    return this.#options.spreadMs * factor * (0.5 + this.#deps.random() / 2);
  }

  /** Plan an exchange; an earlier plan stays. */
  #want(id: PeerId, wait: number, unless?: readonly string[]): void {
    const peer = this.#peers.get(id) ?? this.#newPeer(id);
    if (peer.running) {
      peer.again = true;
      return;
    }
    const planned = peer.timer !== undefined;
    if (!planned || unless === undefined || peer.unless !== undefined) peer.unless = unless;
    const now = this.#deps.now();
    const dueAt = Math.max(now + wait, peer.notBefore);
    if (planned && peer.dueAt <= dueAt) return;
    peer.timer?.();
    peer.dueAt = dueAt;
    peer.timer = this.#after(dueAt - now, () => this.#run(id, peer));
  }

  #run(id: PeerId, peer: Peer): void {
    peer.timer = undefined;
    const { unless } = peer;
    peer.unless = undefined;
    if (unless !== undefined && this.#deps.document.hasHeads(unless)) return;
    peer.again = false;
    peer.running = true;
    const run = this.#exchange(id, peer).finally(() => {
      this.#running.delete(run);
      peer.running = false;
      if (this.#peers.get(id) !== peer || !this.#deps.connected().includes(id)) return;
      if (peer.failures > 0 || peer.again) this.#want(id, this.#options.gatherMs);
    });
    this.#running.add(run);
  }

  async #exchange(id: PeerId, peer: Peer): Promise<void> {
    this.#counts.exchanges += 1;
    try {
      const outcome = await peer.link.exchange(peer.abort.signal);
      if (outcome.state === "refused") return this.#failed(id, peer, `refused: ${outcome.reason}`);
      const { document } = this.#deps;
      const { heads, refetching } = outcome.theirs;
      peer.heads = heads;
      if (document.refetching && !refetching && document.hasHeads(heads)) document.endRefetch();
      if (outcome.state === "stuck") return this.#failed(id, peer, "documents still differ");
      peer.failures = 0;
      peer.again ||= outcome.state === "moved";
    } catch (error) {
      if (!peer.abort.signal.aborted) this.#failed(id, peer, messageOf(error));
    }
  }

  #failed(id: PeerId, peer: Peer, reason: string): void {
    peer.failures += 1;
    peer.notBefore = this.#deps.now() + retryDelay(peer.failures, this.#deps.random);
    this.#counts.failures += 1;
    this.#deps.log.debug({ peer: id, reason, failures: peer.failures }, "document sync failed");
  }

  #newPeer(id: PeerId): Peer {
    const { document, request, random } = this.#deps;
    const peer: Peer = {
      link: new SyncLink({
        document,
        request: (body, signal) => request(id, body, signal),
        newId: () =>
          Math.floor(random() * 2 ** 48).toString(16) + Math.floor(random() * 2 ** 48).toString(16),
      }),
      heads: undefined,
      abort: new AbortController(),
      running: false,
      timer: undefined,
      dueAt: 0,
      again: false,
      unless: undefined,
      failures: 0,
      notBefore: Number.NEGATIVE_INFINITY,
    };
    this.#peers.set(id, peer);
    return peer;
  }
}
