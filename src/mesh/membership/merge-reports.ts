import type { PeerId } from "../../ids/ids.ts";
import type { AdmissionFacts } from "./admission-facts.ts";
import type { NeighbourReport } from "./neighbour-report.ts";

/** A node as all members together see it. */
export interface SeenNode {
  readonly peer: PeerId;
  /** The latest report of it. */
  readonly report: NeighbourReport;
  /** The member that is asked to reach it: the holder itself if it can, else the one that heard it last. */
  readonly via: PeerId;
  readonly seenBy: readonly PeerId[];
  /** Milliseconds on the holder's steady clock. */
  readonly firstSeen: number;
  readonly heardAt: number;
}

/** A report that is older says nothing of the present. */
const staleMs = 45_000;

/** Merge the members' reports, in the order of PeerIds so that equal facts give equal plans. */
export function mergeReports({ reports, steadyNow, self }: AdmissionFacts): ReadonlyMap<PeerId, SeenNode> {
  const merged = new Map<PeerId, SeenNode>();
  for (const [reporter, { at, neighbours }] of [...reports].sort(([a], [b]) => (a < b ? -1 : 1))) {
    for (const report of neighbours) {
      const heardAt = at - report.answeredAgoMs;
      if (steadyNow - heardAt > staleMs) continue;
      const known = merged.get(report.peer);
      const newer = known === undefined || heardAt > known.heardAt;
      merged.set(report.peer, {
        peer: report.peer,
        report: newer ? report : known.report,
        heardAt: newer ? heardAt : known.heardAt,
        via: reporter === self || (newer && known?.via !== self) ? reporter : (known?.via ?? reporter),
        seenBy: [...(known?.seenBy ?? []), reporter],
        firstSeen: Math.min(known?.firstSeen ?? Number.POSITIVE_INFINITY, at - report.firstSeenAgoMs),
      });
    }
  }
  return new Map([...merged].sort(([a], [b]) => (a < b ? -1 : 1)));
}
