// Twelve disks in one call, until all OSDs are up, against a script that makes them by hand.
import { readFileSync } from "node:fs";
import { LabCluster, minutes } from "../lab/support/cluster.ts";
import { Lab } from "../lab/support/lab.ts";
import type { Bench } from "./bench.ts";

const count = 12;
const script = readFileSync(new URL("disks-by-hand.sh", import.meta.url), "utf8");

/** A node with Ceph and empty disks, for one figure: seconds that `act` takes until all OSDs are up. */
async function turn(
  act: (cluster: LabCluster, disks: readonly string[]) => Promise<unknown>,
): Promise<number> {
  const lab = await Lab.up("bench-disks", { nodes: 1, expect: 3 });
  try {
    const cluster = new LabCluster(lab);
    await cluster.run("n1", "cluster", "bootstrap");
    await cluster.run("n1", "waitready", "--timeout", "180");
    const disks = await lab.disk("n1", "1G", count);
    const since = performance.now();
    await act(cluster, disks);
    const seconds = (performance.now() - since) / 1000;
    const { num_up_osds: up } = await cluster.cephJson<{ num_up_osds: number }>("n1", "osd", "stat");
    if (up !== count) throw new Error(`${up} of ${count} OSDs are up`);
    return seconds;
  } finally {
    await lab.down();
  }
}

const ours = (): Promise<number> => turn((cluster, disks) => cluster.run("n1", "disk", "add", ...disks));
const byHand = (mode: "parallel" | "sequence"): Promise<number> =>
  turn(({ lab }, disks) => lab.run("n1", ["sh", "-c", script, "by-hand", mode, ...disks], minutes(5)));

export const bench: Bench = {
  name: "disks",
  about: `${count} disks in one call until all OSDs are up, against the same by hand, in parallel and in sequence`,
  runs: 3,
  warmUps: 0,
  async open() {
    const title = `${count} OSDs on devices, up`;
    return {
      comparisons: [
        {
          title,
          unit: "s",
          reference: "the parallel script",
          aim: 1.15,
          ours,
          theirs: () => byHand("parallel"),
        },
        { title, unit: "s", reference: "the script in sequence", ours, theirs: () => byHand("sequence") },
      ],
      // Each turn takes its own lab down.
      dispose: async () => undefined,
    };
  },
};
