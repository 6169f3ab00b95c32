import { setTimeout as realSleep } from "node:timers/promises";
import type { Logger } from "pino";
import { isMicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { PeerId } from "../../ids/ids.ts";
import type { EtcdApi } from "../etcd/etcd-api.ts";
import { decodeLease, encodeLease, type Lease, leaseKey } from "./lease-value.ts";
import { isShaky, type Renewal, remainingMs, shakyAt } from "./renewal.ts";
import { untilDeleted } from "./until-deleted.ts";

export interface LeaseKeeperOptions {
  readonly self: PeerId;
  /** Seconds after which etcd ends the lease of a holder that is not heard of. */
  readonly ttlSeconds: number;
}

export interface LeaseKeeperDeps {
  readonly etcd: EtcdApi;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly log: Logger;
  /** Wall clock in milliseconds; only its progress beside `now` is used. Default: Date.now. */
  readonly wall?: () => number;
  /** Resolves after that many milliseconds, or early when aborted. Default: timers. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface LeaseEvents {
  /** We hold it from now on. */
  readonly taken: (lease: Lease) => void;
  /** We hold it no more: revoked, expired, or given up. */
  readonly lost: (lease: Lease) => void;
  /** We may still hold it, but what was begun under it must end: see `shaky()`. */
  readonly shaky: (lease: Lease) => void;
  /** Whoever holds it, as far as is known here. */
  readonly holder: (lease: Lease | null) => void;
}

const retryMs = { first: 200, longest: 2000 };
/** Pause between tries to renew after one has failed. */
const renewRetryMs = 100;
/** Milliseconds for a read before the lease of a holder that has failed is ended, and between two tries. */
const revokeReadMs = 1000;
const revokeRetryMs = 50;
/** After giving the lease up: others, who wait for it, have it long before. */
const yieldMs = 3_000;
const resignDeadlineMs = 1000;

/**
 * Campaigns for the leader lease for ever and keeps it while it can. What it says of the lease is a hint for
 * when to stop; safety rests on the journal's transactions, which compare the lease key's create revision.
 */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #deps: LeaseKeeperDeps;
  readonly #wall: () => number;
  readonly #sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly #listeners: { [Event in keyof LeaseEvents]: Set<LeaseEvents[Event]> } = {
    taken: new Set(),
    lost: new Set(),
    shaky: new Set(),
    holder: new Set(),
  };
  #stop = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #resigned = new AbortController();
  #yieldsUntil = 0;
  #own: { readonly lease: Lease; renewal: Renewal; shakySaid: boolean } | null = null;
  #holder: Lease | null = null;

  constructor(options: LeaseKeeperOptions, deps: LeaseKeeperDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#wall = deps.wall ?? Date.now;
    this.#sleep = deps.sleep ?? sleepUnreferenced;
  }

  start(): void {
    this.#stop = new AbortController();
    this.#loop = this.#campaign(this.#stop.signal);
  }

  /** Gives the lease up, so that another voter takes it at once. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  /** Give the lease up, and let the others have it first. */
  resign(): void {
    if (this.#own === null) return;
    this.#yieldsUntil = this.#deps.now() + yieldMs;
    this.#resigned.abort();
    this.#resigned = new AbortController();
  }

  /** The lease while we hold it, by all we know here. */
  held(): Lease | null {
    return this.remaining() > 0 ? (this.#own?.lease ?? null) : null;
  }

  /** Whoever holds it, as last heard; may be out of date without a majority. */
  holder(): Lease | null {
    return this.#holder;
  }

  /** Milliseconds until our lease may end without a further renewal; 0 when we do not hold it. */
  remaining(): number {
    return this.#own ? remainingMs(this.#own.renewal, this.#deps.now()) : 0;
  }

  /** Whether acts under the lease must be broken off and the world be read again; true without the lease. */
  shaky(): boolean {
    return this.#own === null || isShaky(this.#own.renewal, this.#deps.now(), this.#wall());
  }

  /** @returns the way to stop listening */
  on<Event extends keyof LeaseEvents>(event: Event, listener: LeaseEvents[Event]): () => void {
    this.#listeners[event].add(listener);
    return () => this.#listeners[event].delete(listener);
  }

  /**
   * End the lease of a holder that has failed, so that the next one need not wait for its TTL. Exactly that
   * lease: one taken meanwhile, by whomever, is not touched. Tried again until the TTL is over: with the holder etcd may
   * have lost its leader, too. @returns false when the peer is not the holder
   */
  async revokeHolder(peer: PeerId): Promise<boolean> {
    const known = this.#holder;
    const end = this.#deps.now() + this.#options.ttlSeconds * 1000;
    for (;;) {
      try {
        const [kv] = (await this.#deps.etcd.range(leaseKey, { deadlineMs: revokeReadMs })).kvs;
        const lease = kv && decodeLease(kv);
        if (lease?.holder !== peer) return false;
        if (known?.holder === peer && known.epoch !== lease.epoch) return false;
        await this.#revoke(lease.leaseId);
        return true;
      } catch (error) {
        if (this.#stop.signal.aborted || this.#deps.now() >= end) throw error;
        await this.#sleep(revokeRetryMs, this.#stop.signal);
      }
    }
  }

  async #campaign(signal: AbortSignal): Promise<void> {
    let pauseMs = retryMs.first;
    while (!signal.aborted) {
      try {
        await this.#round(signal);
        pauseMs = retryMs.first;
      } catch (error) {
        if (signal.aborted) break;
        this.#deps.log.debug({ error: messageOf(error) }, "lease campaign interrupted");
        await this.#sleep(pauseMs, signal);
        pauseMs = Math.min(pauseMs * 2, retryMs.longest);
      }
    }
  }

  /** Wait until the lease is free, take it, keep it until it is lost; or return early to look again. */
  async #round(signal: AbortSignal): Promise<void> {
    const { etcd } = this.#deps;
    const { kvs, revision } = await etcd.range(leaseKey, { signal });
    const [kv] = kvs;
    if (kv) {
      const lease = decodeLease(kv);
      this.#setHolder(lease);
      if (lease.holder === this.#options.self) {
        // Of an earlier run, or taken by a transaction whose answer was lost: nobody keeps it alive.
        await this.#revoke(lease.leaseId, signal);
      } else {
        await untilDeleted(etcd, leaseKey, revision + 1, signal);
      }
      return;
    }
    this.#setHolder(null);
    if (this.#deps.now() < this.#yieldsUntil) await this.#sleep(retryMs.first, signal);
    else await this.#take(signal);
  }

  async #take(signal: AbortSignal): Promise<void> {
    const { etcd } = this.#deps;
    const { self, ttlSeconds } = this.#options;
    const renewal = this.#sendingNow(ttlSeconds);
    const { id } = await etcd.leaseGrant(ttlSeconds, { signal });
    let taken = false;
    try {
      const { succeeded, revision } = await etcd.txn(
        {
          compare: [{ key: leaseKey, target: "create", result: "equal", revision: 0 }],
          success: [{ do: "put", key: leaseKey, value: encodeLease(self, id), lease: id }],
          failure: [],
        },
        { signal },
      );
      if (!succeeded) return;
      taken = true;
      await this.#keep({ holder: self, epoch: revision, leaseId: id }, renewal, signal);
    } finally {
      // Also after an unknown outcome: without its TTL lease the key cannot stay, or come later.
      if (!taken) await this.#revoke(id).catch(() => undefined);
    }
  }

  async #keep(lease: Lease, renewal: Renewal, signal: AbortSignal): Promise<void> {
    this.#own = { lease, renewal, shakySaid: false };
    this.#setHolder(lease);
    this.#deps.log.info({ epoch: lease.epoch }, "leader lease taken");
    this.#emit("taken", lease);
    const ended = new AbortController();
    const either = AbortSignal.any([signal, ended.signal, this.#resigned.signal]);
    const watching = untilDeleted(this.#deps.etcd, leaseKey, lease.epoch + 1, either).then(
      () => ended.abort(),
      (error: unknown) => {
        // Without the watch the next renewal tells.
        this.#deps.log.warn({ error: messageOf(error) }, "watch of the leader lease failed");
      },
    );
    await this.#renewUntilLost(lease, either);
    ended.abort();
    await watching;
    this.#own = null;
    this.#setHolder(null);
    this.#deps.log.info({ epoch: lease.epoch }, "leader lease lost");
    this.#emit("lost", lease);
    // Our own key, in case it is still there: given up on stop, or no longer renewed in time.
    await this.#revoke(lease.leaseId, undefined, resignDeadlineMs).catch(() => undefined);
  }

  async #renewUntilLost(lease: Lease, signal: AbortSignal): Promise<void> {
    const { now } = this.#deps;
    let nextTry = this.#nextRenewal();
    while (!signal.aborted) {
      const own = this.#own;
      if (!own || now() >= own.renewal.sentAt + own.renewal.ttlMs) return;
      // Whatever made it shaky: ask etcd at once how the lease stands.
      if (this.#becameShaky()) nextTry = now();
      const wakeAt = own.shakySaid ? nextTry : Math.min(nextTry, shakyAt(own.renewal));
      if (now() < wakeAt) {
        await this.#sleep(wakeAt - now(), signal);
        continue;
      }
      const outcome = await this.#renew(lease, signal);
      if (outcome === "gone") return;
      nextTry = outcome === "renewed" ? this.#nextRenewal() : now() + renewRetryMs;
    }
  }

  #nextRenewal(): number {
    const renewal = this.#own?.renewal;
    return renewal ? renewal.sentAt + renewal.ttlMs / 3 : 0;
  }

  async #renew(lease: Lease, signal: AbortSignal): Promise<"renewed" | "failed" | "gone"> {
    const own = this.#own;
    if (!own) return "gone";
    const sending = this.#sendingNow(this.#options.ttlSeconds);
    // So that the half of the TTL, and its end, are noticed while a call hangs.
    const until = own.shakySaid ? own.renewal.sentAt + own.renewal.ttlMs : shakyAt(own.renewal);
    const deadlineMs = Math.max(1, Math.ceil(until - sending.sentAt));
    try {
      const { ttlSeconds } = await this.#deps.etcd.leaseKeepAlive(lease.leaseId, { deadlineMs, signal });
      if (ttlSeconds <= 0) return "gone";
      this.#own = { lease, renewal: { ...sending, ttlMs: ttlSeconds * 1000 }, shakySaid: false };
      return "renewed";
    } catch (error) {
      if (isMicrocephError(error, "NOT_FOUND")) return "gone";
      return "failed";
    }
  }

  #becameShaky(): boolean {
    const own = this.#own;
    if (!own || own.shakySaid || !this.shaky()) return false;
    own.shakySaid = true;
    this.#deps.log.warn(
      { epoch: own.lease.epoch },
      "leader lease not renewed in time, or a gap in the clock",
    );
    this.#emit("shaky", own.lease);
    return true;
  }

  #sendingNow(ttlSeconds: number): Renewal {
    return { sentAt: this.#deps.now(), wallAt: this.#wall(), ttlMs: ttlSeconds * 1000 };
  }

  async #revoke(leaseId: string, signal?: AbortSignal, deadlineMs?: number): Promise<void> {
    try {
      await this.#deps.etcd.leaseRevoke(leaseId, {
        ...(signal ? { signal } : {}),
        ...(deadlineMs === undefined ? {} : { deadlineMs }),
      });
    } catch (error) {
      if (!isMicrocephError(error, "NOT_FOUND")) throw error;
    }
  }

  #setHolder(lease: Lease | null): void {
    if (this.#holder?.epoch === lease?.epoch) return;
    this.#holder = lease;
    this.#emit("holder", lease);
  }

  #emit<Event extends keyof LeaseEvents>(event: Event, lease: Parameters<LeaseEvents[Event]>[0]): void {
    for (const listener of this.#listeners[event]) (listener as (lease: Lease | null) => void)(lease);
  }
}

function sleepUnreferenced(ms: number, signal: AbortSignal): Promise<void> {
  return realSleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
