// A node is started until a member knows it as waiting at its door, against one multicast packet by hand.
import { join } from "node:path";
import { LabCluster, minutes } from "../lab/support/cluster.ts";
import { Lab } from "../lab/support/lab.ts";
import type { Bench } from "./bench.ts";

const script = join(import.meta.dirname, "reference", "multicast.ts");

export const bench: Bench = {
  name: "discovery",
  about: "a node is started until a member sees it, against a Node program that sends one multicast packet",
  runs: 5,
  warmUps: 1,
  async open() {
    const lab = await Lab.up("bench-discovery", { nodes: 2, bare: true, admission: "approve", expect: 3 });
    await lab.start("n1");
    await new LabCluster(lab).run("n1", "cluster", "bootstrap");
    const address = (node: string): string => lab.hosts.node(node).record.address.split("/")[0] ?? "";
    const seen = async (): Promise<boolean> =>
      (await lab.mesh("n1")).pending.some(({ name }) => name === "n2");
    return {
      comparisons: [
        {
          title: "started until a member sees it",
          unit: "s",
          reference: "one packet of a Node program",
          ours: async () => {
            const since = performance.now();
            const started = lab.start("n2");
            await lab.waitFor("n2 to be seen", async () => (await seen()) || undefined, {
              ...minutes(1),
              everyMs: 10,
            });
            const seconds = (performance.now() - since) / 1000;
            await started;
            await lab.kill("n2", "all");
            await lab.waitFor("n2 to be gone", async () => !(await seen()) || undefined, minutes(5));
            return seconds;
          },
          theirs: async () => {
            const heard = lab.run("n1", [process.execPath, script, "listen", address("n1")], minutes(1));
            // It says that it listens on its standard output, which is read at its end: a second is plenty.
            await new Promise((resolve) => setTimeout(resolve, 1_000));
            const since = performance.now();
            await lab.run("n2", [process.execPath, script, "send", address("n2")], minutes(1));
            await heard;
            return (performance.now() - since) / 1000;
          },
        },
      ],
      dispose: () => lab.down(),
    };
  },
};
