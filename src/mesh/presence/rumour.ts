import type { PeerId } from "../../ids/ids.ts";

export type RumourKind = "alive" | "suspect" | "failed" | "left";

/** What members tell each other of one of them. */
export interface Rumour {
  readonly kind: RumourKind;
  readonly peer: PeerId;
  /** The run of the peer that is spoken of: a higher one is later, and only the peer itself raises it. */
  readonly incarnation: number;
  /** failed: who testified, besides the one that concluded it. */
  readonly witnesses: readonly PeerId[];
}

/** Of one incarnation the later in this row holds: only the next incarnation refutes. */
const rank: Readonly<Record<RumourKind, number>> = { alive: 0, suspect: 1, failed: 2, left: 3 };

export function supersedes(rumour: Rumour, known: Rumour | undefined): boolean {
  if (known === undefined || rumour.incarnation > known.incarnation) return true;
  return rumour.incarnation === known.incarnation && rank[rumour.kind] > rank[known.kind];
}
