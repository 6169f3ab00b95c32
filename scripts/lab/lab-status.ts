import { holderOf } from "./holder.ts";
import type { LabHosts } from "./lab-hosts.ts";
import { readLabRecord } from "./lab-record.ts";
import { LabSwitch, type Port } from "./lab-switch.ts";
import { nodeFiles } from "./layout.ts";
import { findDaemon } from "./node-daemon.ts";
import { diskPath } from "./node-disks.ts";
import { processesOf } from "./processes.ts";

export type NodeState = "running" | "paused" | "stopped" | "cut";

export interface NodeStatus {
  readonly name: string;
  readonly ip: string;
  /** Host pid of microcephd, or null. */
  readonly pid: number | null;
  readonly state: NodeState;
  /** Paths of its block devices. */
  readonly disks: readonly string[];
  /** Part of a partitioned network that it is in; 0 when the network is whole. */
  readonly segment: number;
}

export interface LabStatus {
  readonly lab: string;
  readonly nodes: readonly NodeStatus[];
}

export async function labStatus(lab: LabHosts): Promise<LabStatus> {
  const record = readLabRecord(lab.dir);
  if (record === undefined) return { lab: lab.name, nodes: [] };
  const ports = await new LabSwitch(record.number).ports();
  const nodes = record.nodes.map((node): NodeStatus => {
    const holder = holderOf(nodeFiles(lab.dir, node.name));
    const daemon = holder === undefined ? undefined : findDaemon(processesOf(holder));
    const port = ports.find((one) => one.node === node.name);
    return {
      name: node.name,
      ip: node.address.split("/")[0] ?? "",
      pid: daemon?.pid ?? null,
      state: nodeState(daemon?.state, port),
      disks: node.disks.map(diskPath),
      segment: port?.segment ?? 0,
    };
  });
  return { lab: lab.name, nodes };
}

/** The most telling word: a daemon that cannot run comes before a network that is away. */
function nodeState(daemon: string | undefined, port: Port | undefined): NodeState {
  if (daemon === undefined) return "stopped";
  if (daemon === "T") return "paused";
  return port?.up === false ? "cut" : "running";
}

/** Aligned lines for people. */
export function statusText(status: LabStatus): string {
  if (status.nodes.length === 0)
    return `The lab "${status.lab}" is not up. Start it with: npm run -s lab -- up`;
  const parted = status.nodes.some((node) => node.segment > 0);
  const rows = [
    ["NODE", "ADDRESS", "STATE", "PID", ...(parted ? ["PART"] : []), "DISKS"],
    ...status.nodes.map((node) => [
      ...[node.name, node.ip, node.state, String(node.pid ?? "-")],
      ...(parted ? [String(node.segment + 1)] : []),
      node.disks.join(" ") || "-",
    ]),
  ];
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
