import { z } from "zod";
import type { ClusterId, EntryId, PeerId } from "../../ids/ids.ts";
import { isClusterId, isEntryId, isPeerId } from "../../ids/ids.ts";
import { isSeen, type Neighbour } from "./neighbours.ts";

const peer = z.custom<PeerId>(isPeerId);
const cluster = z.custom<ClusterId>(isClusterId);
const entry = z.custom<EntryId>(isEntryId);
const milliseconds = z.number().min(0).max(Number.MAX_SAFE_INTEGER);

/** One node in a member's lobby, as that member tells the lease holder. Times are ages: clocks differ. */
const neighbourReportSchema = z.object({
  peer,
  name: z.string().max(64),
  version: z.string().max(64),
  address: z.string().max(64),
  port: z.number().int().min(1).max(65535),
  state: z.enum(["fresh", "claimed", "member", "removed"]),
  windowOpen: z.boolean(),
  joining: cluster.nullable(),
  claim: z
    .looseObject({ cluster, founder: peer.nullable(), confirmed: z.boolean(), entry: entry.nullable() })
    .nullable(),
  /** The cluster that it is founding. */
  founding: cluster.nullable(),
  /** Clusters proven to it. */
  clusters: z.array(cluster).max(8),
  /** The cluster that it has proved, and its name. */
  proven: z.object({ id: cluster, name: z.string().max(64) }).nullable(),
  disks: z.object({ count: milliseconds, bytes: milliseconds }),
  firstSeenAgoMs: milliseconds,
  answeredAgoMs: milliseconds,
});
export type NeighbourReport = z.infer<typeof neighbourReportSchema>;

/** Most nodes in one report: 128 × 400 bytes stay below a gossip message of 64 KiB. */
export const maxReportedNeighbours = 128;

/** Schema of a member's whole report, for the edge where it arrives. */
export const neighbourReportsSchema = z.array(neighbourReportSchema).max(maxReportedNeighbours);

/**
 * What this node tells of those it sees: nodes without a cluster first, the longest known first. Fellow
 * members are left out; presence tells of them.
 */
export function reportNeighbours(
  neighbours: readonly Neighbour[],
  now: number,
  own: ClusterId | null,
): NeighbourReport[] {
  const clusterless = (one: Neighbour): number => (one.certificate === null ? 0 : 1);
  return neighbours
    .filter((one) => isSeen(one, now) && (one.certificate === null || one.certificate.cluster !== own))
    .sort((a, b) => clusterless(a) - clusterless(b) || a.firstSeen - b.firstSeen)
    .slice(0, maxReportedNeighbours)
    .map(({ peer, address, port, greeting, certificate, firstSeen, answeredAt }) => ({
      peer,
      name: greeting.name,
      version: greeting.version,
      address,
      port,
      state: greeting.state,
      windowOpen: greeting.window.open,
      joining: greeting.joining,
      claim: greeting.claim,
      founding: greeting.founding,
      clusters: greeting.clusters,
      proven: certificate === null ? null : { id: certificate.cluster, name: greeting.cluster?.name ?? "" },
      disks: greeting.disks,
      firstSeenAgoMs: Math.max(0, Math.round(now - firstSeen)),
      answeredAgoMs: Math.max(0, Math.round(now - answeredAt)),
    }));
}
