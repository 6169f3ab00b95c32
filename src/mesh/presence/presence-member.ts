import type { PeerId } from "../../ids/ids.ts";
import type { Rumour } from "./rumour.ts";

/**
 * alive: it answers. suspect: it does not, or has not since this node started. failed: others don't reach it
 * either. left: it said goodbye.
 */
export type PresenceState = "alive" | "suspect" | "failed" | "left";

interface Vote {
  readonly reached: boolean;
  /** Waking clock. */
  readonly at: number;
}

/** What the core knows of one member. Times without a unit are of the waking clock. */
export class PresenceMember {
  state: PresenceState = "suspect";
  /** Milliseconds since the epoch. */
  since: number;
  /** Milliseconds since the epoch. */
  lastSeen: number | null = null;
  /** Its last sign of life, or since when this node watches it. */
  quietSince: number;
  /** Whether it gave a sign of life since this node watches it. */
  isSighted = false;
  /** The highest that it was heard of or seen in. */
  incarnation = 0;
  /** That of its last ping; lower, when its clock was set back between two runs. */
  seenIn: number | undefined;
  /** What was last told of it, and holds. */
  told: Rumour | undefined;
  /** Since when that is no longer that it is there. */
  accusedAt = Number.NEGATIVE_INFINITY;
  askedAt = Number.NEGATIVE_INFINITY;
  /** Start of the rotation among witnesses. */
  round = 0;
  readonly votes = new Map<PeerId, Vote>();

  constructor(since: number, awake: number) {
    this.since = since;
    this.quietSince = awake;
  }

  /** Fresh votes: who says that it does not answer, or undefined when somebody reaches it. */
  accusers(awake: number, voteMs: number): PeerId[] | undefined {
    const fresh = [...this.votes].filter(([, { at }]) => awake - at <= voteMs);
    return fresh.some(([, { reached }]) => reached) ? undefined : fresh.map(([witness]) => witness);
  }

  /** Up to `most` of them, beginning with the next each time. */
  nextWitnesses(possible: readonly PeerId[], most: number): PeerId[] {
    const start = this.round % possible.length;
    this.round += 1;
    return [...possible.slice(start), ...possible.slice(0, start)].slice(0, most);
  }
}
