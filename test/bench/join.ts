// A second node: started until its OSD is up, against a script that is given Ceph's configuration and key.
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { nodeStateDir } from "../../scripts/lab/layout.ts";
import { LabCluster, minutes } from "../lab/support/cluster.ts";
import { Lab } from "../lab/support/lab.ts";
import type { Bench } from "./bench.ts";
import { reference } from "./ceph/hosts.ts";

/** A cluster of one node with an OSD, and a bare host beside it. */
async function turn(act: (lab: Lab, cluster: LabCluster) => Promise<unknown>): Promise<number> {
  const lab = await Lab.up("bench-join", { nodes: 2, bare: true, expect: 3 });
  try {
    const cluster = new LabCluster(lab);
    await lab.start("n1");
    await cluster.run("n1", "cluster", "bootstrap");
    await cluster.run("n1", "disk", "add", "loop,4G,1");
    await cluster.settled("n1");
    const since = performance.now();
    await act(lab, cluster);
    return (performance.now() - since) / 1000;
  } finally {
    await lab.down();
  }
}

const ours = (): Promise<number> =>
  turn(async (lab, cluster) => {
    await lab.start("n2");
    await lab.waitFor(
      "n2 to be a member that knows Ceph",
      async () => (await lab.get("n2", "/1.0/ready").catch(() => null)) !== null && (await ready(lab)),
      { ...minutes(2), everyMs: 20 },
    );
    await cluster.run("n2", "disk", "add", "loop,4G,1");
  });

async function ready(lab: Lab): Promise<true | undefined> {
  const answer = (await lab.get("n2", "/1.0/ready")) as { ready: boolean };
  return answer.ready ? true : undefined;
}

const byHand = (): Promise<number> =>
  turn(async (lab) => {
    const { state } = lab.hosts.node("n2").files;
    const work = join(state, "by-hand");
    mkdirSync(work, { recursive: true });
    const conf = join(lab.hosts.node("n1").files.state, "conf");
    cpSync(join(conf, "ceph.conf"), join(work, "ceph.conf"));
    cpSync(join(conf, "ceph.client.admin.keyring"), join(work, "keyring"));
    const address = lab.hosts.node("n2").record.address.split("/")[0] ?? "";
    const inNode = join(nodeStateDir, "by-hand");
    await lab.run("n2", ["sh", join(reference, "join.sh"), inNode, address], minutes(2));
    rmSync(work, { recursive: true, force: true });
  });

export const bench: Bench = {
  name: "join",
  about: "a second node from its start until its OSD is up, against a script that is given Ceph's keys",
  runs: 3,
  warmUps: 0,
  async open() {
    return {
      comparisons: [
        {
          title: "second node, until its OSD is up",
          unit: "s",
          reference: "the script",
          ours,
          theirs: byHand,
        },
      ],
      // Each turn takes its own lab down.
      dispose: async () => undefined,
    };
  },
};
