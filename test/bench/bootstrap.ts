import type { Bench } from "./bench.ts";
import { BenchHosts, naiveConf, phaseLine, sharedConf, tunedConf } from "./ceph/hosts.ts";
import { journalPhases } from "./ceph/journal-phases.ts";

const wanted = { osds: 3, monitors: 1 };

/** One node: `cluster bootstrap`, `disk add loop,4G,3`, until HEALTH_OK. */
export const bench: Bench = {
  name: "bootstrap",
  about: "one node with three loop OSDs to HEALTH_OK, against a tuned script and a naive one",
  runs: 5,
  warmUps: 0,
  async open(say) {
    const hosts = new BenchHosts("bootstrap");
    const ours = (): Promise<number> =>
      hosts.fresh({ nodes: 1, bare: false }, async () => {
        const begunAt = Date.now();
        const turn = await hosts.timed("n1", hosts.ourConf("n1"), wanted, async (mark) => {
          await hosts.run("n1", "microceph", "cluster", "bootstrap");
          mark("cluster bootstrap has returned");
          await hosts.run("n1", "microceph", "disk", "add", "loop,4G,3");
          mark("disk add has returned");
        });
        say(phaseLine("ours", turn));
        say(await journalPhases(hosts, "n1", begunAt));
        return turn.seconds;
      });
    const byHand = (script: string, confs: readonly string[]): Promise<number> =>
      hosts.fresh({ nodes: 1, bare: true }, async () => {
        const turn = await hosts.script("n1", script, confs, wanted);
        say(phaseLine(script, turn));
        return turn.seconds;
      });
    return {
      comparisons: [
        {
          title: "one node, three OSDs, to HEALTH_OK",
          unit: "s",
          reference: "the tuned script",
          aim: 1.25,
          ours,
          theirs: () => byHand("one-node-tuned.sh", [sharedConf, tunedConf]),
        },
        {
          title: "one node, three OSDs, to HEALTH_OK",
          unit: "s",
          reference: "the naive script with Ceph's defaults",
          ours,
          theirs: () => byHand("one-node-naive.sh", [naiveConf]),
        },
      ],
      dispose: async () => {
        await hosts.lab.down();
      },
    };
  },
};
