import { readFileSync } from "node:fs";
import { nodeFiles } from "../../../scripts/lab/layout.ts";
import type { BenchHosts } from "./hosts.ts";

/** What the daemon logged as done or decided, in seconds after `begunAt` (milliseconds of the epoch). */
export async function journalPhases(hosts: BenchHosts, node: string, begunAt: number): Promise<string> {
  const lines = readFileSync(nodeFiles(hosts.lab.dir, node).log, "utf8").split("\n");
  const rows = lines.flatMap((line) => {
    try {
      const { time, msg, ...rest } = JSON.parse(line) as { time: number | string; msg: string };
      const at = (new Date(time).getTime() - begunAt) / 1000;
      if (at < 0) return [];
      const { level: _level, pid: _pid, hostname: _hostname, ...shown } = rest as Record<string, unknown>;
      return [`  ${at.toFixed(2).padStart(6)} ${msg} ${JSON.stringify(shown).slice(0, 160)}`];
    } catch {
      return [];
    }
  });
  return `log of ${node}\n${rows.join("\n")}`;
}
