/** What is wished of one OSD, and how it stands in Ceph's maps. */
export interface RemovalFacts {
  readonly osd: number;
  readonly uuid: string;
  /** Null: it is to stay, or to come back. */
  readonly mode: "drain" | "fewer-copies" | "now" | null;
  /** Share of data that the CRUSH map gives it; null when it is in no map any more. */
  readonly weight: number | null;
  /** The weight that a drain of ours took away and nothing has given back; null when none did. */
  readonly drainedFrom: number | null;
  /** A decision to purge it is being carried out. */
  readonly isDecided: boolean;
  /** Ceph's word that it can be destroyed without any data having fewer copies; null: it was not asked, or did not know. */
  readonly isSafe: boolean | null;
  /** Ceph's word that all data stays served without it. */
  readonly mayStop: boolean | null;
}

export type RemovalStep = "drain" | "refill" | "purge" | "forget";

/**
 * The one next step: first its data moves to the others while it still serves; only what nothing depends on is
 * taken out. Without the wish, what a drain took away is given back. Everything follows from Ceph's maps and the
 * wish, so a crash anywhere changes nothing.
 */
export function planRemoval(facts: RemovalFacts): {
  readonly step: RemovalStep | null;
  readonly reason: string;
} {
  const { osd, mode, weight, drainedFrom, isDecided, isSafe, mayStop } = facts;
  if (mode === null) {
    if (weight === 0 && drainedFrom !== null && drainedFrom > 0) {
      return { step: "refill", reason: `osd.${osd} is to stay: it gets its data back` };
    }
    return { step: null, reason: "" };
  }
  if (weight === null) {
    // The decision's end is on record first: by it its host knows that it may empty the disk.
    return { step: isDecided ? null : "forget", reason: `osd.${osd} is in Ceph's maps no more` };
  }
  if (mode === "now") return { step: "purge", reason: `osd.${osd} is to go, whatever it holds` };
  if (weight > 0) return { step: "drain", reason: `osd.${osd} is to go: its data moves to the others first` };
  if (isSafe === true) return { step: "purge", reason: `nothing depends on osd.${osd} any more` };
  if (mode === "fewer-copies" && mayStop === true) {
    return {
      step: "purge",
      reason: `data stays served without osd.${osd}, with fewer copies, as was agreed`,
    };
  }
  return { step: null, reason: `osd.${osd}: its data moves to the others` };
}
