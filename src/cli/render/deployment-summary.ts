import type { StatusReport } from "../../api/contract/status.ts";
import { naturally, serviceOrder } from "./words.ts";

/** MicroCeph's `status`, byte for byte: charms and scripts read it. */
export function deploymentSummary(report: StatusReport): string {
  const lines = ["MicroCeph deployment summary:"];
  for (const member of [...report.members].sort((a, b) => naturally(a.name, b.name))) {
    const disks = report.disks.filter((disk) => disk.location === member.name).length;
    const services = disks > 0 ? [...member.services, "osd"] : member.services;
    lines.push(`- ${member.name} (${member.addresses[0] ?? ""})`);
    lines.push(`  Services: ${serviceOrder(services).join(", ")}`);
    lines.push(`  Disks: ${disks}`);
  }
  return `${lines.join("\n")}\n`;
}
