// Hosts whose addresses change, one alone and all at once: real monitors and OSDs, with data on them.
import { afterAll, beforeAll, expect, it } from "vitest";
import { LabCluster } from "./support/cluster.ts";
import { Lab } from "./support/lab.ts";
import { labSuite } from "./support/lab-suite.ts";
import { settledAt } from "./support/moved-hosts.ts";

const three = ["n1", "n2", "n3"];

labSuite("hosts that move", () => {
  let lab: Lab;
  let cluster: LabCluster;
  const text = "what must not be lost";
  const settled = async (expected: ReadonlyMap<string, string>, seenBy: string): Promise<void> => {
    await settledAt({ lab, cluster }, expected, seenBy);
    expect(await cluster.object("n1", "data", "kept")).toBe(text);
  };

  beforeAll(async () => {
    lab = await Lab.up("moving", { nodes: 3 });
    cluster = new LabCluster(lab);
    await cluster.holding(three, text);
  });
  afterAll(async () => {
    await lab?.down();
  });

  const ips = async (): Promise<Map<string, string>> =>
    new Map(await Promise.all(three.map(async (name) => [name, (await lab.node(name)).ip] as const)));

  it("are followed by their monitor and OSD when one gets another address", async () => {
    const holder = (await cluster.holder("n1")).name;
    const moved = three.find((name) => name !== holder) ?? "";
    const before = await ips();
    const address = (before.get(moved) ?? "").replace(/[0-9]+$/, "91");
    await lab.renumber(moved, address);
    await settled(new Map([...before, [moved, address]]), holder);
    const reasons = (await cluster.journal(holder)).map(({ reason }) => reason).join("\n");
    expect(reasons).toContain(`the monitor ${moved} is lost: it is made anew`);
  });

  it("come back when all were switched off, moved to another network and switched on", async () => {
    for (const name of three) await lab.kill(name, "all");
    const moved = new Map(three.map((name, index) => [name, `10.88.0.${index + 11}`]));
    for (const [name, address] of moved) await lab.renumber(name, address);
    for (const name of three) await lab.start(name);
    await settled(moved, "n1");
    const decisions = (await cluster.journal("n1")).filter(({ kind }) => kind === "ceph.renumber");
    expect(decisions.map(({ state }) => state)).toEqual(["done"]);
    const config = await lab.run("n2", ["cat", "/var/lib/microceph/conf/ceph.conf"]);
    expect(config).toContain("public network = 10.88.0.0/24");
  });
});
