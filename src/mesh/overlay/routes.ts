import type { PeerId } from "../../ids/ids.ts";
import { hash32 } from "./hash32.ts";
import type { Overlay } from "./overlay.ts";

/** Members that may carry a request on its way, at most. */
export const maxRelays = 2;

export interface RouteFacts {
  readonly overlay: Overlay;
  readonly self: PeerId;
  readonly target: PeerId;
  /** Those this node has a link to now. */
  readonly connected: readonly PeerId[];
  /** Whether a member can be counted on to carry something: not one that is only suspect, either. */
  readonly isUp: (peer: PeerId) => boolean;
}

/**
 * Ways to a member without a link, best first: the relays, in order. One relay where the overlay has one, else
 * two: from a neighbour over the voter that the target keeps a link to, or any neighbour of the target. Each
 * pair of members tries equal ways in an order of its own, so that no relay carries them all.
 */
export function routesTo(facts: RouteFacts, most: number): PeerId[][] {
  const { overlay, self, target, isUp } = facts;
  if (!overlay.members.has(target) || target === self) return [];
  const salt = `${self}${target}`;
  const byChance = (a: PeerId, b: PeerId): number => hash32(salt, a) - hash32(salt, b) || (a < b ? -1 : 1);
  const usable = (peer: PeerId): boolean => peer !== self && peer !== target && isUp(peer);
  const first = facts.connected.filter(usable).sort(byChance);
  const routes = first.filter((peer) => overlay.areLinked(peer, target)).map((peer) => [peer]);
  if (routes.length >= most) return routes.slice(0, most);
  // No two ways share a relay while that can be had: when one relay has a fault, the next way is without it.
  const used = new Set<PeerId>(routes.flat());
  const last = [...lastRelays(overlay, target)].filter(usable).sort(byChance);
  const second: PeerId[][] = [];
  for (const shared of [false, true]) {
    for (const b of last) {
      for (const a of first) {
        if (routes.length + second.length >= most) return [...routes, ...second];
        if (a === b || !overlay.areLinked(a, b)) continue;
        if (!shared && (used.has(a) || used.has(b))) continue;
        if (second.some(([x, y]) => x === a && y === b)) continue;
        used.add(a).add(b);
        second.push([a, b]);
      }
    }
  }
  return [...routes, ...second];
}

/** Neighbours of the target; of a voter not the hundreds that it is home to. */
function lastRelays(overlay: Overlay, target: PeerId): Set<PeerId> {
  const relays = new Set(overlay.watchers(target));
  const home = overlay.homeOf(target);
  if (home !== undefined) relays.add(home);
  return relays;
}
