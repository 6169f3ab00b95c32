import type { PeerId } from "../../ids/ids.ts";
import type { Rumour, RumourKind } from "./rumour.ts";

export interface PresenceSelf {
  readonly peer: PeerId;
  /** Higher than in earlier runs, as the time of the start is. One that is not is raised by the first accusation. */
  readonly incarnation: number;
}

/** This run of this node, and how it answers those who take it for gone. */
export class OwnRun {
  readonly peer: PeerId;
  readonly #announceMs: number;
  #incarnation: number;
  #leaving = false;
  /** Waking clock. */
  #announcedAt = Number.NEGATIVE_INFINITY;

  /** `announceMs`: time after which it says once more that it is there, to those who still don't know. */
  constructor(self: PresenceSelf, announceMs: number) {
    this.peer = self.peer;
    this.#incarnation = self.incarnation;
    this.#announceMs = announceMs;
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  /**
   * Somebody takes this node for gone in that incarnation, or (0) doesn't know it. What to tell everybody: a
   * higher incarnation, or once more the present one to those who missed it.
   */
  accused(incarnation: number, awake: number): Rumour | undefined {
    if (this.#leaving) return undefined;
    if (incarnation >= this.#incarnation) this.#incarnation = incarnation + 1;
    else if (awake - this.#announcedAt < this.#announceMs) return undefined;
    this.#announcedAt = awake;
    return this.record("alive");
  }

  /** It is about to end, and no longer refutes that it left. */
  leave(): Rumour {
    this.#leaving = true;
    return this.record("left");
  }

  record(kind: RumourKind = this.#leaving ? "left" : "alive"): Rumour {
    return { kind, peer: this.peer, incarnation: this.#incarnation, witnesses: [] };
  }
}
