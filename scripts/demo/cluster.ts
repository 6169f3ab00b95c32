import type { MeshStatus } from "../../src/api/contract/mesh.ts";
import type { StatusReport } from "../../src/api/contract/status.ts";
import type { LabHosts } from "../lab/lab-hosts.ts";
import { jsonOn, runOn } from "../lab/node-exec.ts";
import type { Tell } from "./steps.ts";
import { until } from "./until.ts";

/** Monitors that the product runs on so many nodes: 1 at one or two, 3 from three, 5 from seven. */
export function monitorsFor(nodes: number): number {
  if (nodes < 3) return 1;
  return nodes < 7 ? 3 : 5;
}

export interface DefaultRule {
  readonly name: string;
  /** osd, host or rack. */
  readonly domain: string;
}

/** `ceph status -f json`, as far as it is used. */
interface CephReport {
  readonly health: { readonly status: string };
  readonly pgmap: {
    readonly pgs_by_state: readonly { readonly state_name: string; readonly count: number }[];
    readonly num_objects?: number;
  };
}

function ruleText({ name, domain }: DefaultRule): string {
  return `default rule ${name}, failure domain ${domain}`;
}

/** The product as its users meet it: commands on nodes, nothing else. */
export class DemoCluster {
  readonly #lab: LabHosts;
  readonly nodes: readonly string[];

  constructor(lab: LabHosts, nodes: readonly string[]) {
    this.#lab = lab;
    this.nodes = nodes;
  }

  run(node: string, ...command: string[]): Promise<string> {
    return runOn(this.#lab, node, command, { deadlineMs: 180_000 });
  }

  ceph(node: string, ...command: string[]): Promise<string> {
    return this.run(node, "ceph", "--connect-timeout", "10", ...command);
  }

  async mesh(node: string): Promise<MeshStatus> {
    return (await jsonOn(this.#lab, node, ["microceph", "mesh", "status", "--format", "json"])) as MeshStatus;
  }

  async status(node: string): Promise<StatusReport> {
    return (await jsonOn(this.#lab, node, ["microceph", "status", "--format", "json"])) as StatusReport;
  }

  /** Wait until all nodes are members of one cluster; its name and id. */
  formed(tell: Tell): Promise<{ name: string; id: string }> {
    return until("one cluster of all nodes", 120_000, async (waiting) => {
      const all = await Promise.all(this.nodes.map((node) => this.mesh(node)));
      const states = all.map((one, index) => `${this.nodes[index]} ${one.self.state}`).join(", ");
      const reason = all.map((one) => one.self.waitingFor).find((text) => text !== null);
      waiting(states);
      tell(reason == null ? states : `${states} – ${reason}`);
      const cluster = all[0]?.cluster;
      const whole = all.every((one) => one.self.state === "member" && one.cluster?.id === cluster?.id);
      return whole && cluster != null ? { name: cluster.name, id: cluster.id } : undefined;
    });
  }

  /** Wait until as many monitors as the nodes allow are in the quorum. */
  monitors(tell: Tell): Promise<number> {
    const wanted = monitorsFor(this.nodes.length);
    return until(`${wanted} monitors in the quorum`, 180_000, async (waiting) => {
      const inQuorum = (await this.status(this.#first)).health?.monitors.inQuorum ?? 0;
      const text = `${inQuorum} of ${wanted} monitors in the quorum`;
      waiting(text);
      tell(text);
      return inQuorum >= wanted ? inQuorum : undefined;
    });
  }

  /** Loop-file OSDs that each node lacks, `each` per node; how many were added. */
  async addOsds(each: number, tell: Tell): Promise<number> {
    const [first = "n1", ...others] = this.nodes;
    const add = async (node: string): Promise<number> => {
      const name = (await this.mesh(node)).self.name;
      const { disks } = await this.status(node);
      const missing = each - disks.filter((disk) => disk.location === name).length;
      if (missing <= 0) return 0;
      await this.run(node, "microceph", "disk", "add", `loop,1G,${missing}`);
      tell(`${node}: microceph disk add loop,1G,${missing}; ${ruleText(await this.defaultRule())}`);
      return missing;
    };
    // The first one alone, so that the rule it brings can be seen.
    const added = [await add(first), ...(await Promise.all(others.map(add)))];
    return added.reduce((sum, count) => sum + count, 0);
  }

  /** The rule that new pools get, and what it spreads copies over. */
  async defaultRule(): Promise<DefaultRule> {
    const wanted = (
      await this.ceph(this.#first, "config", "get", "mon", "osd_pool_default_crush_rule")
    ).trim();
    const rules = JSON.parse(
      await this.ceph(this.#first, "osd", "crush", "rule", "dump", "-f", "json"),
    ) as readonly { rule_id: number; rule_name: string; steps: readonly { op: string; type?: string }[] }[];
    // -1: Ceph takes its first rule.
    const rule = rules.find((one) => String(one.rule_id) === wanted) ?? rules[0];
    const domain = rule?.steps.find((step) => step.op.startsWith("choose"))?.type;
    return { name: rule?.rule_name ?? "none", domain: domain ?? "none" };
  }

  /** Wait for the product's own default rule to spread over `domain`. */
  spread(domain: string, tell: Tell): Promise<true> {
    return until(`failure domain ${domain}`, 120_000, async (waiting) => {
      const now = await this.defaultRule();
      const text = ruleText(now);
      waiting(text);
      tell(text);
      return now.name.startsWith("microceph_") && now.domain === domain ? true : undefined;
    });
  }

  healthy(tell: Tell): Promise<true> {
    return until("HEALTH_OK", 180_000, async (waiting) => {
      const { health } = await this.status(this.#first);
      const why = health?.checks.map((check) => check.summary).join("; ") ?? "";
      const text =
        health === null ? "no word of Ceph yet" : `${health.status}${why === "" ? "" : `: ${why}`}`;
      waiting(text);
      tell(text);
      return health?.status === "HEALTH_OK" ? true : undefined;
    });
  }

  /** Wait until Ceph's own report is healthy, has every placement group in place and counts the object. */
  settled(tell: Tell): Promise<true> {
    return until("all placement groups active+clean", 120_000, async (waiting) => {
      const report = JSON.parse(await this.ceph(this.#first, "status", "-f", "json")) as CephReport;
      const groups = report.pgmap.pgs_by_state.map((one) => `${one.count} ${one.state_name}`).join(", ");
      const text = `${report.health.status}, placement groups: ${groups || "none"}`;
      waiting(text);
      tell(text);
      const clean = report.pgmap.pgs_by_state.every((one) => one.state_name === "active+clean");
      return report.health.status === "HEALTH_OK" && clean && (report.pgmap.num_objects ?? 0) > 0
        ? true
        : undefined;
    });
  }

  /** Write an object on the first node and read it on the last; what was read. */
  async object(tell: Tell): Promise<string> {
    const last = this.nodes.at(-1) ?? this.#first;
    const pools = JSON.parse(await this.ceph(this.#first, "osd", "pool", "ls", "-f", "json")) as string[];
    if (!pools.includes("demo")) {
      await this.ceph(this.#first, "osd", "pool", "create", "demo");
      await this.ceph(this.#first, "osd", "pool", "application", "enable", "demo", "demo");
      tell('pool "demo" created');
    }
    const text = `written on ${this.#first} at ${new Date().toISOString()}\n`;
    await runOn(this.#lab, this.#first, ["rados", "-p", "demo", "put", "greeting", "-"], {
      input: text,
      deadlineMs: 120_000,
    });
    tell(`${this.#first}: rados put greeting`);
    const read = await this.run(last, "rados", "-p", "demo", "get", "greeting", "-");
    tell(`${last}: rados get greeting: ${JSON.stringify(read.trim())}`);
    if (read !== text) throw new Error(`${last} read something else than ${this.#first} wrote: ${read}`);
    return read;
  }

  get #first(): string {
    return this.nodes[0] ?? "n1";
  }
}
