import type { Summary } from "./measures.ts";
import type { MeshResult } from "./mesh-world.ts";
import type { SimOptions } from "./options.ts";
import { mostDiscovering, mostFounding, type Report } from "./simulate.ts";
import { Timeline } from "./timeline.ts";

/** What one size of a curve came to. */
export interface Point {
  readonly nodes: number;
  readonly documents: "real" | "model";
  readonly messagesPerNodeSecond: number;
  readonly bytesPerNodeSecond: number;
  /** The node that sends most. */
  readonly busiestMessagesPerSecond: number;
  /** Of these, what the pulse and presence need, bytes. */
  readonly presenceBytesPerNodeSecond: number;
  readonly converged: Summary;
  readonly suspected: Summary;
  readonly failed: Summary;
  readonly falsePositives: number;
  readonly violations: readonly string[];
}

export function pointOf(options: SimOptions, result: MeshResult): Point {
  const seconds = result.measuredMs / 1_000;
  const perNode = (sum: number): number => Math.round((sum / seconds / options.nodes) * 10) / 10;
  const all = Object.values(result.traffic);
  const { pulse, presence } = result.traffic;
  return {
    nodes: options.nodes,
    documents: result.documents,
    messagesPerNodeSecond: perNode(all.reduce((sum, { messages }) => sum + messages, 0)),
    bytesPerNodeSecond: Math.round(perNode(all.reduce((sum, { bytes }) => sum + bytes, 0))),
    busiestMessagesPerSecond: Math.round(result.busiestMessages / seconds),
    presenceBytesPerNodeSecond: Math.round(perNode(pulse.bytes + presence.bytes)),
    converged: result.converged,
    suspected: result.suspected,
    failed: result.failed,
    falsePositives: result.falsePositives,
    violations: result.invariants.flatMap(({ name, violations }) =>
      violations.map((text) => `${name}: ${text}`),
    ),
  };
}

export function curveTable(points: readonly Point[]): string {
  const rows = points.map((point) => [
    String(point.nodes),
    point.documents,
    String(point.messagesPerNodeSecond),
    String(point.busiestMessagesPerSecond),
    String(point.bytesPerNodeSecond),
    String(point.presenceBytesPerNodeSecond),
    times(point.converged),
    times(point.suspected),
    times(point.failed),
    String(point.falsePositives),
  ]);
  const head = [
    "NODES",
    "DOCUMENTS",
    "MSG/NODE/S",
    "BUSIEST",
    "B/NODE/S",
    "PRESENCE B",
    "CONVERGED ms",
    "SUSPECT ms",
    "FAILED ms",
    "FALSE",
  ];
  return `${table([head, ...rows])}\nTimes are median / longest (number measured).\n`;
}

export function reportText(report: Report): string {
  const { options, faults, mesh, discovery, invariants } = report;
  const { nodes, hours, seed, loss, latencyMs } = options;
  const seconds = new Timeline(options).endsAt / 1_000;
  const [low, high] = latencyMs;
  const lines = [
    `${nodes} nodes, ${hours} h, seed ${seed}: ${loss * 100} % loss, ${low} to ${high} ms one way`,
    `Faults: ${faults.partition} partitions, ${faults.pause} pauses, ${faults.crash} crashes, ${faults.clock} clock jumps`,
    `Documents: ${mesh.documents}; discovery with ${discovery.nodes} nodes (at most ${mostDiscovering}), formation with at most ${mostFounding}`,
    "",
    table([
      ["TRAFFIC", "MSG/NODE/S", "B/NODE/S"],
      ...Object.entries(mesh.traffic)
        .filter(([, { messages }]) => messages > 0)
        .map(([name, count]) => rates(name, count, (mesh.measuredMs / 1_000) * nodes)),
      rates("mdns", discovery, seconds * discovery.nodes),
    ]),
    "",
    table([
      ["TIME", "MEDIAN ms", "99 % ms", "LONGEST ms", "MEASURED"],
      durations("seen by mDNS", discovery.seen),
      durations("document change everywhere", mesh.converged),
      durations("power-off suspected", mesh.suspected),
      durations("power-off failed", mesh.failed),
    ]),
    "",
    table([
      ["INVARIANT", "CHECKED", "VIOLATED"],
      ...invariants.map(({ name, checked, violations }) => [
        name,
        String(checked),
        String(violations.length),
      ]),
    ]),
    "",
    `False suspicions: ${mesh.falseSuspicions}, false positives: ${mesh.falsePositives}, edits: ${mesh.edits}`,
  ];
  return `${lines.join("\n")}\n`;
}

function rates(name: string, count: { messages: number; bytes: number }, over: number): string[] {
  return [name, (count.messages / over).toFixed(2), (count.bytes / over).toFixed(0)];
}

function durations(name: string, { median, p99, longest, count }: Summary): string[] {
  return [
    name,
    ...[median, p99, longest].map((value) => (value === null ? "-" : String(value))),
    String(count),
  ];
}

function times({ median, longest, count }: Summary): string {
  return median === null ? "-" : `${median} / ${longest} (${count})`;
}

/** Columns as wide as their widest cell; the first to the left, numbers to the right. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const cell = (text: string, column: number): string =>
    column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0);
  return rows.map((row) => row.map(cell).join("  ").trimEnd()).join("\n");
}
