/**
 * Times are in milliseconds of this node's own waking time, before its doubt in itself stretches them. `voteMs` is
 * shorter than `failedMs`, so what witnesses said before the last sign of life never counts.
 */
export interface PresenceTimings {
  /** Time between pings of a member. */
  readonly intervalMs: number;
  /** Silence up to which this node testifies that it reaches a member. */
  readonly reachedMs: number;
  /** Silence until a member is suspect: two pings and a bit. */
  readonly suspectMs: number;
  /** Silence until it may be failed: long enough for two rounds of witnesses and a quick restart. */
  readonly failedMs: number;
  /**
   * At least, where this node's own word alone decides, because nobody is left to ask, and for a member that has
   * not been seen since this node started: all may be booting. Doubt does not stretch it, it is that already.
   */
  readonly aloneMs: number;
  /** Age up to which a witness's word counts. */
  readonly voteMs: number;
  /** Time between two rounds of witnesses. */
  readonly askMs: number;
  /** Time between ticks. More than twice of it means that this node slept, was stopped, or gets no CPU. */
  readonly tickMs: number;
  /** Time after which this node once more tells those who take it for gone, or don't know it, that it is there. */
  readonly announceMs: number;
  /** Time in which a member may refute, before this node believes others that it failed. */
  readonly refuteMs: number;
  /** Members that must not reach one either before it is failed, or all who are left. */
  readonly witnessesNeeded: number;
}

export function timingsFor(intervalMs: number): PresenceTimings {
  return {
    intervalMs,
    reachedMs: 1.5 * intervalMs,
    suspectMs: 2.2 * intervalMs,
    failedMs: 5 * intervalMs,
    aloneMs: 8 * intervalMs,
    voteMs: 3 * intervalMs,
    askMs: intervalMs,
    tickMs: 0.25 * intervalMs,
    announceMs: 10 * intervalMs,
    refuteMs: 1.5 * intervalMs,
    witnessesNeeded: 2,
  };
}
