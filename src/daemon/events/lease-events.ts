import type { PeerId } from "../../ids/ids.ts";
import type { NewEvent } from "./event-log.ts";

/** Who may decide now, as this node last heard. */
export interface LeaseReport {
  readonly holder: PeerId | null;
  readonly epoch: number | null;
  readonly ok: boolean;
}

/** What was told already. */
export interface LeaseTold {
  /** Epoch of the last `lease.taken`. */
  readonly epoch: number;
  /** Set while that lease was not told to be lost. */
  readonly holder: PeerId | null;
  /** Null until it was first known. */
  readonly quorum: boolean | null;
}

/**
 * What a report tells beyond that. Members that are no voters ask one of several, of which some may be late:
 * an epoch that is lower than one told already is old news.
 */
export function leaseEvents(
  told: LeaseTold,
  report: LeaseReport,
): { readonly events: readonly NewEvent[]; readonly told: LeaseTold } {
  const events: NewEvent[] = [];
  let { epoch, holder } = told;
  if (told.quorum !== null && told.quorum !== report.ok) {
    events.push({ type: report.ok ? "quorum.restored" : "quorum.lost", data: {} });
  }
  const newer = report.ok && report.epoch !== null && report.epoch > epoch;
  if (holder !== null && (newer || (report.ok && report.holder === null))) {
    events.push({ type: "lease.lost", node: holder, data: { holder, epoch } });
    holder = null;
  }
  if (newer && report.holder !== null && report.epoch !== null) {
    epoch = report.epoch;
    holder = report.holder;
    events.push({ type: "lease.taken", node: holder, data: { holder, epoch } });
  } else if (report.epoch === epoch && report.ok) {
    // Known from the run before this one.
    holder = report.holder;
  }
  return { events, told: { epoch, holder, quorum: report.ok } };
}
