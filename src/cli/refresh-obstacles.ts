import type { StatusReport } from "../api/contract/status.ts";

/** Ceph's warnings that say that data is not whole, or that something serves no more. */
const serious: ReadonlySet<string> = new Set([
  ...[
    "MON_DOWN",
    "MON_DISK_CRIT",
    "OSD_DOWN",
    "OSD_HOST_DOWN",
    "OSD_CHASSIS_DOWN",
    "OSD_RACK_DOWN",
    "OSD_FULL",
  ],
  ...["PG_AVAILABILITY", "PG_DEGRADED", "PG_DAMAGED", "PG_DEGRADED_FULL", "OBJECT_UNFOUND"],
  ...["MDS_ALL_DOWN", "FS_DEGRADED", "MGR_DOWN"],
]);

/**
 * Why the programs of this node should not be replaced now, in a few words each; empty when they may be. Warnings about
 * what was wished so (one copy, a flag that is set) are none: with them no cluster of one node could ever be upgraded.
 */
export function refreshObstacles(report: StatusReport): string[] {
  if (report.cluster === null) return [];
  const { health, lease } = report;
  const obstacles: string[] = [];
  if (lease.quorum === "lost") obstacles.push("no majority of the voters is reachable");
  if (health === null) {
    if (report.disks.length > 0) obstacles.push("Ceph's monitors do not answer");
  } else {
    if (health.status === "HEALTH_ERR") obstacles.push("Ceph says HEALTH_ERR");
    for (const { code, summary } of health.checks)
      if (serious.has(code)) obstacles.push(`${code}: ${summary}`);
  }
  for (const { code, severity, text } of report.conditions) {
    if (severity === "error" && code !== "QUORUM_LOST") obstacles.push(`${code}: ${text}`);
  }
  return obstacles;
}
