import { readdirSync } from "node:fs";
import type { EventLog } from "../events/event-log.ts";
import type { LoopWatch } from "./loop-watch.ts";
import type { Metric, Sample } from "./registry.ts";

export interface ProcessSources {
  readonly loop: LoopWatch;
  readonly events: EventLog;
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

/** The daemon itself: its process, its event loop, its stream of events. */
export function processMetrics({ loop, events, version, startedAt }: ProcessSources): Metric[] {
  return [
    {
      name: "microceph_build_info",
      kind: "gauge",
      help: "Always 1; the version is in the label.",
      read: () => [{ labels: { version }, value: 1 }],
    },
    {
      name: "microceph_start_time_seconds",
      kind: "gauge",
      help: "When the daemon started, seconds since the epoch.",
      read: () => startedAt / 1000,
    },
    {
      name: "microceph_event_loop_delay_seconds",
      kind: "summary",
      help: "How late the event loop was in the last ten seconds; quantile 1 is the most.",
      read: (): Sample[] | null => {
        const { delay } = loop;
        if (delay === null) return null;
        return [
          { labels: { quantile: "0.5" }, value: delay.p50 },
          { labels: { quantile: "0.99" }, value: delay.p99 },
          { labels: { quantile: "1" }, value: delay.max },
        ];
      },
    },
    {
      name: "microceph_cpu_seconds_total",
      kind: "counter",
      help: "CPU time of the daemon's process.",
      read: () => {
        const { user, system } = process.cpuUsage();
        return (user + system) / 1e6;
      },
    },
    {
      name: "microceph_resident_memory_bytes",
      kind: "gauge",
      help: "Resident memory of the daemon's process.",
      read: () => process.memoryUsage.rss(),
    },
    {
      name: "microceph_open_fds",
      kind: "gauge",
      help: "Open file descriptors of the daemon's process.",
      read: () => readdirSync("/proc/self/fd").length,
    },
    {
      name: "microceph_events_emitted_total",
      kind: "counter",
      help: "Events in this node's stream since the daemon started.",
      read: () => events.counters().emitted,
    },
    {
      name: "microceph_events_dropped_total",
      kind: "counter",
      help: "Events that could not be kept on disk.",
      read: () => events.counters().lost,
    },
  ];
}
