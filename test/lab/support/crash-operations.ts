import { existsSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { PlacedReport } from "../../../src/api/contract/placed-services.ts";
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
  /** Hosts of the lab, where it needs more of them than are members at its end. */
  readonly hosts?: number;
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
  /** What is done before one looks whether all is whole. */
  after?(trial: Trial): Promise<void>;
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

/** Who held the lease before, and who did not. */
let holder = "";
let others: string[] = [];

/** Three that formed by themselves, each with a vote and a monitor. */
async function formedTrio(trial: Trial): Promise<void> {
  const { cluster } = trial;
  await startAll(trial, all);
  await cluster.formed(all);
  await cluster.seated("n1", 3);
  await cluster.settled("n1");
  holder = (await cluster.holder("n1")).name;
  others = all.filter((name) => name !== holder);
}

const newAddress = (index: number): string => `10.88.0.${index + 11}`;

/** Of the OSD that is replaced: its uuid before, and the disk that it goes to. */
let replaced = { uuid: "", disk: "" };

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
  replace: {
    nodes: ["n1"],
    seats: 1,
    prepare: async (trial) => {
      await bootstrapped(trial);
      await trial.cluster.run("n1", "disk", "add", "loop,1G,4");
      await trial.cluster.healthy("n1");
      const [disk = ""] = await trial.lab.disk("n1", "1G");
      replaced = { uuid: (await uuidOf(trial.cluster, 1)) ?? "", disk };
    },
    victims: { node: () => "n1" },
    begin: async ({ cluster }) => {
      await cluster.cli("n1", "disk", "replace", "osd.1", replaced.disk);
    },
    again: async ({ lab, cluster }) => {
      if ((await uuidOf(cluster, 1)) === replaced.uuid && !(await jobRuns(lab, "n1"))) {
        await cluster.cli("n1", "disk", "replace", "osd.1", replaced.disk);
      }
    },
    end: async ({ lab, cluster }) => {
      await lab.waitFor(
        "another osd.1 on the new disk",
        async (note) => {
          const uuid = await uuidOf(cluster, 1);
          const block = join(lab.hosts.node("n1").files.state, "data", "osd", "ceph-1", "block");
          const path = existsSync(block) ? readlinkSync(block) : "";
          note({ uuid, path });
          return uuid !== undefined && uuid !== replaced.uuid && path === replaced.disk;
        },
        minutes(3),
      );
      await noJobRuns(lab, "n1");
      await cluster.healthy("n1");
    },
  },
  depart: {
    nodes: ["n1", "n2"],
    hosts: 3,
    seats: 1,
    prepare: async (trial) => {
      await bootstrapped(trial, "n2", "n3");
      await trial.cluster.seated("n1", 3);
      await trial.cluster.settled("n1");
    },
    // The first one holds the lease: its cluster was three times as large for seconds only.
    victims: { holder: () => "n1", leaver: () => "n3", other: () => "n2" },
    begin: async ({ cluster }) => {
      await cluster.cli("n2", "cluster", "remove", "n3");
    },
    again: async ({ lab, cluster }) => {
      const { members } = await lab.mesh("n2");
      if (members.some(({ name }) => name === "n3") && !(await jobRuns(lab, "n2"))) {
        await cluster.cli("n2", "cluster", "remove", "n3");
      }
    },
    end: async ({ lab, cluster }) => {
      await cluster.removed("n3", minutes(5));
      await cluster.formed(["n1", "n2"]);
      await cluster.seated("n1", 1);
      await noJobRuns(lab, "n2");
    },
  },
  service: {
    nodes: ["n1", "n2"],
    seats: 1,
    prepare: async (trial) => {
      await bootstrapped(trial, "n2");
      await trial.cluster.run("n1", "disk", "add", "loop,1G,1", "--target", "all");
      await trial.cluster.healthy("n1");
    },
    victims: { holder: () => "n1", host: () => "n2" },
    begin: wantGateway,
    again: wantGateway,
    end: async ({ lab, cluster }) => {
      await lab.waitFor(
        "one gateway, placed once, that answers",
        async (note) => {
          const { nodes } = (await lab.get("n1", "/1.0/services/rgw")) as PlacedReport;
          const placed = (await cluster.journal("n1")).filter(({ reason }) => reason.includes("rgw.n2"));
          const { stdout } = await lab.exec("n2", ["curl", "-s", "-m", "2", "http://127.0.0.1:8080/"]);
          note({ nodes, placed, stdout });
          return nodes.length === 1 && nodes[0]?.state === "placed" && /ListAllMyBuckets/.test(stdout);
        },
        minutes(4),
      );
    },
    after: async ({ lab, cluster }) => {
      const done = (await cluster.journal("n1")).filter(({ reason }) => /^rgw\.n2 runs/.test(reason));
      if (done.length !== 1) throw new Error(`the gateway was placed ${done.length} times`);
      await cluster.run("n1", "disable", "rgw", "--all");
      await lab.waitFor(
        "nothing of it to be left",
        async () =>
          lab.processes("n2").every(({ args }) => !args[0]?.endsWith("radosgw")) &&
          !existsSync(join(lab.hosts.node("n2").files.state, "data/rgw/ceph-n2")),
        minutes(2),
      );
    },
  },
  move: {
    nodes: all,
    seats: 3,
    prepare: formedTrio,
    victims: { holder: () => holder, other: () => others[0] ?? "" },
    begin: async ({ lab }) => {
      for (const [index, node] of all.entries()) await lab.renumber(node, newAddress(index));
    },
    end: async ({ lab, cluster }) => {
      await lab.waitFor(
        "all monitors in quorum at their new addresses",
        async (note) => {
          const { quorum_names, monmap } = await cluster.cephJson<{
            quorum_names: string[];
            monmap: { mons: { addr: string }[] };
          }>("n1", "quorum_status");
          const addresses = monmap.mons.map(({ addr }) => addr.split(":")[0]).sort();
          note({ quorum_names, addresses });
          return (
            quorum_names.length === 3 && `${addresses}` === `${all.map((_, index) => newAddress(index))}`
          );
        },
        { ...minutes(5), everyMs: 1000 },
      );
    },
  },
  recover: {
    nodes: all,
    seats: 3,
    prepare: async (trial) => {
      await formedTrio(trial);
      const [survivor = "", lost = ""] = others;
      for (const node of [holder, lost]) await trial.lab.kill(node, "all");
      await trial.lab.waitFor(
        "the majority to be seen as lost",
        async (note) => {
          const { lease, members } = await trial.lab.mesh(survivor);
          note({ lease, members: members.map(({ name, presence }) => [name, presence]) });
          const failed = members.filter(({ presence }) => presence === "failed");
          return lease.quorum === "lost" && failed.length === 2;
        },
        minutes(2),
      );
    },
    victims: { survivor: () => others[0] ?? "" },
    begin: recoverHere,
    again: async (trial) => {
      const jobs = (await trial.lab.get(others[0] ?? "", "/1.0/jobs")) as unknown[];
      if (jobs.length === 0) await recoverHere(trial);
    },
    end: async ({ lab, cluster }) => {
      const survivor = others[0] ?? "";
      await lab.waitFor(
        "one recovery, and decisions again",
        async (note) => {
          const { lease } = await lab.mesh(survivor);
          const journal = await cluster.journal(survivor);
          const recovered = journal.filter(({ kind }) => kind === "cluster.recovered");
          note({ lease, recovered });
          return lease.quorum === "ok" && `${recovered.map(({ state }) => state)}` === "done";
        },
        minutes(5),
      );
      await noJobRuns(lab, survivor);
    },
    after: async (trial) => startAll(trial, all),
  },
  rebuild: {
    nodes: all,
    seats: 3,
    prepare: async (trial) => {
      const { lab, cluster } = trial;
      await formedTrio(trial);
      await cluster.run("n1", "disk", "add", "loop,1G,1", "--target", "all");
      await cluster.healthy("n1");
      for (const name of all) {
        const store = `/var/lib/microceph/data/mon/ceph-${name}/store.db`;
        await lab.run(name, ["sh", "-c", `rm -rf ${store}; pkill -9 ceph-mon`], minutes(1));
      }
      await lab.waitFor(
        "nobody to answer any more",
        async (note) => {
          const plan = await cluster.cli(
            ...(["n1", "cluster", "recover", "--monitors-from-osds", "--dry-run"] as const),
          );
          note(plan);
          return plan.exitCode === 0 && plan.stdout.includes("one monitor is made of them");
        },
        minutes(2),
      );
    },
    victims: { builder: () => holder, host: () => others[0] ?? "" },
    begin: rebuildMonitors,
    again: async (trial) => {
      const journal = await trial.cluster.journal("n1");
      if (!journal.some(({ kind }) => kind === "ceph.mon-rebuild")) await rebuildMonitors(trial);
    },
    end: async ({ lab, cluster }) => {
      await lab.waitFor(
        "one rebuilding, and three monitors",
        async (note) => {
          const journal = await cluster.journal("n1");
          const rebuilt = journal.filter(
            ({ kind, state }) => kind === "ceph.mon-rebuild" && state === "done",
          );
          const { quorum_names } = await cluster.cephJson<{ quorum_names: string[] }>("n1", "quorum_status");
          note({ rebuilt, quorum_names });
          return rebuilt.length === 1 && quorum_names.length === 3;
        },
        { ...minutes(6), everyMs: 1000 },
      );
    },
  },
};

/** Asked of a node whose daemon is not the one that ends. */
async function rebuildMonitors({ lab }: Trial): Promise<void> {
  await lab.api(others[1] ?? "", "POST", "/1.0/cluster/recovery/monitors", { lost: [] });
}

/** Said on the holder of the lease, or, while that is away, on the host; again it is the same wish. */
async function wantGateway({ lab }: Trial): Promise<void> {
  for (const node of ["n1", "n2"]) {
    const asked = { targets: ["n2"], port: 8080 };
    const reply = await lab.api(node, "PUT", "/1.0/services/rgw", asked).catch(() => undefined);
    if (reply?.status === 202) return;
  }
}

/** Refused where it is over already. */
async function recoverHere({ lab }: Trial): Promise<void> {
  const [survivor = "", lost = ""] = others;
  await lab.api(survivor, "POST", "/1.0/cluster/recovery", { lost: [holder, lost] }).catch(() => undefined);
}

async function uuidOf(cluster: LabCluster, osd: number): Promise<string | undefined> {
  const map = await cluster.cephJson<{ osds: { osd: number; uuid: string }[] }>("n1", "osd", "dump");
  return map.osds.find((one) => one.osd === osd)?.uuid;
}

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
