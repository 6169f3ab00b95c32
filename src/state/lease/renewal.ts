/** When the lease was last known to be good, on two clocks, in milliseconds. Times are those of sending. */
export interface Renewal {
  readonly sentAt: number;
  readonly wallAt: number;
  readonly ttlMs: number;
}

/**
 * Difference in milliseconds between the progress of the two clocks that counts as a gap: a suspended
 * machine, a restored snapshot, a clock set by hand. A clock that is being slewed stays far below.
 */
export const clockGapMs = 1000;

/** Milliseconds until the lease may have ended by its TTL; etcd never ends it earlier. */
export function remainingMs(renewal: Renewal, now: number): number {
  return Math.max(0, renewal.sentAt + renewal.ttlMs - now);
}

/** Milliseconds at which the lease turns shaky without another renewal. */
export function shakyAt(renewal: Renewal): number {
  return renewal.sentAt + renewal.ttlMs / 2;
}

/** No renewal for half of the TTL, or a gap between the clocks: what is being done under the lease must end. */
export function isShaky(renewal: Renewal, now: number, wall: number): boolean {
  const gap = wall - renewal.wallAt - (now - renewal.sentAt);
  return now >= shakyAt(renewal) || Math.abs(gap) > clockGapMs;
}
