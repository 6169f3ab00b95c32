import { basename } from "node:path";
import type { ExecOptions } from "../../../scripts/lab/node-exec.ts";
import type { RunResult } from "../../../scripts/lab/run.ts";
import type { JournalEntry } from "../../../src/api/contract/journal.ts";
import type { MeshStatus } from "../../../src/api/contract/mesh.ts";
import type { Lab } from "./lab.ts";

/** Generous: the machine is shared and slow. No test asserts how long anything took. */
export const minutes = (count: number): { deadlineMs: number } => ({ deadlineMs: count * 60_000 });

/** The key that a member of the cluster and its journal share, by node name. */
export type MeshByNode = ReadonlyMap<string, MeshStatus>;

/** What people do with a cluster in a lab, and what tests wait for. */
export class LabCluster {
  readonly lab: Lab;

  constructor(lab: Lab) {
    this.lab = lab;
  }

  /** Run the CLI; whatever its exit code. */
  cli(node: string, ...args: string[]): Promise<RunResult> {
    return this.lab.exec(node, ["microceph", ...args], minutes(4));
  }

  /** Run the CLI, which must succeed; its standard output. */
  run(node: string, ...args: string[]): Promise<string> {
    return this.lab.run(node, ["microceph", ...args], minutes(4));
  }

  ceph(node: string, ...args: string[]): Promise<string> {
    return this.lab.run(node, ["ceph", "--connect-timeout", "20", ...args], minutes(2));
  }

  async cephJson<T>(node: string, ...args: string[]): Promise<T> {
    return JSON.parse(await this.ceph(node, ...args, "--format", "json")) as T;
  }

  rados(node: string, args: readonly string[], options: ExecOptions = minutes(2)): Promise<string> {
    return this.lab.run(node, ["rados", ...args], options);
  }

  async put(node: string, pool: string, object: string, text: string): Promise<void> {
    await this.rados(node, ["-p", pool, "put", object, "-"], { ...minutes(2), input: text });
  }

  object(node: string, pool: string, object: string): Promise<string> {
    return this.rados(node, ["-p", pool, "get", object, "-"]);
  }

  async journal(node: string): Promise<JournalEntry[]> {
    return (await this.lab.get(node, "/1.0/journal?limit=1000")) as JournalEntry[];
  }

  /** Settings of a daemon of Ceph that are in force until it ends, by the layer that nothing stores. */
  async overrides(node: string, daemon: string): Promise<string[]> {
    const text = await this.lab.run(node, ["ceph", "daemon", daemon, "config", "diff"], minutes(1));
    const { diff } = JSON.parse(text) as { diff: Record<string, Record<string, unknown>> };
    return Object.entries(diff).flatMap(([name, layers]) => ("override" in layers ? [name] : []));
  }

  /** All nodes are members of one and the same cluster and each lists exactly these members, alive. */
  formed(nodes: readonly string[], wait = minutes(4)): Promise<MeshByNode> {
    return this.lab.waitFor(
      `one cluster of ${nodes.join(", ")}`,
      async (note) => {
        const found = await this.meshes(nodes);
        note(
          [...found].map(([node, mesh]) => [
            node,
            mesh.self.state,
            mesh.cluster?.id,
            mesh.members.map((member) => `${member.name} ${member.presence}`).join(),
            mesh.self.waitingFor,
          ]),
        );
        const clusters = new Set([...found.values()].map((mesh) => mesh.cluster?.id));
        const whole = [...found.values()].every(
          (mesh) =>
            mesh.self.state === "member" &&
            mesh.members.map((member) => member.name).join() === [...nodes].sort().join() &&
            mesh.members.every((member) => member.presence === "alive"),
        );
        return whole && clusters.size === 1 && !clusters.has(undefined) ? found : undefined;
      },
      wait,
    );
  }

  async meshes(nodes: readonly string[]): Promise<MeshByNode> {
    return new Map(await Promise.all(nodes.map(async (node) => [node, await this.lab.mesh(node)] as const)));
  }

  /** As many voters, a quorum and as many monitors in quorum as said. */
  seated(node: string, seats: number, wait = minutes(5)): Promise<void> {
    return this.lab
      .waitFor(
        `${seats} voters and ${seats} monitors in quorum, seen from ${node}`,
        async (note) => {
          const { members, lease, health } = await this.lab.cephStatus(node);
          const voters = members.filter((member) => member.voter).map((member) => member.name);
          const open = (await this.journal(node)).filter((entry) => entry.state === "open");
          const decisions = open.map(({ id, agent, reason }) => [id, agent, reason]);
          note({ voters, lease, monitors: health?.monitors, decisions });
          const { total, inQuorum } = health?.monitors ?? { total: 0, inQuorum: 0 };
          return (voters.length === seats &&
            lease.quorum === "ok" &&
            total === seats &&
            inQuorum === seats) ||
            undefined
            ? true
            : undefined;
        },
        wait,
      )
      .then(() => undefined);
  }

  /** The journal of the node has no open entry, and managers are placed on `managers` nodes. */
  settled(node: string, wait = minutes(4)): Promise<void> {
    return this.lab
      .waitFor(
        `every decision carried out, seen from ${node}`,
        async (note) => {
          const open = (await this.journal(node)).filter((entry) => entry.state === "open");
          note(open.map(({ kind, agent }) => [kind, agent]));
          return open.length === 0;
        },
        wait,
      )
      .then(() => undefined);
  }

  /** HEALTH_OK, as Ceph says by itself, with every placement group active and clean. */
  healthy(node: string, wait = minutes(5)): Promise<void> {
    return this.lab
      .waitFor(
        `HEALTH_OK and all placement groups active+clean, seen from ${node}`,
        async (note) => {
          const report = await this.cephJson<CephReport>(node, "status");
          const groups = report.pgmap.pgs_by_state.map((one) => `${one.count} ${one.state_name}`);
          note({ health: report.health, groups });
          return (
            report.health.status === "HEALTH_OK" &&
            report.pgmap.pgs_by_state.every((one) => one.state_name === "active+clean")
          );
        },
        { ...wait, everyMs: 1000 },
      )
      .then(() => undefined);
  }

  /** The node was handed its tombstone, and none of Ceph's daemons runs there any more. */
  async removed(node: string, wait = minutes(3)): Promise<void> {
    await this.lab.waitFor(
      `${node} to have stopped and forgotten all`,
      async (note) => {
        const { self } = await this.lab.mesh(node);
        const daemons = [...this.daemons(node).keys()];
        note({ self, daemons });
        return self.state === "removed" && daemons.length === 0;
      },
      wait,
    );
  }

  /** Formed by itself; these disks are added on each node while votes and monitors are still being given. */
  async formedWithDisks(
    nodes: readonly string[],
    disksOf: (node: string) => Promise<readonly string[]> = async () => ["loop,1G,1"],
  ): Promise<void> {
    const [first = ""] = nodes;
    await this.formed(nodes);
    await Promise.all([
      this.seated(first, 3),
      ...nodes.map(async (node) => {
        const [disks] = await Promise.all([disksOf(node), this.run(node, "waitready", "--timeout", "180")]);
        await this.run(node, "disk", "add", ...disks);
      }),
    ]);
  }

  /** Formed and seated by itself, with an OSD on each of these nodes, and this text in a pool of its own. */
  async holding(nodes: readonly string[], text: string): Promise<void> {
    const [first = ""] = nodes;
    await this.formedWithDisks(nodes);
    await this.settled(first);
    await this.ceph(first, "osd", "pool", "create", "data", "8");
    await this.ceph(first, "osd", "pool", "application", "enable", "data", "test");
    await this.healthy(first);
    await this.put(first, "data", "kept", text);
  }

  /** Every pool keeps one copy. Monitors heed the permission for it a moment after it was given. */
  async singleCopies(node: string): Promise<void> {
    const pools = await this.cephJson<{ poolname: string }[]>(node, "osd", "lspools");
    await this.ceph(node, "config", "set", "global", "mon_allow_pool_size_one", "true");
    for (const { poolname } of pools) {
      const set = ["ceph", "--connect-timeout", "20", "osd", "pool", "set", poolname];
      await this.lab.waitFor(
        `one copy in ${poolname}`,
        async (note) => {
          const asked = [...set, "size", "1", "--yes-i-really-mean-it"];
          const { exitCode, stderr } = await this.lab.exec(node, asked, minutes(2));
          note(stderr);
          return exitCode === 0;
        },
        { ...minutes(2), everyMs: 500 },
      );
      await this.lab.run(node, [...set, "min_size", "1"], minutes(2));
    }
  }

  /** The holder's node name and the epoch, once `node` knows of a quorum and a holder. */
  holder(
    node: string,
    accept: (found: { name: string; epoch: number }) => boolean = () => true,
    wait = minutes(3),
  ): Promise<{ name: string; epoch: number }> {
    return this.lab.waitFor(
      `a holder of the lease, seen from ${node}`,
      async (note) => {
        const { lease, members } = await this.lab.mesh(node);
        const name = members.find((member) => member.id === lease.holder)?.name;
        note({ lease, name });
        if (lease.quorum !== "ok" || name === undefined || lease.epoch === null) return undefined;
        const found = { name, epoch: lease.epoch };
        return accept(found) ? found : undefined;
      },
      wait,
    );
  }

  /** Ceph's daemons of a node with the host's pids, by name: `osd.0`, `mon.n1`. */
  daemons(node: string): Map<string, number> {
    return new Map(
      this.lab.processes(node).flatMap(({ pid, args }) => {
        const type = /^ceph-(mon|mgr|mds|osd)$/.exec(basename(args[0] ?? ""))?.[1];
        const id = args[args.indexOf("-i") + 1];
        const isMade = args.includes("--mkfs");
        return type === undefined || id === undefined || isMade ? [] : [[`${type}.${id}`, pid] as const];
      }),
    );
  }

  /** Names of the monitors in Ceph's map, sorted. */
  async monitors(node: string): Promise<string[]> {
    const map = await this.cephJson<{ mons: { name: string }[] }>(node, "mon", "dump");
    return map.mons.map((mon) => mon.name).sort();
  }

  /** Default rule of new pools, by name and failure domain. */
  async defaultRule(node: string): Promise<{ name: string; domain: string }> {
    const wanted = (await this.ceph(node, "config", "get", "mon", "osd_pool_default_crush_rule")).trim();
    const rules = await this.cephJson<CrushRule[]>(node, "osd", "crush", "rule", "dump");
    const rule = rules.find((one) => String(one.rule_id) === wanted);
    const domain = rule?.steps.find((step) => step.op.startsWith("choose"))?.type;
    return { name: rule?.rule_name ?? `none (${wanted})`, domain: domain ?? "none" };
  }
}

interface CephReport {
  readonly health: { readonly status: string; readonly checks: unknown };
  readonly pgmap: {
    readonly pgs_by_state: readonly { readonly state_name: string; readonly count: number }[];
  };
}

interface CrushRule {
  readonly rule_id: number;
  readonly rule_name: string;
  readonly steps: readonly { readonly op: string; readonly type?: string }[];
}
