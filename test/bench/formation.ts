// Three fresh nodes until they are one healthy Ceph with three monitors and an OSD each, against a script that
// knows all three from the start and does everything at once.
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { nodeStateDir } from "../../scripts/lab/layout.ts";
import type { Bench } from "./bench.ts";
import { BenchHosts, phaseLine, reference, sharedConf, tunedConf } from "./ceph/hosts.ts";

const nodes = ["n1", "n2", "n3"];
const wanted = { osds: 3, monitors: 3 };
/** How long the first of three waits for more before it founds. */
const quietWindowSeconds = 3;

export const bench: Bench = {
  name: "formation",
  about: "three fresh nodes to HEALTH_OK with three monitors and three OSDs, against a parallel script",
  runs: 3,
  warmUps: 0,
  async open(say) {
    const hosts = new BenchHosts("formation");
    const ours = (): Promise<number> =>
      hosts.fresh({ nodes: 3, bare: true }, async () => {
        const turn = await hosts.timed("n1", hosts.ourConf("n1"), wanted, async (mark) => {
          await Promise.all(
            nodes.map(async (node) => {
              await hosts.lab.start(node);
              await hosts.run(node, "microceph", "waitready", "--timeout", "120");
              await hosts.run(node, "microceph", "disk", "add", "loop,4G,1");
              mark(`${node} has its OSD`);
            }),
          );
        });
        say(phaseLine("ours", turn));
        return turn.seconds - quietWindowSeconds;
      });
    const byHand = (): Promise<number> =>
      hosts.fresh({ nodes: 3, bare: true }, async () => {
        const addresses = nodes.map((node) => hosts.address(node));
        const folder = (node: string): string => join(hosts.lab.dir, node, "state", "by-hand");
        mkdirSync(folder("n1"), { recursive: true });
        const inNode = join(nodeStateDir, "by-hand");
        await hosts.run("n1", "sh", join(reference, "three-nodes-material.sh"), inNode, ...addresses);
        for (const node of ["n2", "n3"]) cpSync(folder("n1"), folder(node), { recursive: true });
        const conf = { inNode: join(inNode, "ceph.conf"), onHost: join(folder("n1"), "ceph.conf") };
        const script = join(reference, "three-nodes-parallel.sh");
        const turn = await hosts.timed("n1", conf, wanted, () =>
          Promise.all(
            nodes.map((node, n) =>
              hosts.run(node, "sh", script, inNode, addresses[n] ?? "", `${n}`, sharedConf, tunedConf),
            ),
          ),
        );
        say(phaseLine("the parallel script", turn));
        return turn.seconds;
      });
    return {
      comparisons: [
        {
          title: `three nodes to HEALTH_OK, without the ${quietWindowSeconds} s in which they wait for more`,
          unit: "s",
          reference: "the parallel script",
          aim: 1.25,
          ours,
          theirs: byHand,
        },
      ],
      dispose: async () => {
        await hosts.lab.down();
      },
    };
  },
};
