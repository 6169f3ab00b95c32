// The leader dies: until another member holds the lease. Against a bare etcd with the same timers, whose leader,
// or the client of it that holds a key with a TTL of 2 s, dies.
import { setTimeout as delay } from "node:timers/promises";
import { defaultTimers } from "../../src/state/etcd/etcd-arguments.ts";
import { LabCluster, minutes } from "../lab/support/cluster.ts";
import { Lab } from "../lab/support/lab.ts";
import { EtcdCluster, type EtcdHost, until } from "../support/etcd-cluster.ts";
import type { Bench } from "./bench.ts";

const nodes = ["n1", "n2", "n3"];
const bareTtlSeconds = 2;
const key = "/bench/leader";
type Death = "daemon" | "etcd" | "node";

/**
 * Seconds from the death until another member says that it, or a third one, leads and that there is a quorum. Of
 * its etcd alone: until that runs again and the leader, which stays so, has a quorum.
 */
async function ours(lab: Lab, cluster: LabCluster, death: Death): Promise<number> {
  const { name: victim, epoch } = await cluster.holder("n1");
  const [witness = ""] = nodes.filter((node) => node !== victim);
  // A host without power refuses nothing: it is silent.
  if (death === "node") await lab.cut(victim);
  const since = performance.now();
  if (death === "etcd") killEtcd(lab, victim);
  else await lab.kill(victim, death === "node" ? "all" : "daemon");
  await lab.waitFor(
    `a leader after ${victim}`,
    async () => {
      const { lease, self, members } = await lab.mesh(witness);
      if (death === "etcd") return etcdOf(lab, victim) !== undefined && (await hasQuorum(lab, victim));
      const holder = [self, ...members].find(({ id }) => id === lease.holder);
      return lease.quorum === "ok" && holder !== undefined && lease.epoch !== epoch;
    },
    { ...minutes(2), everyMs: 10 },
  );
  const seconds = (performance.now() - since) / 1000;
  if (death === "node") await lab.heal(victim);
  if (death !== "etcd") await lab.start(victim);
  await cluster.formed(nodes);
  await cluster.seated(witness, 3);
  await cluster.settled(witness);
  return seconds;
}

function etcdOf(lab: Lab, node: string): number | undefined {
  return lab.processes(node).find(({ args }) => /(^|\/)etcd$/.test(args[0] ?? ""))?.pid;
}

async function hasQuorum(lab: Lab, node: string): Promise<boolean> {
  return (await lab.mesh(node)).lease.quorum === "ok";
}

function killEtcd(lab: Lab, node: string): void {
  const pid = etcdOf(lab, node);
  if (pid === undefined) throw new Error(`no etcd on ${node}`);
  process.kill(pid, "SIGKILL");
}

/** The same of three bare etcd: a candidate on another one takes the key as soon as it is gone. */
async function bare(death: Death): Promise<number> {
  const cluster = new EtcdCluster(defaultTimers);
  try {
    const hosts = [1, 2, 3].map((number) => cluster.host(number));
    const voters = hosts.map(({ handle, peer }) => ({ handle, peer }));
    await Promise.all(hosts.map((host) => host.start("new", voters)));
    const [first] = hosts as [EtcdHost, ...EtcdHost[]];
    await until("a leader of etcd", async () => (await first.client.status()).leader !== "0", 30_000);
    const { leader } = await first.client.status();
    const ids = await Promise.all(hosts.map(async ({ client }) => (await client.status()).member));
    const holder = hosts[ids.indexOf(leader)] ?? first;
    const other = hosts.find((host) => host !== holder) ?? first;
    const { id } = await holder.client.leaseGrant(bareTtlSeconds);
    await holder.client.txn({
      compare: [],
      success: [{ do: "put", key, value: "one", lease: id }],
      failure: [],
    });
    // As a holder that lives renews it, every third of its time.
    let alive = true;
    const renewing = (async () => {
      while (alive) {
        await holder.client.leaseKeepAlive(id, { deadlineMs: 500 }).catch(() => undefined);
        await delay((bareTtlSeconds * 1000) / 3);
      }
    })();
    await delay(2_000);
    const since = performance.now();
    alive = false;
    if (death !== "daemon") await holder.kill();
    const next = await other.client.leaseGrant(60).catch(() => undefined);
    await until(
      "the key to be taken",
      async () => {
        const lease = next ?? (await other.client.leaseGrant(60, { deadlineMs: 500 }).catch(() => undefined));
        if (lease === undefined) return false;
        const taken = await other.client
          .txn(
            {
              compare: [{ key, target: "create", result: "equal", revision: 0 }],
              success: [{ do: "put", key, value: "two", lease: lease.id }],
              failure: [],
            },
            { deadlineMs: 500 },
          )
          .catch(() => undefined);
        return taken?.succeeded === true;
      },
      60_000,
    );
    const seconds = (performance.now() - since) / 1000;
    await renewing;
    return seconds;
  } finally {
    await cluster.stop();
  }
}

export const bench: Bench = {
  name: "lease",
  about: "from the death of the leader's daemon, etcd or node until another leads, against bare etcd",
  runs: 3,
  warmUps: 0,
  async open() {
    const lab = await Lab.up("bench-lease", { nodes: 3 });
    const cluster = new LabCluster(lab);
    await cluster.formed(nodes);
    await cluster.seated("n1", 3);
    await cluster.settled("n1");
    return {
      comparisons: (["daemon", "etcd", "node"] as const).map((death) => ({
        title: `the leader's ${death} dies, until another leads`,
        unit: "s",
        reference: `bare etcd, TTL ${bareTtlSeconds} s`,
        aim: 1.5,
        ours: () => ours(lab, cluster, death),
        theirs: () => bare(death),
      })),
      dispose: () => lab.down(),
    };
  },
};
