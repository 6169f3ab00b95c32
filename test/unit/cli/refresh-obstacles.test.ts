import { describe, expect, it } from "vitest";
import type { CephHealth, Condition, StatusReport } from "../../../src/api/contract/status.ts";
import { refreshObstacles } from "../../../src/cli/refresh-obstacles.ts";

function report(
  health: Pick<CephHealth, "status" | "checks"> | null,
  more: { readonly conditions?: Condition[]; readonly quorum?: "ok" | "lost"; readonly disks?: number } = {},
): StatusReport {
  return {
    cluster: { id: "c", name: "microceph", fsid: null, admission: { mode: "auto", until: null } },
    lease: { holder: null, epoch: null, quorum: more.quorum ?? "ok", lastDecision: null },
    health,
    conditions: more.conditions ?? [],
    disks: Array.from({ length: more.disks ?? 1 }, (_, osd) => ({ osd, location: "n1", path: "/dev/sdb" })),
  } as unknown as StatusReport;
}
const check = (code: string) => ({ code, severity: "HEALTH_WARN", summary: "said Ceph" });
const ok = { status: "HEALTH_OK", checks: [] } as const satisfies Pick<CephHealth, "status" | "checks">;

describe("what is in the way of a refresh", () => {
  it("is nothing where all is well, where there is no cluster, and where Ceph has not been heard of yet", () => {
    expect(refreshObstacles(report(ok))).toEqual([]);
    expect(refreshObstacles({ ...report(null), cluster: null })).toEqual([]);
    expect(refreshObstacles(report(null, { disks: 0 }))).toEqual([]);
  });

  it("is not a warning about what was wished so", () => {
    const health = {
      status: "HEALTH_WARN" as const,
      checks: [check("POOL_NO_REDUNDANCY"), check("OSDMAP_FLAGS")],
    };
    const conditions: Condition[] = [{ code: "TWO_VOTERS", severity: "warning", text: "two voters" }];
    expect(refreshObstacles(report(health, { conditions }))).toEqual([]);
  });

  it("is data that is not whole, what does not serve, and what nobody can decide", () => {
    const health = { status: "HEALTH_ERR" as const, checks: [check("PG_DEGRADED")] };
    const conditions: Condition[] = [
      { code: "QUORUM_LOST", severity: "error", text: "no majority" },
      { code: "MONITORS_SILENT", severity: "error", text: "they are silent" },
    ];
    expect(refreshObstacles(report(health, { conditions, quorum: "lost" }))).toEqual([
      "no majority of the voters is reachable",
      "Ceph says HEALTH_ERR",
      "PG_DEGRADED: said Ceph",
      "MONITORS_SILENT: they are silent",
    ]);
    expect(refreshObstacles(report(null))).toEqual(["Ceph's monitors do not answer"]);
  });
});
