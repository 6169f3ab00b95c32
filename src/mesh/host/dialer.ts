import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "@libp2p/interface";
import type { Logger } from "pino";
import { messageOf } from "../../errors/microceph-error.ts";
import type { PeerId } from "../../ids/ids.ts";
import { cutConnection } from "./cut-connection.ts";
import { type Endpoint, endpointsToTry, redialDelayMs } from "./redial.ts";

interface Target {
  readonly peer: PeerId;
  recorded: readonly Endpoint[];
  hinted: readonly Endpoint[];
  lastGood: Endpoint | undefined;
  failures: number;
  timer: NodeJS.Timeout | undefined;
  dialing: AbortController | undefined;
  dialingSince: number;
  upSince: number | undefined;
}

export interface DialerOptions {
  readonly self: PeerId;
  /** Longest time for one round over all addresses of a peer, milliseconds. */
  readonly dialMs: number;
}

export interface DialerDeps {
  readonly dial: (endpoint: Endpoint, peer: PeerId, signal: AbortSignal) => Promise<Connection>;
  /** Whether there is a connection to the peer, from either side. */
  readonly isLinked: (peer: PeerId) => boolean;
  /** The peer's host answers at every address, and nothing listens there. */
  readonly onRefused: (peer: PeerId) => void;
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Logger;
}

/** The next address is tried beside the ones before it after so long (RFC 8305 calls it the attempt delay). */
const staggerMs = 250;
/** The higher PeerId waits so long at first: mostly the lower's dial comes in meanwhile, and one is enough. */
const courtesyMs = 250;
/** A connection that lasted so long counts as success, and the next loss starts the back-off anew. */
const settledMs = 5000;

/** A proven one that was lost sooner counts as so many failures at most: the peer is there and lets us in. */
const unsettledFailures = 3;
/** How often to look whether a connection that is not proven is gone. */
const unprovenMs = 1000;

/** Dials every member that is not connected, for ever. */
export class Dialer {
  readonly #options: DialerOptions;
  readonly #deps: DialerDeps;
  readonly #targets = new Map<PeerId, Target>();
  readonly #rounds = new Set<Promise<void>>();
  #running = false;

  constructor(options: DialerOptions, deps: DialerDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  start(): void {
    this.#running = true;
    for (const target of this.#targets.values()) this.#dialSoon(target);
  }

  async stop(): Promise<void> {
    this.#running = false;
    for (const target of this.#targets.values()) this.#halt(target);
    await Promise.allSettled(this.#rounds);
  }

  /** Dial this peer from now on; at once when it is new or its record changed. */
  want(peer: PeerId, recorded: readonly Endpoint[]): void {
    const known = this.#targets.get(peer);
    if (known === undefined) {
      const target: Target = {
        peer,
        recorded,
        hinted: [],
        lastGood: undefined,
        failures: 0,
        timer: undefined,
        dialing: undefined,
        dialingSince: 0,
        upSince: undefined,
      };
      this.#targets.set(peer, target);
      this.#dialSoon(target);
    } else if (JSON.stringify(known.recorded) !== JSON.stringify(recorded)) {
      known.recorded = recorded;
      this.#dialNow(known);
    }
  }

  /** The peer was seen at these addresses just now. */
  hint(peer: PeerId, endpoints: readonly Endpoint[]): void {
    const target = this.#targets.get(peer);
    if (target === undefined) return;
    target.hinted = endpoints;
    this.#dialNow(target);
  }

  forget(peer: PeerId): void {
    const target = this.#targets.get(peer);
    if (target === undefined) return;
    this.#targets.delete(peer);
    this.#halt(target);
  }

  wanted(): PeerId[] {
    return [...this.#targets.keys()];
  }

  /** Whether a dial to this peer began so short a time ago that one from there is simultaneous. */
  isDialing(peer: PeerId, withinMs: number): boolean {
    const target = this.#targets.get(peer);
    return target?.dialing !== undefined && this.#deps.now() - target.dialingSince <= withinMs;
  }

  /** A connection was proven, or the last one was lost. */
  changed(peer: PeerId, up: boolean): void {
    const target = this.#targets.get(peer);
    if (target === undefined) return;
    const now = this.#deps.now();
    if (up) {
      target.upSince = now;
      clearTimeout(target.timer);
      return;
    }
    const lasted = target.upSince === undefined ? 0 : now - target.upSince;
    target.failures = lasted >= settledMs ? 0 : Math.min(target.failures, unsettledFailures);
    target.upSince = undefined;
    this.#schedule(target, redialDelayMs(target.failures, this.#deps.random()));
  }

  #dialSoon(target: Target): void {
    const courtesy = this.#options.self < target.peer ? 0 : courtesyMs;
    this.#schedule(target, courtesy + this.#deps.random() * 50);
  }

  #dialNow(target: Target): void {
    if (target.upSince !== undefined) return;
    target.failures = 0;
    if (target.dialing === undefined) this.#dialSoon(target);
    // The round that runs has the old addresses: it is given up for one with the new.
    else target.dialing.abort(new Error("there are newer addresses"));
  }

  #schedule(target: Target, delayMs: number): void {
    clearTimeout(target.timer);
    if (!this.#running || this.#targets.get(target.peer) !== target) return;
    target.timer = setTimeout(() => {
      if (target.dialing !== undefined || target.upSince !== undefined) return;
      if (this.#deps.isLinked(target.peer)) {
        // It may still come to life, or die without a word to us.
        this.#schedule(target, unprovenMs);
        return;
      }
      const round = this.#round(target);
      this.#rounds.add(round);
      void round.finally(() => this.#rounds.delete(round));
    }, delayMs);
    target.timer.unref();
  }

  #halt(target: Target): void {
    clearTimeout(target.timer);
    target.dialing?.abort(new Error("no longer wanted"));
  }

  /** One try of all addresses; ends with a connection or with the next round scheduled. */
  async #round(target: Target): Promise<void> {
    const { peer } = target;
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(new Error("timeout")), this.#options.dialMs);
    target.dialing = controller;
    target.dialingSince = this.#deps.now();
    const endpoints = endpointsToTry(target.lastGood, target.hinted, target.recorded);
    try {
      target.lastGood = await this.#firstOf(peer, endpoints, controller);
    } catch (error) {
      const reason =
        error instanceof AggregateError ? error.errors.map(messageOf).join("; ") : messageOf(error);
      this.#deps.log.debug({ peer, endpoints: endpoints.length, reason }, "A member could not be dialled");
      if (isRefused(error)) this.#deps.onRefused(peer);
    } finally {
      clearTimeout(timer);
      target.dialing = undefined;
      // Linked or not: when the connection does not come to life, `changed` is never called for it.
      target.failures += 1;
      this.#schedule(target, redialDelayMs(target.failures, this.#deps.random()));
    }
  }

  /** The first endpoint that a connection came from; the other attempts are given up. */
  async #firstOf(
    peer: PeerId,
    endpoints: readonly Endpoint[],
    controller: AbortController,
  ): Promise<Endpoint> {
    let won = false;
    const attempt = async (endpoint: Endpoint, index: number): Promise<Endpoint> => {
      if (index > 0) await sleep(index * staggerMs, undefined, { signal: controller.signal, ref: false });
      const connection = await this.#deps.dial(endpoint, peer, controller.signal);
      if (won || controller.signal.aborted) {
        cutConnection(connection, "another attempt was faster");
        throw new Error("another attempt was faster");
      }
      won = true;
      controller.abort(new Error("another attempt was faster"));
      return endpoint;
    };
    return Promise.any(endpoints.map(attempt));
  }
}

/** Whether each of several attempts was answered by a host on which nothing listens (RFC 9293, 3.10.7.1). */
function isRefused(error: unknown): boolean {
  return (
    error instanceof AggregateError &&
    error.errors.length > 0 &&
    error.errors.every((one: NodeJS.ErrnoException) => one.code === "ECONNREFUSED")
  );
}
