import type { PeerId } from "../../../src/ids/ids.ts";
import {
  type PresenceChange,
  PresenceCore,
  type PresenceTimings,
  timingsFor,
} from "../../../src/mesh/presence/presence-core.ts";
import type { VirtualProcess, VirtualTime } from "../../support/virtual-time.ts";

export interface PresenceDriverDeps {
  readonly time: VirtualTime;
  readonly process: VirtualProcess;
  /** The node's own wall clock. */
  readonly now: () => number;
  readonly self: PeerId;
  readonly connected: () => readonly PeerId[];
  readonly send: (to: PeerId, bytes: number, arrived: (there: PresenceDriver) => void) => boolean;
  readonly onChange: (changes: readonly PresenceChange[]) => void;
}

interface Ping {
  readonly at: number;
  answered: boolean;
  readonly waiting: ((answered: boolean) => void)[];
}

const intervalMs = 1_000;
/** JSON of a ping, its answer, a question to a witness and its answer, each in a stream of its own. */
const bytes = { ping: 250, pong: 140, ask: 270, testimony: 110 } as const;

/** The real core of presence, and around it what `presence.ts` does, without promises. */
export class PresenceDriver {
  readonly core: PresenceCore;
  readonly incarnation: string;
  readonly #deps: PresenceDriverDeps;
  readonly #pings = new Map<PeerId, Ping>();

  constructor(
    deps: PresenceDriverDeps,
    { incarnation, ...timings }: { readonly incarnation: string } & Partial<PresenceTimings>,
  ) {
    this.#deps = deps;
    this.incarnation = incarnation;
    this.core = new PresenceCore({ ...timingsFor(intervalMs), ...timings });
  }

  start(members: readonly PeerId[], afterMs: number): void {
    const { self, time, process } = this.#deps;
    this.core.setMembers(
      members.filter((peer) => peer !== self),
      this.#deps.now(),
    );
    const tick = (): void => {
      this.#tick();
      time.after(intervalMs / 4, process, tick);
    };
    time.after(afterMs, process, tick);
  }

  connection(peer: PeerId, up: boolean): void {
    if (up && this.core.has(peer)) this.#ping(peer);
  }

  heard(peer: PeerId): void {
    this.#tell(this.core.heard(peer, this.#deps.now()));
  }

  #tick(): void {
    const { now, connected, onChange } = this.#deps;
    const at = now();
    const { changes, calls } = this.core.tick(at);
    if (changes.length > 0) onChange(changes);
    for (const { about, witnesses } of calls) for (const witness of witnesses) this.#ask(witness, about);
    for (const peer of connected()) if (this.core.has(peer) && this.#isDue(peer, at)) this.#ping(peer);
  }

  #isDue(peer: PeerId, at: number): boolean {
    return Math.abs(at - (this.#pings.get(peer)?.at ?? 0)) > 0.875 * intervalMs;
  }

  #ping(peer: PeerId): Ping {
    const { now, send, self } = this.#deps;
    const last = this.#pings.get(peer);
    if (last !== undefined && !this.#isDue(peer, now())) return last;
    const ping: Ping = { at: now(), answered: false, waiting: [] };
    this.#pings.set(peer, ping);
    send(peer, bytes.ping, (there) => {
      there.#seen(self, this.incarnation);
      there.#deps.send(self, bytes.pong, () => {
        this.#seen(peer, there.incarnation);
        ping.answered = true;
        for (const wait of ping.waiting.splice(0)) wait(true);
      });
    });
    return ping;
  }

  #ask(witness: PeerId, about: PeerId): void {
    const { self, send, time } = this.#deps;
    const askedAt = time.now();
    send(witness, bytes.ask, (there) => {
      there.#testify(about, (reached) => {
        there.#deps.send(self, bytes.testimony, () => {
          // A later one is not waited for.
          if (time.now() - askedAt <= 1.5 * intervalMs) this.core.witnessed(about, witness, reached);
        });
      });
    });
  }

  #testify(about: PeerId, answer: (reached: boolean) => void): void {
    const known = this.#reached(about);
    if (known !== undefined) {
      answer(known);
      return;
    }
    const ping = this.#ping(about);
    let told = false;
    const once = (reached: boolean): void => {
      if (told) return;
      told = true;
      answer(reached);
    };
    if (ping.answered) once(true);
    ping.waiting.push(once);
    this.#deps.time.after(2.5 * intervalMs, this.#deps.process, () => once(false));
  }

  /** What it can say without a ping. */
  #reached(about: PeerId): boolean | undefined {
    const { self, now, connected } = this.#deps;
    if (about === self) return true;
    const entry = this.core.view().get(about);
    if (entry === undefined) return false;
    const fresh = entry.lastSeen !== null && now() - entry.lastSeen < 1.5 * intervalMs;
    if (fresh && entry.state === "alive") return true;
    // A request to one that is not connected fails at once.
    return connected().includes(about) ? undefined : false;
  }

  #seen(peer: PeerId, incarnation: string): void {
    this.#tell(this.core.seen(peer, incarnation, this.#deps.now()));
  }

  #tell(changes: readonly PresenceChange[]): void {
    if (changes.length > 0) this.#deps.onChange(changes);
  }
}
