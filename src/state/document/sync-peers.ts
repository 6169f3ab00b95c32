import type { PeerId } from "../../ids/ids.ts";

/** Peers to sync with: this many neighbours, and as many others as make up the limit. */
export const neighbourCount = 4;
export const syncPeerLimit = 6;

/**
 * With whom to sync: all connected peers if they are few, else the next two and the previous two of us in the
 * order of their ids (the same ring seen from everywhere), and random others, drawn anew by the caller from
 * time to time, so that every link is used at some time and no split of the ring lasts. `random` gives [0, 1).
 */
export function chooseSyncPeers(self: PeerId, connected: readonly PeerId[], random: () => number): PeerId[] {
  const others = [...new Set(connected)].filter((peer) => peer !== self).sort();
  if (others.length <= syncPeerLimit) return others;
  const after = others.findIndex((peer) => peer > self);
  const start = after < 0 ? 0 : after;
  const chosen = new Set<PeerId>();
  for (let step = -neighbourCount / 2; step < neighbourCount / 2; step += 1) {
    const peer = others[(start + step + others.length) % others.length];
    if (peer !== undefined) chosen.add(peer);
  }
  const rest = others.filter((peer) => !chosen.has(peer));
  while (chosen.size < syncPeerLimit && rest.length > 0) {
    for (const peer of rest.splice(Math.floor(random() * rest.length), 1)) chosen.add(peer);
  }
  return [...chosen];
}

/** Milliseconds before the next try after so many failures: 1 s, doubled up to 30 s, half of it by chance. */
export function retryDelay(failures: number, random: () => number): number {
  const full = Math.min(30_000, 1_000 * 2 ** Math.max(0, Math.min(failures, 10) - 1));
  return full / 2 + (full / 2) * random();
}
