import type { Handle, PeerId } from "../../ids/ids.ts";
import type { SeatMember } from "./seats.ts";

export interface DepartureFacts {
  readonly self: PeerId;
  readonly members: readonly SeatMember[];
  /** Members of etcd, learners too, by handle. */
  readonly etcd: readonly string[];
  /** Monitors in the monmap; null while they are not known. Empty where there is no Ceph yet. */
  readonly monitors: readonly string[] | null;
  /** OSDs below each host bucket. */
  readonly osds: ReadonlyMap<string, readonly number[]>;
}

export interface DeparturePlan {
  /** Members of which nothing is left to move: they may be forgotten now. */
  readonly ready: readonly { readonly peer: PeerId; readonly handle: Handle; readonly reason: string }[];
  /** What each of the others waits for. */
  readonly reasons: readonly string[];
}

/**
 * Who of those that leave carries nothing any more: no vote, no monitor, no OSD. The last member never leaves,
 * and one that was called dead and is alive is left alone.
 */
export function planDepartures(facts: DepartureFacts): DeparturePlan {
  const ready: DeparturePlan["ready"][number][] = [];
  const reasons: string[] = [];
  const stays = facts.members.some(({ leaving, alive }) => leaving === null && alive);
  for (const { peer, handle, leaving, alive } of facts.members) {
    if (leaving === null) continue;
    const osds = facts.osds.get(handle) ?? [];
    const why =
      leaving === "dead" && alive
        ? "was to be removed as dead, but it is alive"
        : !stays
          ? "is the last member"
          : facts.etcd.includes(handle)
            ? "has a vote still"
            : facts.monitors === null
              ? "may have a monitor: Ceph's monitors do not answer"
              : facts.monitors.includes(handle)
                ? "has a monitor still"
                : osds.length > 0
                  ? `has ${osds.map((osd) => `osd.${osd}`).join(", ")} still`
                  : null;
    if (why === null) ready.push({ peer, handle, reason: leaving === "dead" ? "it is dead" : "it leaves" });
    else reasons.push(`${handle} ${why}`);
  }
  return { ready, reasons };
}
