import type { PeerId } from "../../../src/ids/ids.ts";
import type { Overlay } from "../../../src/mesh/overlay/overlay.ts";
import { routesTo } from "../../../src/mesh/overlay/routes.ts";
import type { LocalHealth } from "../../../src/mesh/presence/local-health.ts";
import {
  type PresenceChange,
  PresenceCore,
  type PresenceTimings,
  type Testimony,
  timingsFor,
} from "../../../src/mesh/presence/presence-core.ts";
import type { Rumour } from "../../../src/mesh/presence/rumour.ts";
import type { Random, VirtualProcess, VirtualTime } from "../../support/virtual-time.ts";

export interface PresenceDriverDeps {
  readonly time: VirtualTime;
  readonly process: VirtualProcess;
  readonly random: Random;
  /** The node's own wall clock. */
  readonly now: () => number;
  readonly self: PeerId;
  readonly connected: () => readonly PeerId[];
  /** Over these links, one after the other; nothing arrives where one is missing. */
  readonly send: (way: readonly PeerId[], bytes: number, arrived: (there: PresenceDriver) => void) => void;
  readonly publish: (rumour: Rumour, bytes: number) => void;
  readonly onChange: (changes: readonly PresenceChange[]) => void;
}

/** What a test changes: times, and what the node makes of its own lateness. */
export interface PresenceChanges {
  readonly timings?: Partial<PresenceTimings>;
  readonly health?: () => LocalHealth;
  /** Never answers that it is there. */
  readonly isMute?: boolean;
  readonly asksNobody?: boolean;
}

const intervalMs = 1_000;
const compareEvery = 10;
/** JSON of a ping, its answer, a question to a witness and its answer, each in a stream of its own. */
const bytes = {
  ping: 250,
  pong: 140,
  ask: 270,
  testimony: 110,
  compare: 480,
  records: 90,
  record: 160,
} as const;
/** What a relay adds: author, target, way, nonce and signature; and of the answer the signature. */
const relayedBytes = 420;

/** The real core of presence, and around it what `presence.ts` does, without promises. */
export class PresenceDriver {
  readonly core: PresenceCore;
  readonly #deps: PresenceDriverDeps;
  readonly #changes: PresenceChanges;
  readonly #pinged = new Map<PeerId, number>();
  #overlay: Overlay | undefined;
  #comparedAt = 0;

  constructor(deps: PresenceDriverDeps, incarnation: number, changes: PresenceChanges = {}) {
    this.#deps = deps;
    this.#changes = changes;
    const timings = { ...timingsFor(intervalMs), ...changes.timings };
    this.core = new PresenceCore(timings, { peer: deps.self, incarnation }, changes.health?.());
  }

  start(members: readonly PeerId[], afterMs: number): void {
    const { time, process, now } = this.#deps;
    this.core.setMembers(members, now());
    const tick = (): void => {
      this.#tick();
      time.after(intervalMs / 4, process, tick);
    };
    time.after(afterMs, process, tick);
  }

  setOverlay(overlay: Overlay): void {
    this.#overlay = overlay;
    const { self, now } = this.#deps;
    const watch = { peers: overlay.watchers(self), watchersOf: (other: PeerId) => overlay.watchers(other) };
    this.#tell(this.core.watch(overlay.full ? undefined : watch, now()));
  }

  connection(peer: PeerId, up: boolean): void {
    if (up && this.core.isWatched(peer)) this.#ping(peer);
  }

  heard(peer: PeerId): void {
    this.#tell(this.core.heard(peer, this.#deps.now()));
  }

  hear(rumour: Rumour, by: PeerId): void {
    if (this.#changes.isMute && rumour.peer === this.#deps.self) return;
    this.#tell(this.core.hear(rumour, by, this.#deps.now()));
  }

  #tick(): void {
    const at = this.#deps.now();
    const { changes, calls } = this.core.tick(at);
    this.#tell(changes);
    if (!this.#changes.asksNobody) {
      for (const { about, witnesses } of calls) for (const witness of witnesses) this.#ask(witness, about);
    }
    for (const peer of this.#deps.connected()) if (this.core.isWatched(peer)) this.#ping(peer);
    this.#compare(at);
  }

  #ping(peer: PeerId): void {
    const { now, send, self } = this.#deps;
    const at = now();
    if (Math.abs(at - (this.#pinged.get(peer) ?? 0)) <= 0.875 * intervalMs) return;
    this.#pinged.set(peer, at);
    const { incarnation } = this.core;
    const accused = this.core.accusation(peer);
    send([peer], bytes.ping, (there) => {
      there.#seen(self, incarnation, accused);
      const pong = { incarnation: there.core.incarnation, accused: there.core.accusation(self) };
      there.#deps.send([self], bytes.pong, () => this.#seen(peer, pong.incarnation, pong.accused));
    });
  }

  #seen(peer: PeerId, incarnation: number, accused: number | undefined): void {
    if (accused !== undefined && !this.#changes.isMute) this.core.accused(accused);
    this.#tell(this.core.seen(peer, incarnation, this.#deps.now()));
  }

  #ask(witness: PeerId, about: PeerId): void {
    const { time, process } = this.#deps;
    let isOpen = true;
    const close = (testimony: Testimony | "silent"): void => {
      if (!isOpen) return;
      isOpen = false;
      if (testimony === "silent") this.core.witnessSilent();
      else this.core.witnessed(about, witness, testimony);
    };
    const way = this.#wayTo(witness);
    // As a request to one that neither has a link nor can be reached over others does.
    if (way === undefined) {
      close("silent");
      return;
    }
    const extra = way.length > 1 ? relayedBytes : 0;
    this.#deps.send(way, bytes.ask + extra, (there) => {
      const testimony = there.core.testify(about);
      const back = [...way.slice(0, -1).reverse(), this.#deps.self];
      there.#deps.send(back, bytes.testimony + extra / 2, () => close(testimony));
    });
    time.after(1.5 * intervalMs, process, () => close("silent"));
  }

  #wayTo(target: PeerId): readonly PeerId[] | undefined {
    const { self } = this.#deps;
    const connected = this.#deps.connected();
    if (connected.includes(target)) return [target];
    if (this.#overlay === undefined || this.#overlay.full) return undefined;
    const isUp = (peer: PeerId): boolean => this.core.stateOf(peer) === "alive";
    const [route] = routesTo({ overlay: this.#overlay, self, target, connected, isUp }, 1);
    return route === undefined ? undefined : [...route, target];
  }

  #compare(now: number): void {
    if (this.#overlay === undefined || this.#overlay.full) return;
    if (Math.abs(now - this.#comparedAt) < compareEvery * intervalMs) return;
    this.#comparedAt = now;
    const near = this.#deps.connected().filter((other) => this.core.isWatched(other));
    if (near.length === 0) return;
    const from = this.#deps.random.pick(near);
    const digests = this.core.digests();
    this.#deps.send([from], bytes.compare, (there) => {
      const theirs = there.core.digests();
      const parts = theirs.flatMap((digest, part) => (digest === digests[part] ? [] : [part]));
      const records = parts.length === 0 ? [] : there.core.records(new Set(parts));
      there.#deps.send([this.#deps.self], bytes.records + records.length * bytes.record, () => {
        for (const record of records) this.hear(record, from);
      });
    });
  }

  #tell(changes: readonly PresenceChange[]): void {
    if (changes.length > 0) this.#deps.onChange(changes);
    const rumours = this.core.takeRumours();
    if (this.#overlay === undefined || this.#overlay.full) return;
    for (const rumour of rumours) this.#deps.publish(rumour, JSON.stringify(rumour).length);
  }
}
