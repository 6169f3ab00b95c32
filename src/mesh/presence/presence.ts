import { randomUUID } from "node:crypto";
import type { Logger } from "pino";
import { z } from "zod";
import { messageOf } from "../../errors/microceph-error.ts";
import { isPeerId, type PeerId } from "../../ids/ids.ts";
import type { MeshHost } from "../host/mesh-host.ts";
import {
  type PresenceChange,
  PresenceCore,
  type PresenceEntry,
  type PresenceState,
  timingsFor,
} from "./presence-core.ts";

export type { PresenceEntry, PresenceState } from "./presence-core.ts";

const methods = {
  ping: "presence.ping",
  witness: "presence.witness",
  leave: "presence.leave",
} as const;

const incarnationSchema = z.looseObject({ incarnation: z.string().min(1).max(64) });
const witnessSchema = z.looseObject({ peer: z.custom<PeerId>(isPeerId, "not a PeerId") });
const testimonySchema = z.looseObject({ reached: z.boolean() });

export interface PresenceOptions {
  /** Time between pings of a member, milliseconds; all other times follow from it. */
  readonly intervalMs?: number;
}

export interface PresenceDeps {
  readonly mesh: Pick<MeshHost, "self" | "request" | "handle" | "connected" | "onConnection" | "onHeard">;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly log: Logger;
}

export type PresenceListener = (peer: PeerId, state: PresenceState) => void;

/** Who of the members is there. Pings go over the connections that exist; `presence-core.ts` draws the conclusions. */
export class Presence {
  readonly #intervalMs: number;
  readonly #deps: PresenceDeps;
  readonly #core: PresenceCore;
  readonly #incarnation = randomUUID();
  readonly #listeners = new Set<PresenceListener>();
  readonly #pinged = new Map<PeerId, { at: number; answered: Promise<boolean> }>();
  readonly #work = new Set<Promise<unknown>>();
  readonly #stopped = new AbortController();
  #ticker: NodeJS.Timeout | undefined;
  #unlisten: (() => void) | undefined;

  constructor(options: PresenceOptions, deps: PresenceDeps) {
    this.#intervalMs = options.intervalMs ?? 1000;
    this.#deps = deps;
    this.#core = new PresenceCore(timingsFor(this.#intervalMs));
  }

  start(): void {
    const { mesh } = this.#deps;
    mesh.handle(methods.ping, async (from, body) => {
      this.#seen(from, incarnationSchema.parse(body).incarnation);
      return { incarnation: this.#incarnation };
    });
    mesh.handle(methods.witness, async (_from, body) => {
      const { peer } = witnessSchema.parse(body);
      return { reached: peer === mesh.self || (await this.#reaches(peer)) };
    });
    mesh.handle(methods.leave, async (from, body) => {
      this.#tell(this.#core.left(from, incarnationSchema.parse(body).incarnation, this.#deps.now()));
      return null;
    });
    const stops = [
      mesh.onConnection((peer, up) => {
        if (up && this.#core.has(peer)) void this.#ping(peer);
      }),
      // Cheaper than a ping, so it gets through when both hosts are short of CPU.
      mesh.onHeard((peer) => this.#tell(this.#core.heard(peer, this.#deps.now()))),
    ];
    this.#unlisten = () => {
      for (const stop of stops) stop();
    };
    this.#ticker = setInterval(() => this.#tick(), this.#intervalMs / 4);
    this.#ticker.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#ticker);
    this.#unlisten?.();
    this.#stopped.abort();
    await Promise.allSettled(this.#work);
  }

  /** All members; this node itself may be among them and is left out. */
  setMembers(peers: readonly PeerId[]): void {
    const others = peers.filter((peer) => peer !== this.#deps.mesh.self);
    this.#core.setMembers(others, this.#deps.now());
    for (const peer of this.#pinged.keys()) if (!this.#core.has(peer)) this.#pinged.delete(peer);
  }

  /** All other members. */
  view(): ReadonlyMap<PeerId, PresenceEntry> {
    return this.#core.view();
  }

  /** @returns stops listening */
  on(_event: "change", listener: PresenceListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Say goodbye to those that are connected, before the host stops; takes half an interval at most. */
  async leave(): Promise<void> {
    clearInterval(this.#ticker);
    const { mesh } = this.#deps;
    const deadlineMs = Math.max(50, this.#intervalMs / 2);
    const body = { incarnation: this.#incarnation };
    await Promise.allSettled(
      mesh.connected().map((peer) => mesh.request(peer, methods.leave, body, { deadlineMs })),
    );
  }

  #tick(): void {
    const now = this.#deps.now();
    const { changes, calls } = this.#core.tick(now);
    this.#tell(changes);
    for (const { about, witnesses } of calls) {
      for (const witness of witnesses) this.#track(this.#ask(witness, about));
    }
    for (const peer of this.#deps.mesh.connected()) {
      if (this.#core.has(peer) && this.#isDue(peer, now)) void this.#ping(peer);
    }
  }

  /** An eighth less than the interval, as ticks are never quite on time. */
  #isDue(peer: PeerId, now: number): boolean {
    return Math.abs(now - (this.#pinged.get(peer)?.at ?? 0)) > 0.875 * this.#intervalMs;
  }

  /** What this node testifies: whether it has heard the peer just now, or it answers a ping. */
  async #reaches(peer: PeerId): Promise<boolean> {
    const entry = this.#core.view().get(peer);
    if (entry === undefined) return false;
    const fresh = entry.lastSeen !== null && this.#deps.now() - entry.lastSeen < 1.5 * this.#intervalMs;
    return (fresh && entry.state === "alive") || (await this.#ping(peer));
  }

  /** Whether the peer answers a ping that is sent now, or was a moment ago. */
  #ping(peer: PeerId): Promise<boolean> {
    const now = this.#deps.now();
    const last = this.#pinged.get(peer);
    if (last !== undefined && !this.#isDue(peer, now)) return last.answered;
    const answered = this.#sendPing(peer);
    this.#pinged.set(peer, { at: now, answered });
    this.#track(answered);
    return answered;
  }

  async #sendPing(peer: PeerId): Promise<boolean> {
    try {
      const body = { incarnation: this.#incarnation };
      // Longer than the interval: an answer that comes late is a sign of life, too.
      const options = { deadlineMs: 2.5 * this.#intervalMs, signal: this.#stopped.signal };
      const reply = await this.#deps.mesh.request(peer, methods.ping, body, options);
      this.#seen(peer, incarnationSchema.parse(reply).incarnation);
      return true;
    } catch (error) {
      this.#deps.log.trace({ peer, error: messageOf(error) }, "A ping was not answered");
      return false;
    }
  }

  async #ask(witness: PeerId, about: PeerId): Promise<void> {
    try {
      const options = { deadlineMs: 1.5 * this.#intervalMs, signal: this.#stopped.signal };
      const reply = await this.#deps.mesh.request(witness, methods.witness, { peer: about }, options);
      this.#core.witnessed(about, witness, testimonySchema.parse(reply).reached);
    } catch (error) {
      this.#deps.log.trace({ peer: witness, about, error: messageOf(error) }, "A witness did not answer");
    }
  }

  #seen(peer: PeerId, incarnation: string): void {
    this.#tell(this.#core.seen(peer, incarnation, this.#deps.now()));
  }

  #tell(changes: readonly PresenceChange[]): void {
    for (const { peer, from, to, reason } of changes) {
      this.#deps.log.debug({ peer, from, to, reason }, "The presence of a member changed");
      for (const listener of this.#listeners) {
        try {
          listener(peer, to);
        } catch (error) {
          this.#deps.log.error({ peer, to, error: messageOf(error) }, "A listener to presence failed");
        }
      }
    }
  }

  #track(work: Promise<unknown>): void {
    this.#work.add(work);
    void work.finally(() => this.#work.delete(work));
  }
}
