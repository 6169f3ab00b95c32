import { existsSync } from "node:fs";
import { join } from "node:path";
import { loadOrCreateIdentity } from "../../../src/mesh/identity/node-identity.ts";
import type { LabCluster } from "./cluster.ts";
import { minutes } from "./cluster.ts";
import type { Lab } from "./lab.ts";

/** What a trial is made of. */
export interface Trial {
  readonly lab: Lab;
  readonly cluster: LabCluster;
}

/** An operation in which a daemon may be ended at any step. */
export interface CrashOperation {
  /** Nodes at its end, all members. */
  readonly nodes: readonly string[];
  readonly seats: number;
  /** What must be there before; the nodes that it starts itself are bare hosts until then. */
  prepare(trial: Trial): Promise<void>;
  /** The nodes whose daemons take its steps, by role. */
  readonly victims: Readonly<Record<string, (trial: Trial) => string>>;
  /** Set it off. What people type may be cut off by the crash. */
  begin(trial: Trial): Promise<void>;
  /** People type it again where it says that nothing was begun. */
  again?(trial: Trial): Promise<void>;
  /** Resolves once it is carried out to its end. */
  end(trial: Trial): Promise<void>;
}

async function bootstrapped(trial: Trial, ...nodes: string[]): Promise<void> {
  await trial.lab.start("n1");
  await trial.cluster.run("n1", "cluster", "bootstrap");
  for (const node of nodes) await trial.lab.start(node);
  await trial.cluster.formed(["n1", ...nodes]);
  await trial.cluster.settled("n1");
}

async function startAll({ lab }: Trial, nodes: readonly string[]): Promise<void> {
  // One may be ended before its API answers: that is what the trial is about.
  await Promise.allSettled(nodes.map((node) => lab.start(node)));
}

/** Nodes by their PeerIds; the first founds. */
let byPeer: string[] = [];
const nth = (index: number) => (): string => byPeer[index] ?? "n1";

const all = ["n1", "n2", "n3"];

export const crashOperations: Readonly<Record<string, CrashOperation>> = {
  formation: {
    nodes: all,
    seats: 3,
    prepare: async ({ lab }) => {
      const peers = await Promise.all(
        all.map(async (node) => {
          const { peerId } = await loadOrCreateIdentity(lab.hosts.node(node).files.state);
          return { node, peerId };
        }),
      );
      byPeer = peers.sort((a, b) => (a.peerId < b.peerId ? -1 : 1)).map(({ node }) => node);
    },
    victims: { founder: nth(0), acceptor: nth(1) },
    begin: (trial) => startAll(trial, all),
    end: async ({ cluster }) => {
      await cluster.formed(all);
    },
  },
  claim: {
    nodes: ["n1", "n2"],
    seats: 1,
    prepare: (trial) => bootstrapped(trial),
    victims: { claimer: () => "n1", claimed: () => "n2" },
    begin: (trial) => startAll(trial, ["n2"]),
    end: async ({ cluster }) => {
      await cluster.formed(["n1", "n2"]);
    },
  },
  bootstrap: {
    nodes: ["n1"],
    seats: 1,
    prepare: ({ lab }) => lab.start("n1"),
    victims: { node: () => "n1" },
    begin: async ({ cluster }) => {
      await cluster.cli("n1", "cluster", "bootstrap");
    },
    again: async ({ lab, cluster }) => {
      const { self } = await lab.mesh("n1");
      if (self.state === "fresh" && !(await jobRuns(lab, "n1")))
        await cluster.run("n1", "cluster", "bootstrap");
    },
    end: async ({ lab, cluster }) => {
      await noJobRuns(lab, "n1");
      await cluster.settled("n1");
    },
  },
  monitor: {
    nodes: all,
    seats: 3,
    prepare: (trial) => bootstrapped(trial, "n2"),
    victims: { holder: () => "n1", newcomer: () => "n2" },
    begin: (trial) => startAll(trial, ["n3"]),
    end: async ({ cluster }) => {
      await cluster.formed(all);
      await cluster.seated("n1", 3);
      await cluster.settled("n1");
    },
  },
  disk: {
    nodes: ["n1"],
    seats: 1,
    prepare: (trial) => bootstrapped(trial),
    victims: { node: () => "n1" },
    begin: async ({ cluster }) => {
      await cluster.cli("n1", "disk", "add", "loop,1G,1");
    },
    again: async ({ lab, cluster }) => {
      const found = await cluster.cephJson<{ num_osds: number }>("n1", "osd", "stat");
      if (found.num_osds === 0 && !(await jobRuns(lab, "n1"))) {
        await cluster.run("n1", "disk", "add", "loop,1G,1");
      }
    },
    end: async ({ lab, cluster }) => {
      await lab.waitFor(
        "one OSD that is up",
        async (note) => {
          const osds = await cluster.cephJson<{ num_osds: number; num_up_osds: number }>("n1", "osd", "stat");
          note(osds);
          return osds.num_osds === 1 && osds.num_up_osds === 1;
        },
        minutes(3),
      );
      await noJobRuns(lab, "n1");
    },
  },
  remove: {
    nodes: ["n1"],
    seats: 1,
    prepare: async (trial) => {
      await bootstrapped(trial);
      await trial.cluster.run("n1", "disk", "add", "loop,1G,4");
      await trial.cluster.healthy("n1");
    },
    victims: { node: () => "n1" },
    begin: async ({ cluster }) => {
      await cluster.cli("n1", "disk", "remove", "osd.1");
    },
    again: async ({ lab, cluster }) => {
      // Cut off before the job was on disk, nothing is removed by itself.
      if ((await osdNumbers(cluster)).includes(1) && !(await jobRuns(lab, "n1"))) {
        await cluster.cli("n1", "disk", "remove", "osd.1");
      }
    },
    end: async ({ lab, cluster }) => {
      await lab.waitFor(
        "osd.1 to be out, and its directory gone",
        async (note) => {
          const numbers = await osdNumbers(cluster);
          const here = existsSync(join(lab.hosts.node("n1").files.state, "data", "osd", "ceph-1"));
          note({ numbers, here });
          return !numbers.includes(1) && !here;
        },
        minutes(3),
      );
      await noJobRuns(lab, "n1");
      await cluster.healthy("n1");
    },
  },
};

function osdNumbers(cluster: LabCluster): Promise<number[]> {
  return cluster.cephJson<number[]>("n1", "osd", "ls");
}

async function jobRuns(lab: Lab, node: string): Promise<boolean> {
  const jobs = (await lab.get(node, "/1.0/jobs")) as { state: string }[];
  return jobs.some(({ state }) => state === "running");
}

function noJobRuns(lab: Lab, node: string): Promise<true> {
  return lab.waitFor(
    `${node} to have ended its jobs`,
    async (note) => {
      const jobs = (await lab.get(node, "/1.0/jobs")) as { state: string }[];
      note(jobs);
      return jobs.length > 0 && jobs.every(({ state }) => state === "success");
    },
    minutes(3),
  );
}
