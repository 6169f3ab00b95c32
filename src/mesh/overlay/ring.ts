import type { PeerId } from "../../ids/ids.ts";
import { hash32 } from "./hash32.ts";

/** Members in the order of their salted hashes, closed to a ring. */
export class Ring {
  readonly #order: readonly PeerId[];
  readonly #places: ReadonlyMap<PeerId, number>;

  constructor(members: Iterable<PeerId>, salt: string) {
    const hashed = [...members].map((peer) => ({ peer, hash: hash32(salt, peer) }));
    hashed.sort((a, b) => a.hash - b.hash || (a.peer < b.peer ? -1 : 1));
    this.#order = hashed.map(({ peer }) => peer);
    this.#places = new Map(this.#order.map((peer, place) => [peer, place]));
  }

  /** The first one after (1) or before (-1) a member that is wanted; undefined when there is none but itself. */
  from(peer: PeerId, direction: 1 | -1, wanted: (peer: PeerId) => boolean = () => true): PeerId | undefined {
    const place = this.#places.get(peer);
    if (place === undefined) return undefined;
    const count = this.#order.length;
    for (let step = 1; step < count; step += 1) {
      const other = this.#order[(place + direction * step + step * count) % count];
      if (other !== undefined && wanted(other)) return other;
    }
    return undefined;
  }
}
