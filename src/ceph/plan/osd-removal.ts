/** What is wished of one OSD, and how it stands in Ceph's maps. */
export interface RemovalFacts {
  readonly osd: number;
  readonly uuid: string;
  /** Null: it is to stay, or to come back. */
  readonly mode: RemovalMode | null;
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
  /** Whether all other copies of what it holds are whole; null: it was not asked, or Ceph did not know. */
  readonly isSpare: boolean | null;
}

/** As it is wished: `replace` keeps the number and the weight for another disk, so nothing is drained. */
export type RemovalMode = "drain" | "fewer-copies" | "now" | "replace" | "replace-now";

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
  const { osd, mode, weight, drainedFrom, isDecided, isSafe, mayStop, isSpare } = facts;
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
  if (mode === "now" || mode === "replace-now") {
    return { step: "purge", reason: `osd.${osd} is to go, whatever it holds` };
  }
  if (mode === "replace") {
    return isSpare === true
      ? { step: "purge", reason: `osd.${osd} is to be replaced, and all other copies of its data are whole` }
      : { step: null, reason: `osd.${osd} is to be replaced once all other copies of its data are whole` };
  }
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
