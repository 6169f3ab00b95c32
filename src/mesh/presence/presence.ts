import type { Logger } from "pino";
import { z } from "zod";
import { messageOf } from "../../errors/microceph-error.ts";
import { isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { MeshHost } from "../host/mesh-host.ts";
import type { Overlay } from "../overlay/overlay.ts";
import {
  type PresenceChange,
  PresenceCore,
  type PresenceEntry,
  type PresenceState,
  timingsFor,
} from "./presence-core.ts";
import type { Rumour } from "./rumour.ts";
import { digestParts } from "./view-digest.ts";

export type { PresenceEntry, PresenceState } from "./presence-core.ts";

const methods = {
  ping: "presence.ping",
  witness: "presence.witness",
  leave: "presence.leave",
  compare: "presence.compare",
} as const;

const incarnation = z.int().min(0);
const peer = z.custom<PeerId>(isPeerId, "not a PeerId");
/** A ping and its answer: `accused` is an incarnation in which the sender takes the receiver for gone. */
const pingSchema = z.looseObject({ incarnation, accused: incarnation.optional() });
const witnessSchema = z.looseObject({ peer });
const testimonySchema = z.looseObject({ reached: z.boolean().nullable() });
const rumourSchema = z.looseObject({
  kind: z.enum(["alive", "suspect", "failed", "left"]),
  peer,
  incarnation,
  witnesses: z.array(peer).max(16),
});
const compareSchema = z.looseObject({ digests: z.array(z.int().min(0)).length(digestParts) });
const recordsSchema = z.looseObject({ records: z.array(rumourSchema).max(4096) });

export interface PresenceOptions {
  /** Time between pings of a member, milliseconds; all other times follow from it. */
  readonly intervalMs?: number;
}

export interface PresenceDeps {
  readonly mesh: Pick<
    MeshHost,
    "self" | "request" | "handle" | "connected" | "onConnection" | "onHeard" | "publish" | "subscribe"
  >;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Logger;
}

export type PresenceListener = (peer: PeerId, state: PresenceState) => void;

/** Intervals between two comparisons of what is told of members with that of a neighbour: rumours may be lost. */
const compareEvery = 10;

/**
 * Who of the members is there. Pings go over the connections that exist, and to this node's neighbours only where
 * members are many; `presence-core.ts` draws the conclusions.
 */
export class Presence {
  readonly #intervalMs: number;
  readonly #deps: PresenceDeps;
  readonly #core: PresenceCore;
  readonly #listeners = new Set<PresenceListener>();
  readonly #pinged = new Map<PeerId, number>();
  readonly #work = new Set<Promise<unknown>>();
  readonly #stopped = new AbortController();
  #overlay: Overlay | undefined;
  #comparedAt = 0;
  #ticker: NodeJS.Timeout | undefined;
  #unlisten: (() => void) | undefined;

  constructor(options: PresenceOptions, deps: PresenceDeps) {
    this.#intervalMs = options.intervalMs ?? 1000;
    this.#deps = deps;
    // A later run has a higher number; should the clock have been set back, the first accusation raises it.
    const self = { peer: deps.mesh.self, incarnation: Math.max(0, Math.floor(deps.now())) };
    this.#core = new PresenceCore(timingsFor(this.#intervalMs), self);
  }

  start(): void {
    const { mesh, now } = this.#deps;
    mesh.handle(methods.ping, async (from, body) => {
      this.#heardPing(from, body);
      return this.#pingOf(from);
    });
    mesh.handle(methods.witness, async (_from, body) => ({
      reached: this.#core.testify(witnessSchema.parse(body).peer),
    }));
    mesh.handle(methods.leave, async (from, body) => {
      this.#tell(this.#core.left(from, pingSchema.parse(body).incarnation, now()));
      return null;
    });
    mesh.handle(methods.compare, async (_from, body) => {
      const theirs = compareSchema.parse(body).digests;
      const parts = this.#core.digests().flatMap((digest, part) => (digest === theirs[part] ? [] : [part]));
      return { records: this.#core.records(new Set(parts)) as unknown as Json };
    });
    const stops = [
      mesh.onConnection((other, up) => {
        if (up && this.#core.isWatched(other)) this.#track(this.#ping(other));
      }),
      // Cheaper than a ping, so it gets through when both hosts are short of CPU.
      mesh.onHeard((other) => this.#tell(this.#core.heard(other, now()))),
      mesh.subscribe("presence", (from, body) => {
        const rumour = rumourSchema.safeParse(body);
        if (rumour.success) this.#tell(this.#core.hear(rumour.data, from, now()));
      }),
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
    this.#core.setMembers(peers, this.#deps.now());
    for (const other of this.#pinged.keys()) if (!this.#core.has(other)) this.#pinged.delete(other);
  }

  /** Who is linked to whom, after `setMembers`: of many members this node pings its neighbours only. */
  setOverlay(overlay: Overlay): void {
    this.#overlay = overlay;
    const { self } = this.#deps.mesh;
    const watch = { peers: overlay.watchers(self), watchersOf: (other: PeerId) => overlay.watchers(other) };
    this.#tell(this.#core.watch(overlay.full ? undefined : watch, this.#deps.now()));
  }

  stateOf(peer: PeerId): PresenceState | undefined {
    return this.#core.stateOf(peer);
  }

  /** By how much this node doubts itself: it stretches its timeouts by this factor, 1 is not at all. */
  get stretch(): number {
    return this.#core.stretch;
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
    const body = { incarnation: this.#core.incarnation };
    this.#core.leave();
    this.#spread();
    await Promise.allSettled(
      mesh.connected().map((other) => mesh.request(other, methods.leave, body, { deadlineMs })),
    );
  }

  #tick(): void {
    const now = this.#deps.now();
    const { changes, calls } = this.#core.tick(now);
    this.#tell(changes);
    for (const { about, witnesses } of calls) {
      for (const witness of witnesses) this.#track(this.#ask(witness, about));
    }
    for (const other of this.#deps.mesh.connected()) {
      if (this.#core.isWatched(other)) this.#track(this.#ping(other));
    }
    this.#compare(now);
  }

  /** An eighth less than the interval, as ticks are never quite on time. */
  #isDue(other: PeerId, now: number): boolean {
    return Math.abs(now - (this.#pinged.get(other) ?? 0)) > 0.875 * this.#intervalMs;
  }

  /** Unless one was sent a moment ago. */
  async #ping(other: PeerId): Promise<void> {
    const now = this.#deps.now();
    if (!this.#isDue(other, now)) return;
    this.#pinged.set(other, now);
    try {
      // Longer than the interval: an answer that comes late is a sign of life, too.
      const options = { deadlineMs: 2.5 * this.#intervalMs, signal: this.#stopped.signal };
      const pong = await this.#deps.mesh.request(other, methods.ping, this.#pingOf(other), options);
      this.#heardPing(other, pong);
    } catch (error) {
      this.#deps.log.trace({ peer: other, error: messageOf(error) }, "A ping was not answered");
    }
  }

  #pingOf(other: PeerId): Json {
    const accused = this.#core.accusation(other);
    return { incarnation: this.#core.incarnation, ...(accused === undefined ? {} : { accused }) };
  }

  #heardPing(from: PeerId, body: Json): void {
    const ping = pingSchema.parse(body);
    if (ping.accused !== undefined) this.#core.accused(ping.accused);
    this.#tell(this.#core.seen(from, ping.incarnation, this.#deps.now()));
  }

  async #ask(witness: PeerId, about: PeerId): Promise<void> {
    try {
      const options = { deadlineMs: 1.5 * this.#intervalMs, signal: this.#stopped.signal };
      const reply = await this.#deps.mesh.request(witness, methods.witness, { peer: about }, options);
      this.#core.witnessed(about, witness, testimonySchema.parse(reply).reached);
    } catch (error) {
      this.#core.witnessSilent();
      this.#deps.log.trace({ peer: witness, about, error: messageOf(error) }, "A witness did not answer");
    }
  }

  /** Of many members, now and then learn from a neighbour what this node missed. */
  #compare(now: number): void {
    if (this.#overlay === undefined || this.#overlay.full) return;
    if (Math.abs(now - this.#comparedAt) < compareEvery * this.#intervalMs) return;
    this.#comparedAt = now;
    const near = this.#deps.mesh.connected().filter((other) => this.#core.isWatched(other));
    const chosen = near[Math.floor(this.#deps.random() * near.length)];
    if (chosen !== undefined) this.#track(this.#pull(chosen));
  }

  async #pull(from: PeerId): Promise<void> {
    try {
      const options = { deadlineMs: 2.5 * this.#intervalMs, signal: this.#stopped.signal };
      const body = { digests: this.#core.digests() };
      const reply = await this.#deps.mesh.request(from, methods.compare, body, options);
      for (const record of recordsSchema.parse(reply).records) {
        this.#tell(this.#core.hear(record, from, this.#deps.now()));
      }
    } catch (error) {
      this.#deps.log.trace({ peer: from, error: messageOf(error) }, "Presence was not compared");
    }
  }

  #tell(changes: readonly PresenceChange[]): void {
    for (const { peer: about, from, to, reason } of changes) {
      this.#deps.log.debug({ peer: about, from, to, reason }, "The presence of a member changed");
      for (const listener of this.#listeners) {
        try {
          listener(about, to);
        } catch (error) {
          this.#deps.log.error({ peer: about, to, error: messageOf(error) }, "A listener to presence failed");
        }
      }
    }
    this.#spread();
  }

  /** Hand on what the core wants told; where every pair is linked, each sees for itself. */
  #spread(): void {
    const rumours: Rumour[] = this.#core.takeRumours();
    if (this.#overlay === undefined || this.#overlay.full) return;
    for (const rumour of rumours) {
      void this.#deps.mesh.publish("presence", { ...rumour, witnesses: [...rumour.witnesses] });
    }
  }

  #track(work: Promise<unknown>): void {
    this.#work.add(work);
    void work.finally(() => this.#work.delete(work));
  }
}
