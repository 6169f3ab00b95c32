import type { PeerId } from "../../ids/ids.ts";
import { hash32 } from "./hash32.ts";
import { Ring } from "./ring.ts";

export interface OverlayOptions {
  /** Up to so many members, this node included, every pair is connected. */
  readonly fullMeshLimit: number;
  /** Above: each member has two neighbours in each of so many rings. */
  readonly rings: number;
}

export const overlayDefaults: OverlayOptions = { fullMeshLimit: 32, rings: 4 };

export interface OverlayFacts {
  /** All members, this node among them. */
  readonly members: readonly PeerId[];
  readonly voters: readonly PeerId[];
  /** Members that are known to have failed or left; not those of whom nothing is known. */
  readonly down: ReadonlySet<PeerId>;
}

const voterSalt = "voter";

/**
 * Who is linked to whom. A function of the same facts everywhere, so each member can tell the links of any
 * other. Few members: every pair. Many: the order of hashed PeerIds makes rings, and each member has the next
 * and the previous one of each ring as neighbours. One ring connects all; several different ones make a random
 * regular graph, which mixes well and in which one member more or less changes a few links only.
 */
export class Overlay {
  readonly members: ReadonlySet<PeerId>;
  readonly voters: ReadonlySet<PeerId>;
  /** Whether every pair is linked. */
  readonly full: boolean;
  readonly #down: ReadonlySet<PeerId>;
  readonly #liveVoters: readonly PeerId[];
  readonly #rings: readonly Ring[];
  readonly #watchers = new Map<PeerId, ReadonlySet<PeerId>>();
  readonly #linked = new Map<PeerId, ReadonlySet<PeerId>>();

  constructor(facts: OverlayFacts, options: OverlayOptions = overlayDefaults) {
    this.members = new Set(facts.members);
    this.voters = new Set(facts.voters.filter((peer) => this.members.has(peer)));
    this.full = this.members.size <= options.fullMeshLimit;
    this.#down = facts.down;
    this.#liveVoters = [...this.voters].filter((peer) => !this.#down.has(peer));
    const salts = Array.from({ length: options.rings }, (_, index) => `ring ${index}`);
    this.#rings = this.full ? [] : salts.map((salt) => new Ring(this.members, salt));
  }

  /**
   * Those that ping a member and are pinged by it: its neighbours in the rings; while one of them is down the
   * next one in that ring besides; and of a voter the other voters. Symmetric.
   */
  watchers(of: PeerId): ReadonlySet<PeerId> {
    const known = this.#watchers.get(of);
    if (known !== undefined) return known;
    const found = this.#findWatchers(of);
    this.#watchers.set(of, found);
    return found;
  }

  /** Those with whom a member keeps a link: its watchers, and a voter. Symmetric. */
  linked(of: PeerId): ReadonlySet<PeerId> {
    const known = this.#linked.get(of);
    if (known !== undefined) return known;
    const found = this.#findLinked(of);
    this.#linked.set(of, found);
    return found;
  }

  /** Whether these two keep a link, without looking at all links of a voter. */
  areLinked(a: PeerId, b: PeerId): boolean {
    if (a === b) return false;
    return this.watchers(a).has(b) || this.homeOf(a) === b || this.homeOf(b) === a;
  }

  /**
   * The voter that a member without a vote keeps a link to: one, as hundreds of links on each voter would be
   * the price of more, and its neighbours mostly have others. While it is down, the next in the member's order.
   */
  homeOf(member: PeerId): PeerId | undefined {
    if (this.full || this.voters.has(member) || !this.members.has(member)) return undefined;
    let best: { voter: PeerId; weight: number } | undefined;
    for (const voter of this.#liveVoters) {
      const weight = hash32(voterSalt, `${member}${voter}`);
      if (best === undefined || weight > best.weight) best = { voter, weight };
    }
    return best?.voter;
  }

  #findWatchers(of: PeerId): ReadonlySet<PeerId> {
    const found = new Set<PeerId>();
    if (!this.members.has(of)) return found;
    if (this.full) for (const peer of this.members) found.add(peer);
    const up = (peer: PeerId): boolean => !this.#down.has(peer);
    for (const ring of this.#rings) {
      for (const direction of [1, -1] as const) {
        const next = ring.from(of, direction);
        if (next === undefined) continue;
        found.add(next);
        // Both ends of the gap reach over it, so the ring closes, and opens again without losing a link.
        if (up(of) && !up(next)) {
          const beyond = ring.from(of, direction, up);
          if (beyond !== undefined) found.add(beyond);
        }
      }
    }
    if (this.voters.has(of)) for (const voter of this.voters) found.add(voter);
    found.delete(of);
    return found;
  }

  #findLinked(of: PeerId): ReadonlySet<PeerId> {
    const watchers = this.watchers(of);
    if (this.full) return watchers;
    const found = new Set(watchers);
    const home = this.homeOf(of);
    if (home !== undefined) found.add(home);
    if (this.voters.has(of)) {
      for (const peer of this.members) if (this.homeOf(peer) === of) found.add(peer);
    }
    return found;
  }
}
