import type { PeerId } from "../../../src/ids/ids.ts";
import { LinkHealth } from "../../../src/mesh/host/link-health.ts";
import { redialDelayMs } from "../../../src/mesh/host/redial.ts";
import type { Random, VirtualProcess, VirtualTime } from "../../support/virtual-time.ts";
import { idOf } from "./documents.ts";
import type { Traffic, Wire } from "./wire.ts";

/** One end of a connection. */
interface Side {
  readonly self: number;
  readonly peer: number;
  readonly dialled: boolean;
  readonly health: LinkHealth;
  readonly since: number;
  other: Side | undefined;
  open: boolean;
  /** When the last segment sent here arrives there: TCP keeps the order. */
  sentUntil: number;
  /** When the last one arrives that has to be sent again: what follows waits for it. */
  retriedUntil: number;
}

interface Target {
  failures: number;
  upSince: number | undefined;
  cancel: () => void;
}

export interface LinkNode {
  readonly index: number;
  process: VirtualProcess;
  /** Its machine has power, whatever runs on it. */
  powered: boolean;
}

export interface LinkEvents {
  connection(self: number, peer: number, up: boolean): void;
  heard(self: number, peer: number): void;
}

/** As in `src/mesh/host`: pulses, dials and their pauses. */
const pulseMs = 1_000;
const courtesyMs = 250;
const settledMs = 5_000;
const unsettledFailures = 3;
const dialMs = 4_000;
/** Packets and bytes of TCP, Noise, yamux and identify before a connection counts. */
const handshake = { messages: 12, bytes: 3_500 };
const synRetryMs = 1_000;

/**
 * The connections between members: the real rules by which a silent one is cut and a lost one dialled again,
 * on simulated TCP.
 */
export class SimLinks {
  readonly #time: VirtualTime;
  readonly #wire: Wire;
  readonly #random: Random;
  readonly #nodes: readonly LinkNode[];
  readonly #events: LinkEvents;
  readonly #sides: Map<number, Side>[];
  readonly #targets: Map<number, Target>[];
  readonly #peers: (number[] | undefined)[];
  readonly #peerIds: (PeerId[] | undefined)[];

  constructor(
    nodes: readonly LinkNode[],
    deps: { time: VirtualTime; wire: Wire; random: Random; events: LinkEvents },
  ) {
    this.#nodes = nodes;
    this.#time = deps.time;
    this.#wire = deps.wire;
    this.#random = deps.random;
    this.#events = deps.events;
    this.#sides = nodes.map(() => new Map());
    this.#targets = nodes.map(() => new Map());
    this.#peers = nodes.map(() => undefined);
    this.#peerIds = nodes.map(() => undefined);
  }

  peers(self: number): readonly number[] {
    this.#peers[self] ??= [...this.#of(self).keys()].sort((a, b) => a - b);
    return this.#peers[self];
  }

  peerIds(self: number): readonly PeerId[] {
    this.#peerIds[self] ??= this.peers(self).map(idOf);
    return this.#peerIds[self];
  }

  /** The node has started. */
  start(self: number): void {
    this.#targetsOf(self).clear();
    const { process } = this.#node(self);
    const pulse = (): void => {
      this.#pulse(self);
      this.#time.after(pulseMs, process, pulse);
    };
    this.#time.after(this.#random.next() * pulseMs, process, pulse);
  }

  /** The node keeps a connection to each of these from now on, and cuts others that it dialled. */
  want(self: number, peers: readonly number[]): void {
    const targets = this.#targetsOf(self);
    const wanted = new Set(peers);
    for (const [peer, { cancel }] of [...targets]) {
      if (wanted.has(peer)) continue;
      cancel();
      targets.delete(peer);
      const side = this.#of(self).get(peer);
      if (side?.dialled) this.#close(side);
    }
    for (const peer of peers) {
      if (targets.has(peer)) continue;
      targets.set(peer, { failures: 0, upSince: undefined, cancel: () => undefined });
      const courtesy = self < peer ? 0 : courtesyMs;
      this.#dialLater(self, peer, courtesy + this.#random.next() * 50);
    }
  }

  /** Its process has ended. killed: its kernel closes the connections; else there is only silence. */
  end(self: number, killed: boolean): void {
    for (const side of [...this.#of(self).values()]) {
      side.open = false;
      if (killed) this.#sendEnd(side);
    }
    this.#of(self).clear();
    this.#forgetPeers(self);
  }

  /** Over the connection that is there; false: there is none. */
  send(from: number, to: number, traffic: Traffic, bytes: number, arrived: () => void): boolean {
    const side = this.#of(from).get(to);
    if (side === undefined) return false;
    this.#wire.count(from, traffic, bytes);
    this.#transmit(side, arrived);
    return true;
  }

  #transmit(side: Side, arrived: () => void): void {
    const { other } = side;
    const now = this.#time.now();
    if (other === undefined || !this.#node(side.peer).powered) return;
    const arrival = this.#wire.segment(side.self, side.peer, now);
    if (arrival === undefined) {
      // Nothing that is sent later can overtake it any more: all of it is silence.
      side.sentUntil = Number.POSITIVE_INFINITY;
      return;
    }
    side.sentUntil = Math.max(side.sentUntil, now + arrival.ms);
    if (side.sentUntil === Number.POSITIVE_INFINITY) return;
    if (arrival.retried) side.retriedUntil = side.sentUntil;
    const needsRetry = side.sentUntil <= side.retriedUntil;
    this.#time.after(side.sentUntil - now, this.#node(side.peer).process, () => {
      // Without power nothing is sent again.
      if (needsRetry && !this.#node(side.self).powered) return;
      if (other.open) arrived();
    });
  }

  #pulse(self: number): void {
    for (const side of [...this.#of(self).values()]) {
      this.#wire.count(self, "pulse", 1);
      const { other } = side;
      this.#transmit(side, () => {
        other?.health.heard();
        this.#events.heard(side.peer, self);
      });
      if (side.health.tick()) this.#close(side);
    }
  }

  #close(side: Side): void {
    if (!side.open) return;
    side.open = false;
    this.#sendEnd(side);
    this.#lost(side);
  }

  #sendEnd(side: Side): void {
    const { other } = side;
    if (other === undefined) return;
    this.#transmit(side, () => {
      other.open = false;
      this.#lost(other);
    });
  }

  #lost({ self, peer, since }: Side): void {
    this.#of(self).delete(peer);
    this.#forgetPeers(self);
    this.#events.connection(self, peer, false);
    const target = this.#targetsOf(self).get(peer);
    if (target === undefined) return;
    const lasted = this.#time.now() - since;
    target.failures = lasted >= settledMs ? 0 : Math.min(target.failures, unsettledFailures);
    this.#dialLater(self, peer, redialDelayMs(target.failures, this.#random.next()));
  }

  #dialLater(self: number, peer: number, ms: number): void {
    const target = this.#targetsOf(self).get(peer);
    if (target === undefined) return;
    target.cancel();
    target.cancel = this.#time.timer(ms, this.#node(self).process, () => this.#dial(self, peer, target));
  }

  #dial(self: number, peer: number, target: Target): void {
    if (this.#of(self).has(peer)) return;
    const from = this.#node(self).process;
    const to = this.#node(peer);
    const fail = (): void => {
      target.failures += 1;
      this.#dialLater(self, peer, redialDelayMs(target.failures, this.#random.next()));
    };
    const ms = this.#handshakeMs(self, peer);
    if (ms === undefined || ms > dialMs) {
      this.#wire.count(self, "dial", 40, 3);
      target.cancel = this.#time.timer(dialMs, from, fail);
      return;
    }
    const { process } = to;
    target.cancel = this.#time.timer(ms, from, () => {
      if (this.#of(self).has(peer)) return;
      // Refused by the kernel, or nobody answers the handshake.
      if (!process.alive || !to.powered) return fail();
      if (process.paused) {
        target.cancel = this.#time.timer(Math.max(0, dialMs - ms), from, fail);
        return;
      }
      this.#connect(self, peer);
    });
  }

  #handshakeMs(self: number, peer: number): number | undefined {
    if (!this.#node(peer).powered) return undefined;
    const now = this.#time.now();
    let total = this.#wire.segment(self, peer, now, synRetryMs)?.ms;
    for (const [from, to] of [
      [peer, self],
      [self, peer],
      [peer, self],
    ] as const) {
      if (total === undefined) return undefined;
      const more: number | undefined = this.#wire.segment(from, to, now + total)?.ms;
      total = more === undefined ? undefined : total + more;
    }
    return total === undefined ? undefined : total + 8;
  }

  #connect(self: number, peer: number): void {
    this.#wire.count(self, "dial", handshake.bytes, handshake.messages);
    const since = this.#time.now();
    const side = (a: number, b: number): Side => ({
      self: a,
      peer: b,
      dialled: a === self,
      health: new LinkHealth(),
      since,
      other: undefined,
      open: true,
      sentUntil: 0,
      retriedUntil: 0,
    });
    const near = side(self, peer);
    const far = side(peer, self);
    near.other = far;
    far.other = near;
    // What was left of an earlier one on the other side is only noticed now.
    const stale = this.#of(peer).get(self);
    if (stale !== undefined) stale.open = false;
    for (const one of [near, far]) {
      this.#of(one.self).set(one.peer, one);
      this.#forgetPeers(one.self);
      this.#targetsOf(one.self).get(one.peer)?.cancel();
    }
    this.#events.connection(self, peer, true);
    this.#time.after(this.#wire.latency(), this.#node(peer).process, () => {
      if (far.open) this.#events.connection(peer, self, true);
    });
  }

  #forgetPeers(self: number): void {
    this.#peers[self] = undefined;
    this.#peerIds[self] = undefined;
  }

  #node(index: number): LinkNode {
    const node = this.#nodes[index];
    if (node === undefined) throw new RangeError(`no node ${index}`);
    return node;
  }

  #of(index: number): Map<number, Side> {
    const sides = this.#sides[index];
    if (sides === undefined) throw new RangeError(`no node ${index}`);
    return sides;
  }

  #targetsOf(index: number): Map<number, Target> {
    const targets = this.#targets[index];
    if (targets === undefined) throw new RangeError(`no node ${index}`);
    return targets;
  }
}
