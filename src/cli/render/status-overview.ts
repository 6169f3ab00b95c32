import type { CephHealth, Condition, StatusReport } from "../../api/contract/status.ts";
import { admissionText } from "./admission.ts";
import { decisionsText, quorumAlarm } from "./mesh-status.ts";
import type { Paint, Style } from "./paint.ts";
import { alignedTable, type Cell } from "./table.ts";
import { ago, bytes, counted, naturally, serviceOrder } from "./words.ts";

const healthStyles: Readonly<Record<CephHealth["status"], Style>> = {
  HEALTH_OK: "green",
  HEALTH_WARN: "yellow",
  HEALTH_ERR: "red",
};
const severityStyles: Readonly<Record<Condition["severity"], Style>> = {
  error: "red",
  warning: "yellow",
  info: "dim",
};

/** `microceph status` on a terminal: health first, then who and what carries it. */
export function statusOverview(report: StatusReport, paint: Paint): string {
  return [
    quorumAlarm(report, paint),
    heading(report, paint),
    notes(report, paint),
    members(report, paint),
    disks(report, paint),
  ]
    .filter((part) => part !== "")
    .join("\n");
}

function heading(report: StatusReport, paint: Paint): string {
  const { cluster, health, self } = report;
  const rows: [string, string][] = [];
  if (cluster) rows.push(["Cluster", paint("bold", cluster.name)]);
  else rows.push(["Cluster", `${paint("yellow", "none yet")}: ${self.name} is ${self.state}`]);
  if (health) {
    rows.push([
      "Health",
      `${paint(healthStyles[health.status], health.status)}  ${paint("dim", `as of ${ago(health.asOf, report.asOf)}`)}`,
    ]);
    rows.push(["Ceph", cephText(health)]);
  } else if (cluster) {
    rows.push(["Health", paint("yellow", "Ceph has not answered here yet")]);
  }
  if (cluster) {
    rows.push(["Decisions", decisionsText(report, paint)]);
    rows.push(["Admission", admissionText(cluster.admission, report.asOf)]);
  }
  if (self.waitingFor !== null) rows.push(["Waiting", paint("yellow", self.waitingFor)]);
  if (report.pending.length > 0) {
    rows.push([
      "Pending",
      `${counted(report.pending.length, "node")}; see ${paint("bold", "microceph mesh status")}`,
    ]);
  }
  return rows.map(([label, text]) => `${paint("dim", label.padEnd(10))} ${text}\n`).join("");
}

function cephText(health: CephHealth): string {
  const { monitors, osds, usage } = health;
  return [
    `${monitors.inQuorum} of ${counted(monitors.total, "monitor")} in quorum`,
    `${counted(osds.total, "OSD")}: ${osds.up} up, ${osds.in} in`,
    counted(health.pools, "pool"),
    `${bytes(usage.usedBytes, " ")} of ${bytes(usage.totalBytes, " ")} used`,
  ].join("; ");
}

/** What Ceph and the mesh complain of. */
function notes(report: StatusReport, paint: Paint): string {
  const ceph = (report.health?.checks ?? []).map(({ code, severity, summary }) =>
    note(severity === "HEALTH_ERR" ? "red" : "yellow", code, summary, paint),
  );
  const mesh = report.conditions.map(({ code, severity, text }) =>
    note(severityStyles[severity], code, text, paint),
  );
  const conflicts = report.conflicts.map(({ kind, detail }) => note("yellow", kind, detail, paint));
  return [...ceph, ...mesh, ...conflicts].join("");
}

function note(style: Style, code: string, text: string, paint: Paint): string {
  return `  ${paint(style, code)}: ${text}\n`;
}

function members(report: StatusReport, paint: Paint): string {
  if (report.members.length === 0) return "";
  const alive = report.members.filter((member) => member.presence === "alive").length;
  const rows = [...report.members]
    .sort((a, b) => naturally(a.name, b.name))
    .map((member): Cell[] => [
      { text: member.name },
      { text: member.addresses[0] ?? "" },
      { text: member.presence, style: member.presence === "alive" ? "green" : "red" },
      { text: serviceOrder(member.services).join(", ") },
      { text: String(report.disks.filter((disk) => disk.location === member.name).length) },
    ]);
  const title = paint("bold", `Members: ${alive} of ${report.members.length} alive`);
  return `${title}\n${alignedTable(["NAME", "ADDRESS", "PRESENCE", "SERVICES", "DISKS"], rows, paint)}`;
}

function disks(report: StatusReport, paint: Paint): string {
  if (report.disks.length === 0) {
    return report.cluster
      ? `No disks yet: ${paint("bold", "microceph disk add loop,4G,1")} or a device's path\n`
      : "";
  }
  const rows = [...report.disks]
    .sort((a, b) => a.osd - b.osd)
    .map((disk): Cell[] => [{ text: `osd.${disk.osd}` }, { text: disk.location }, { text: disk.path }]);
  return `${paint("bold", "Disks")}\n${alignedTable(["OSD", "LOCATION", "PATH"], rows, paint)}`;
}
