import type { PeerId } from "../../ids/ids.ts";

/**
 * alive: it answers. suspect: it does not, or has not since this node started. failed: others don't reach it
 * either. left: it said goodbye.
 */
export type PresenceState = "alive" | "suspect" | "failed" | "left";

export interface PresenceEntry {
  readonly state: PresenceState;
  /** When the state began, milliseconds since the epoch. */
  readonly since: number;
  /** Its last sign of life, milliseconds since the epoch; null: none since this node started. */
  readonly lastSeen: number | null;
}

export interface PresenceChange {
  readonly peer: PeerId;
  readonly from: PresenceState;
  readonly to: PresenceState;
  readonly reason: string;
}

/** Ask these members whether they reach `about`. */
export interface WitnessCall {
  readonly about: PeerId;
  readonly witnesses: readonly PeerId[];
}

/**
 * All in milliseconds of this node's own waking time. `voteMs` is shorter than `failedMs`, so what witnesses
 * said before the last sign of life never counts.
 */
export interface PresenceTimings {
  /** Silence until a member is suspect: two pings and a bit. */
  readonly suspectMs: number;
  /** Silence until it may be failed: long enough for two rounds of witnesses and a quick restart. */
  readonly failedMs: number;
  /**
   * The same where this node's own word alone decides, because nobody is left to ask, and for a member that has
   * not been seen since this node started: all may be booting.
   */
  readonly aloneMs: number;
  /** Age up to which a witness's word counts. */
  readonly voteMs: number;
  /** Time between two rounds of witnesses. */
  readonly askMs: number;
  /** Time between ticks. More than twice of it means that this node slept, was stopped, or gets no CPU. */
  readonly tickMs: number;
}

export function timingsFor(intervalMs: number): PresenceTimings {
  return {
    suspectMs: 2.2 * intervalMs,
    failedMs: 5 * intervalMs,
    aloneMs: 8 * intervalMs,
    voteMs: 3 * intervalMs,
    askMs: intervalMs,
    tickMs: 0.25 * intervalMs,
  };
}

interface Vote {
  readonly reached: boolean;
  /** Waking clock. */
  readonly at: number;
}

interface Member {
  state: PresenceState;
  since: number;
  lastSeen: number | null;
  /** Waking clock: its last sign of life, or when it became known. */
  quietSince: number;
  askedAt: number;
  /** Start of the rotation among witnesses. */
  round: number;
  leftIncarnation: string | undefined;
  readonly votes: Map<PeerId, Vote>;
}

const witnessesNeeded = 2;
const witnessesAsked = 3;

/**
 * Who of the members is there: a core without clock or network. Silence is measured on a waking clock that
 * stands still while this node does and is slow while this node is: what it missed meanwhile is nobody's fault.
 */
export class PresenceCore {
  readonly #timings: PresenceTimings;
  readonly #members = new Map<PeerId, Member>();
  #awake = 0;
  #tickedAt: number | undefined;

  constructor(timings: PresenceTimings) {
    this.#timings = timings;
  }

  /** New ones begin as suspect: nothing is known of them. */
  setMembers(peers: Iterable<PeerId>, now: number): void {
    const named = new Set(peers);
    for (const peer of this.#members.keys()) if (!named.has(peer)) this.#members.delete(peer);
    for (const peer of named) {
      if (this.#members.has(peer)) continue;
      this.#members.set(peer, {
        state: "suspect",
        since: now,
        lastSeen: null,
        quietSince: this.#awake,
        askedAt: Number.NEGATIVE_INFINITY,
        round: 0,
        leftIncarnation: undefined,
        votes: new Map(),
      });
    }
  }

  has(peer: PeerId): boolean {
    return this.#members.has(peer);
  }

  view(): Map<PeerId, PresenceEntry> {
    const entry = ({ state, since, lastSeen }: Member): PresenceEntry => ({ state, since, lastSeen });
    return new Map([...this.#members].map(([peer, member]) => [peer, entry(member)]));
  }

  /** A sign of life from the peer itself. One of a run that said goodbye is late mail and is ignored. */
  seen(peer: PeerId, incarnation: string, now: number): PresenceChange[] {
    const member = this.#members.get(peer);
    if (member === undefined || member.leftIncarnation === incarnation) return [];
    member.leftIncarnation = undefined;
    return this.#alive(peer, member, now);
  }

  /** A sign of life that doesn't tell of which run it is: nothing new of one that said goodbye. */
  heard(peer: PeerId, now: number): PresenceChange[] {
    const member = this.#members.get(peer);
    return member === undefined || member.state === "left" ? [] : this.#alive(peer, member, now);
  }

  /** The peer said goodbye. */
  left(peer: PeerId, incarnation: string, now: number): PresenceChange[] {
    const member = this.#members.get(peer);
    if (member === undefined) return [];
    member.lastSeen = now;
    member.leftIncarnation = incarnation;
    return this.#enter(peer, member, "left", now, "it said goodbye");
  }

  /** A witness told whether it reaches the peer. One that doesn't answer tells nothing. */
  witnessed(about: PeerId, witness: PeerId, reached: boolean): void {
    this.#members.get(about)?.votes.set(witness, { reached, at: this.#awake });
  }

  /** A moment went by. */
  tick(now: number): { changes: PresenceChange[]; calls: WitnessCall[] } {
    const elapsed = Math.max(0, now - (this.#tickedAt ?? now));
    this.#tickedAt = now;
    const { tickMs } = this.#timings;
    this.#awake += elapsed <= 2 * tickMs ? elapsed : tickMs;
    const changes: PresenceChange[] = [];
    const calls: WitnessCall[] = [];
    for (const [peer, member] of this.#members) {
      if (member.state !== "alive" || this.#silence(member) < this.#timings.suspectMs) continue;
      changes.push(...this.#enter(peer, member, "suspect", now, "it does not answer"));
    }
    // After all silent ones are suspect: they are no witnesses.
    const alive = [...this.#members].filter(([, { state }]) => state === "alive").map(([peer]) => peer);
    for (const [peer, member] of this.#members) {
      if (member.state !== "suspect" || this.#silence(member) < this.#timings.suspectMs) continue;
      const reason = this.#verdict(member, alive.length);
      if (reason !== undefined) changes.push(...this.#enter(peer, member, "failed", now, reason));
      else calls.push(...this.#call(peer, member, alive));
    }
    return { changes, calls };
  }

  #silence(member: Member): number {
    return this.#awake - member.quietSince;
  }

  #alive(peer: PeerId, member: Member, now: number): PresenceChange[] {
    member.lastSeen = now;
    member.quietSince = this.#awake;
    return this.#enter(peer, member, "alive", now, "it answers");
  }

  /** Why a suspect has failed, or undefined while that is open. */
  #verdict(member: Member, possibleWitnesses: number): string | undefined {
    const { failedMs, aloneMs, voteMs } = this.#timings;
    const votes = [...member.votes.values()].filter(({ at }) => this.#awake - at <= voteMs);
    if (votes.some(({ reached }) => reached)) return undefined;
    if (votes.length < Math.min(witnessesNeeded, possibleWitnesses)) return undefined;
    const needed = member.lastSeen === null || votes.length === 0 ? aloneMs : failedMs;
    if (this.#silence(member) < needed) return undefined;
    return votes.length === 0 ? "nobody is left to ask" : `${votes.length} others do not reach it either`;
  }

  #call(about: PeerId, member: Member, alive: readonly PeerId[]): WitnessCall[] {
    if (alive.length === 0 || this.#awake - member.askedAt < this.#timings.askMs) return [];
    member.askedAt = this.#awake;
    const start = member.round % alive.length;
    member.round += 1;
    const witnesses = [...alive.slice(start), ...alive.slice(0, start)].slice(0, witnessesAsked);
    return [{ about, witnesses }];
  }

  #enter(peer: PeerId, member: Member, to: PresenceState, now: number, reason: string): PresenceChange[] {
    const from = member.state;
    if (from === to) return [];
    member.state = to;
    member.since = now;
    return [{ peer, from, to, reason }];
  }
}
