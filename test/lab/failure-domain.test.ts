// Zones become racks, the failure domain follows or is set, user rules stay, data stays readable. Real Ceph.
import { afterAll, beforeAll, expect, it } from "vitest";
import { LabCluster, minutes } from "./support/cluster.ts";
import { Lab } from "./support/lab.ts";
import { labSuite } from "./support/lab-suite.ts";

const trio = ["n1", "n2", "n3"];

labSuite("zones and the failure domain of three hosts with a disk each", () => {
  let lab: Lab;
  let cluster: LabCluster;

  beforeAll(async () => {
    lab = await Lab.up("domain", { nodes: 3 });
    cluster = new LabCluster(lab);
    await cluster.formedWithDisks(trio);
    await domainIs("host");
    await cluster.ceph("n1", "osd", "pool", "create", "data", "8");
    await cluster.ceph("n1", "osd", "pool", "application", "enable", "data", "rados");
    await cluster.put("n1", "data", "note", "kept");
  });
  afterAll(async () => {
    await lab?.down();
  });

  function domainIs(domain: string): Promise<void> {
    return lab
      .waitFor(
        `the default rule over ${domain}`,
        async (note) => {
          const rule = await cluster.defaultRule("n1");
          note(rule);
          return rule.domain === domain;
        },
        minutes(4),
      )
      .then(() => undefined);
  }

  interface Tree {
    readonly nodes: readonly { id: number; name: string; type: string; children?: readonly number[] }[];
  }

  /** Host → rack, and the racks that are there. */
  async function places(): Promise<{ hosts: Record<string, string>; racks: string[] }> {
    const { nodes } = await cluster.cephJson<Tree>("n1", "osd", "tree");
    const parent = (id: number): string => nodes.find((one) => one.children?.includes(id))?.name ?? "";
    const hosts = nodes.filter(({ type }) => type === "host").map(({ id, name }) => [name, parent(id)]);
    return {
      hosts: Object.fromEntries(hosts) as Record<string, string>,
      racks: nodes.filter(({ type }) => type === "rack").map(({ name }) => name),
    };
  }

  async function poolRule(pool: string): Promise<string> {
    return (
      (await cluster.ceph("n1", "osd", "pool", "get", pool, "crush_rule")).trim().split(" ").at(-1) ?? ""
    );
  }

  it("leave a user's rule and pool alone while zones become racks and the rule follows", async () => {
    await cluster.ceph("n1", "osd", "crush", "rule", "create-replicated", "theirs", "default", "osd");
    await cluster.ceph("n1", "osd", "pool", "create", "users", "8", "8", "replicated", "theirs");
    for (const [node, zone] of [
      ["n1", "a"],
      ["n2", "b"],
      ["n3", "c"],
    ] as const) {
      // From another member than the one that is placed.
      expect(await cluster.run("n2", "cluster", "zone", "set", node, zone)).toContain(
        `${node} stands in zone ${zone}`,
      );
    }
    await domainIs("rack");
    expect((await places()).hosts).toEqual({ n1: "az.a", n2: "az.b", n3: "az.c" });
    await lab.waitFor(
      "the pool on our rule to follow",
      async () => (await poolRule("data")) === "microceph_auto_rack",
      minutes(2),
    );
    expect(await poolRule("users")).toBe("theirs");
    expect(await cluster.run("n3", "cluster", "zone", "list")).toMatch(/n2 .* b .* az\.b/);
    expect(await cluster.object("n3", "data", "note")).toBe("kept");
  });

  it("step down only when that is confirmed, and say what would move before", async () => {
    const plan = JSON.parse(
      await cluster.run("n2", "cluster", "failure-domain", "plan", "osd", "--format", "json"),
    );
    expect(plan).toMatchObject({ current: "rack", next: { from: "rack", to: "osd" } });
    expect(plan.next.pools).toContain("data");
    expect(plan.next.pools).not.toContain("users");
    const refused = await cluster.cli("n2", "cluster", "failure-domain", "set", "host");
    expect([refused.exitCode, refused.stderr]).toEqual([4, expect.stringContaining("DOWNGRADE_UNCONFIRMED")]);
    await domainIs("rack");
    await cluster.run("n2", "cluster", "failure-domain", "set", "host", "--confirm-failure-domain-downgrade");
    await domainIs("host");
    await cluster.run("n1", "cluster", "failure-domain", "set", "auto");
    await domainIs("rack");
    expect(await cluster.object("n2", "data", "note")).toBe("kept");
  });

  it("move a host to another zone, and take the empty rack away", async () => {
    await cluster.run("n3", "cluster", "zone", "set", "n1", "d");
    await lab.waitFor(
      "n1 in az.d and no az.a",
      async (note) => {
        const now = await places();
        note(now);
        return now.hosts.n1 === "az.d" && !now.racks.includes("az.a");
      },
      minutes(4),
    );
    expect(await cluster.object("n2", "data", "note")).toBe("kept");
  });

  it("never touch a default rule that is a user's", async () => {
    const rules = await cluster.cephJson<{ rule_id: number; rule_name: string }[]>(
      "n1",
      "osd",
      "crush",
      "rule",
      "dump",
    );
    const id = rules.find(({ rule_name }) => rule_name === "theirs")?.rule_id;
    await cluster.ceph("n1", "config", "set", "global", "osd_pool_default_crush_rule", String(id));
    const refused = await cluster.cli("n1", "cluster", "failure-domain", "set", "host");
    expect([refused.exitCode, refused.stderr]).toEqual([4, expect.stringContaining("RULE_NOT_OURS")]);
    expect(await cluster.run("n1", "cluster", "failure-domain", "show")).toContain("theirs");
    expect((await cluster.defaultRule("n1")).name).toBe("theirs");
  });
});
