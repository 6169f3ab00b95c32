// The CLI on a node with a cluster, against an empty Node program and against Ceph's own.
import { LabCluster } from "../lab/support/cluster.ts";
import { Lab } from "../lab/support/lab.ts";
import type { Bench } from "./bench.ts";

/** Runs of one turn, one after the other; the figure is their mean. */
const perTurn = 10;
const loop = `n=${perTurn}; a=$(date +%s%N); while [ $n -gt 0 ]; do "$@" >/dev/null || exit 1; n=$((n - 1)); done; b=$(date +%s%N); echo $(((b - a) / ${perTurn * 1000}))`;

export const bench: Bench = {
  name: "cli",
  about: "microceph status, against an empty Node program and ceph -s",
  runs: 5,
  warmUps: 1,
  async open() {
    const lab = await Lab.up("bench-cli", { nodes: 1, expect: 3 });
    const cluster = new LabCluster(lab);
    await cluster.run("n1", "cluster", "bootstrap");
    /** Milliseconds of one run, measured by a shell on the node. */
    const mean = async (...command: string[]): Promise<number> =>
      Number(await lab.run("n1", ["sh", "-c", loop, "bench", ...command])) / 1000;
    const ours = (): Promise<number> => mean("microceph", "status");
    const title = "microceph status";
    return {
      comparisons: [
        {
          ...{ title, unit: "ms", reference: "an empty Node program", aim: 1.9, ours },
          theirs: () => mean(process.execPath, "-e", "0"),
        },
        { title, unit: "ms", reference: "ceph -s", aim: 0.35, ours, theirs: () => mean("ceph", "-s") },
      ],
      dispose: () => lab.down(),
    };
  },
};
