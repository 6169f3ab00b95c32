import type { Logger } from "pino";
import { messageOf } from "../../errors/microceph-error.ts";
import { isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import { type MemberCertificate, verifyCertificate } from "../identity/certificate.ts";
import { type Greeting, greetingSchema, lobbyVersion } from "../lobby/messages.ts";
import type { Clock } from "./clock.ts";
import type { Knocker, LobbyAsker, LobbySighting, LobbySightings } from "./context.ts";
import { compareForDialling } from "./dial-order.ts";
import type { Neighbour } from "./neighbours.ts";
import { protocolTimes } from "./settings.ts";

/** A lobby to greet: one per announced instance, static address or knocker. */
interface Target {
  readonly key: string;
  addresses: readonly string[];
  port: number;
  /** PeerId that the announcement claims; proves nothing. */
  hint: PeerId | null;
  txt: string;
  /** PeerId that answered there. */
  peer: PeerId | null;
  failures: number;
  /** Which of the addresses is dialled. */
  turn: number;
  dueAt: number;
  inFlight: boolean;
  readonly since: number;
}

export interface GreeterDeps {
  readonly lobby: LobbyAsker;
  readonly discovery: LobbySightings;
  /** Lobbies given by hand, for networks without multicast. */
  readonly staticPeers: () => readonly { readonly address: string; readonly port: number }[];
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** Milliseconds until a neighbour that answered is greeted again. */
  readonly pace: (neighbour: Neighbour, tracked: number) => number;
  /** The set of neighbours, or what one of them says, has changed or was confirmed. */
  readonly onAnswer: () => void;
}

/** Most lobbies and neighbours that are tracked; more are counted and left out. */
export const maxTracked = 256;
/** Most of them known only because they knocked: strangers must not crowd out those that mDNS names. */
const maxKnockers = 64;
const greetedAtOnce = 8;
const longestFirstDelayMs = 100;
/** A sighted lobby holds up a founding for so long at most. */
const untriedMs = 10_000;
const forgetMs = 60_000;
const retriesMs = [500, 1_000, 2_000, 5_000, 15_000, 30_000];

/** Greets every sighted lobby again and again, and keeps what they answer. */
export class Greeter {
  readonly #self: PeerId;
  readonly #ownPort: () => number | null;
  readonly #deps: GreeterDeps;
  readonly #targets = new Map<string, Target>();
  readonly #neighbours = new Map<PeerId, Neighbour>();
  readonly #running = new Set<Promise<void>>();
  #abort = new AbortController();
  #unsubscribe: (() => void)[] = [];
  #cancelTimer: (() => void) | null = null;
  #started = false;
  #sightedAt: number | null = null;
  /** Lobbies and knockers left out because too many are tracked, and answers that made no sense. */
  readonly counters = { leftOut: 0, malformed: 0 };

  constructor(options: { self: PeerId; ownPort: () => number | null }, deps: GreeterDeps) {
    this.#self = options.self;
    this.#ownPort = options.ownPort;
    this.#deps = deps;
  }

  start(): void {
    this.#started = true;
    this.#abort = new AbortController();
    const { discovery } = this.#deps;
    this.#unsubscribe = (["seen", "changed", "lost"] as const).map((event) =>
      discovery.on(event, (sighting) => {
        if (event === "lost") this.#lose(sighting);
        else this.#sight(sighting);
        this.#schedule();
      }),
    );
    for (const sighting of discovery.sightings()) this.#sight(sighting);
    this.refreshStatic();
  }

  async stop(): Promise<void> {
    this.#started = false;
    for (const off of this.#unsubscribe) off();
    this.#cancelTimer?.();
    this.#abort.abort();
    await Promise.allSettled(this.#running);
    this.#targets.clear();
  }

  neighbours(): readonly Neighbour[] {
    return [...this.#neighbours.values()];
  }

  neighbour(peer: PeerId): Neighbour | undefined {
    return this.#neighbours.get(peer);
  }

  /** When the first lobby was sighted by mDNS, or knocked; null while none was. */
  get sightedAt(): number | null {
    return this.#sightedAt;
  }

  /** Sighted lobbies that neither answered nor failed twice yet. */
  untried(): number {
    const now = this.#deps.clock.now();
    return [...this.#targets.values()].filter(
      (target) =>
        target.peer === null &&
        target.failures < 2 &&
        now - target.since < untriedMs &&
        target.hint !== this.#self,
    ).length;
  }

  /** Take the static addresses anew. */
  refreshStatic(): void {
    const wanted = new Set<string>();
    for (const { address, port } of this.#deps.staticPeers()) {
      const key = `static:${address}:${port}`;
      wanted.add(key);
      this.#track(key, [address], port, null, "");
    }
    for (const key of this.#targets.keys()) {
      if (key.startsWith("static:") && !wanted.has(key)) this.#targets.delete(key);
    }
    this.#schedule();
  }

  /** Someone greeted us: greet back unless it is known already, for multicast may work one way only. */
  knocked({ peer, address }: Knocker, port: number): void {
    if (peer === this.#self) return;
    const known = [...this.#targets.values()].find((target) => target.peer === peer || target.hint === peer);
    if (known === undefined) this.#track(`knock:${peer}`, [address], port, peer, "");
    else if (!known.inFlight && known.failures > 0) known.dueAt = this.#deps.clock.now();
    this.#schedule();
  }

  /** Greet one neighbour now: something about it is to be known soon. */
  hurry(peer: PeerId): void {
    for (const target of this.#targets.values()) {
      if (target.peer === peer) target.dueAt = Math.min(target.dueAt, this.#deps.clock.now());
    }
    this.#schedule();
  }

  #sight({ instance, addresses, port, txt }: LobbySighting): void {
    const hint = isPeerId(txt.id) ? txt.id : null;
    if (hint === this.#self || addresses.length === 0) return;
    for (const [key, target] of this.#targets) {
      if (key.startsWith("knock:") && target.hint === hint && hint !== null) this.#targets.delete(key);
    }
    this.#track(`mdns:${instance}`, addresses, port, hint, JSON.stringify(txt));
  }

  #track(key: string, addresses: readonly string[], port: number, hint: PeerId | null, txt: string): void {
    const now = this.#deps.clock.now();
    if (!key.startsWith("static:")) this.#sightedAt ??= now;
    const sorted = [...addresses].sort(compareForDialling);
    const known = this.#targets.get(key);
    if (known !== undefined) {
      const changed = known.txt !== txt || known.port !== port || known.addresses.join() !== sorted.join();
      Object.assign(known, { addresses: sorted, port, hint, txt });
      if (changed) known.dueAt = Math.min(known.dueAt, now + this.#deps.random() * longestFirstDelayMs);
      return;
    }
    const knockers = [...this.#targets.keys()].filter((one) => one.startsWith("knock:")).length;
    if (this.#targets.size >= maxTracked || (key.startsWith("knock:") && knockers >= maxKnockers)) {
      this.counters.leftOut += 1;
      return;
    }
    this.#targets.set(key, {
      key,
      addresses: sorted,
      port,
      hint,
      txt,
      peer: null,
      failures: 0,
      turn: 0,
      // A little apart, or every node of a rack that boots knocks at the same door at once.
      dueAt: now + this.#deps.random() * longestFirstDelayMs,
      inFlight: false,
      since: now,
    });
  }

  /** A goodbye is a hint too: ask at once, and believe the silence that follows. */
  #lose({ instance }: LobbySighting): void {
    const target = this.#targets.get(`mdns:${instance}`);
    if (target === undefined) return;
    if (target.peer === null) this.#targets.delete(target.key);
    else target.dueAt = this.#deps.clock.now();
  }

  #schedule(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    if (!this.#started) return;
    const now = this.#deps.clock.now();
    let next = Number.POSITIVE_INFINITY;
    for (const target of [...this.#targets.values()].sort((a, b) => a.dueAt - b.dueAt)) {
      if (target.inFlight) continue;
      if (this.#running.size >= greetedAtOnce) break;
      if (target.dueAt <= now) this.#greet(target);
      else next = Math.min(next, target.dueAt);
    }
    if (next < Number.POSITIVE_INFINITY && this.#running.size < greetedAtOnce) {
      this.#cancelTimer = this.#deps.clock.after(next - now, () => this.#schedule());
    }
  }

  #greet(target: Target): void {
    target.inFlight = true;
    const address = target.addresses[target.turn % target.addresses.length] ?? "";
    const { port } = target;
    const run = async (): Promise<void> => {
      try {
        const { peer, reply } = await this.#deps.lobby.ask({ address, port }, this.#hello(), {
          deadlineMs: protocolTimes.askMs,
          signal: this.#abort.signal,
        });
        this.#answered(target, address, port, peer, reply);
      } catch (error) {
        this.#failed(target, messageOf(error));
      } finally {
        target.inFlight = false;
      }
    };
    const promise = run().finally(() => {
      this.#running.delete(promise);
      if (!this.#started) return;
      this.#forget();
      this.#deps.onAnswer();
      this.#schedule();
    });
    this.#running.add(promise);
  }

  #hello(): Json {
    const port = this.#ownPort();
    return { v: lobbyVersion, kind: "hello", ...(port === null ? {} : { port }) };
  }

  #answered(target: Target, address: string, port: number, peer: PeerId, reply: Json): void {
    const now = this.#deps.clock.now();
    if (peer === this.#self) {
      target.peer = peer;
      target.dueAt = now + forgetMs;
      return;
    }
    const parsed = greetingSchema.safeParse(reply);
    if (!parsed.success || parsed.data.id !== peer) {
      this.counters.malformed += 1;
      this.#failed(target, "its greeting makes no sense");
      return;
    }
    const known = this.#neighbours.get(peer);
    if (known === undefined && this.#neighbours.size >= maxTracked) {
      this.counters.leftOut += 1;
      target.dueAt = now + forgetMs;
      return;
    }
    Object.assign(target, { peer, failures: 0 });
    const neighbour: Neighbour = {
      peer,
      address,
      port,
      greeting: parsed.data,
      certificate: provenCertificate(known, parsed.data, peer),
      firstSeen: known?.firstSeen ?? now,
      answeredAt: now,
      failures: 0,
    };
    this.#neighbours.set(peer, neighbour);
    const pace = this.#deps.pace(neighbour, this.#targets.size);
    target.dueAt = now + pace * (0.9 + 0.2 * this.#deps.random());
  }

  #failed(target: Target, reason: string): void {
    const { clock, log, random } = this.#deps;
    const pause = retriesMs[Math.min(target.failures, retriesMs.length - 1)] ?? 0;
    target.failures += 1;
    target.turn += 1;
    target.dueAt = clock.now() + pause * (0.8 + 0.4 * random());
    log.debug({ target: target.key, reason }, "a lobby does not answer");
    const known = target.peer === null ? undefined : this.#neighbours.get(target.peer);
    if (known !== undefined) this.#neighbours.set(known.peer, { ...known, failures: known.failures + 1 });
  }

  #forget(): void {
    const { clock, discovery } = this.#deps;
    const now = clock.now();
    for (const [peer, { answeredAt }] of this.#neighbours) {
      if (now - answeredAt > forgetMs) this.#neighbours.delete(peer);
    }
    const announced = new Set(discovery.sightings().map(({ instance }) => `mdns:${instance}`));
    for (const [key, { failures, inFlight }] of this.#targets) {
      if (failures < 3 || inFlight || key.startsWith("static:") || announced.has(key)) continue;
      this.#targets.delete(key);
    }
  }
}

/** Verify the certificate of a greeting; one that was verified before is known by its signature. */
function provenCertificate(
  known: Neighbour | undefined,
  { state, certificate }: Greeting,
  peer: PeerId,
): MemberCertificate | null {
  if (state !== "member" || certificate === null) return null;
  const before = known?.certificate;
  if (before != null && JSON.stringify(before) === JSON.stringify(certificate)) return before;
  return verifyCertificate(certificate, { peer }) ?? null;
}
