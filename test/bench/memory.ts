// Resident memory of the daemon of a voter among three, against a libp2p host that does nothing.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { LabCluster } from "../lab/support/cluster.ts";
import { Lab } from "../lab/support/lab.ts";
import type { Bench } from "./bench.ts";

const nodes = ["n1", "n2", "n3"];
/** Milliseconds that everything is left alone before a figure is taken: what is given back comes after 30 s of rest. */
const restMs = 60_000;

function residentMB(pid: number): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return (Number(kib) * 1024) / 1e6;
}

async function bareHost(): Promise<number> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "reference", "bare-host.ts")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await once(child.stdout, "data");
    await delay(3_000);
    return residentMB(child.pid ?? 0);
  } finally {
    child.kill("SIGKILL");
  }
}

export const bench: Bench = {
  name: "memory",
  about: "resident memory of the largest daemon of three members with OSDs, against a bare libp2p host",
  runs: 3,
  warmUps: 0,
  async open() {
    const lab = await Lab.up("bench-memory", { nodes: 3 });
    const cluster = new LabCluster(lab);
    await cluster.formed(nodes);
    await cluster.seated("n1", 3);
    for (const node of nodes) await cluster.run(node, "disk", "add", "loop,1G,1");
    await cluster.healthy("n1");
    const daemonOf = (node: string): number =>
      lab.processes(node).find(({ args }) => args.some((word) => word.endsWith("microcephd.cjs")))?.pid ?? 0;
    return {
      comparisons: [
        {
          title: "daemon of a voter among three",
          unit: "MB",
          reference: "a bare libp2p host",
          absoluteAim: 130,
          ours: async () => {
            await delay(restMs);
            return Math.max(...nodes.map((node) => residentMB(daemonOf(node))));
          },
          theirs: bareHost,
        },
      ],
      dispose: () => lab.down(),
    };
  },
};
