import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import pino from "pino";
import { enterArguments, nodeEnvironment } from "../../../scripts/lab/enter.ts";
import { CephChild } from "../../../src/ceph/command/ceph-child.ts";

/** What is asked of a cluster before it counts as healthy. */
export interface Wanted {
  readonly osds: number;
  readonly monitors: number;
}

const everyMs = 100;
const deadlineMs = 90_000;

/**
 * Seconds from now until Ceph itself says HEALTH_OK with all OSDs up, all monitors in quorum and every placement
 * group active and clean; asked in the same way and as often on either side. `conf` as the node and the host see it.
 */
export async function untilHealthy(
  holder: number,
  conf: { readonly inNode: string; readonly onHost: string },
  wanted: Wanted,
  phases: Map<string, number>,
): Promise<number> {
  const begin = performance.now();
  const seconds = (): number => (performance.now() - begin) / 1000;
  const mark = (name: string): void => {
    if (!phases.has(name)) phases.set(name, seconds());
  };
  while (!existsSync(conf.onHost)) {
    if (seconds() * 1000 > deadlineMs) throw new Error(`no ${conf.onHost} after ${deadlineMs} ms`);
    await delay(20);
  }
  mark("ceph.conf is there");
  const ceph = ["ceph", "-c", conf.inNode, "-f", "json", "--connect-timeout", "20"];
  const enter = ["nsenter", ...enterArguments(holder, ceph, "/")] as [string, ...string[]];
  const argv = ["env", ...Object.entries(nodeEnvironment()).map((pair) => pair.join("=")), ...enter];
  const child = new CephChild({ argv: argv as [string, ...string[]] }, { log: pino({ level: "silent" }) });
  let last: unknown;
  try {
    while (seconds() * 1000 < deadlineMs) {
      const report = (await child
        .run(["status"], { deadlineMs: 10_000, answers: true })
        .catch(() => undefined)) as Report | undefined;
      if (report !== undefined) {
        last = { health: report.health, osds: report.osdmap, groups: report.pgmap };
        mark("monitors answer");
        if (report.quorum.length >= wanted.monitors) mark(`${wanted.monitors} monitors in quorum`);
        if (report.mgrmap.available) mark("manager active");
        if (report.osdmap.num_up_osds > 0) mark("first OSD up");
        const up = report.osdmap.num_up_osds >= wanted.osds;
        if (up) mark("all OSDs up");
        const clean =
          report.pgmap.num_pgs > 0 &&
          report.pgmap.pgs_by_state.every(({ state_name }) => state_name === "active+clean");
        if (up && clean) mark("all placement groups clean");
        const whole = up && clean && report.quorum.length >= wanted.monitors;
        if (whole && report.health.status === "HEALTH_OK") {
          mark("HEALTH_OK");
          return seconds();
        }
      }
      await delay(everyMs);
    }
  } finally {
    await child.stop();
  }
  throw new Error(`not healthy after ${deadlineMs} ms: ${JSON.stringify(last)}`);
}

interface Report {
  readonly health: { readonly status: string };
  readonly quorum: readonly number[];
  readonly mgrmap: { readonly available: boolean };
  readonly osdmap: { readonly num_up_osds: number };
  readonly pgmap: {
    readonly num_pgs: number;
    readonly pgs_by_state: readonly { readonly state_name: string }[];
  };
}
