// What operators do with a cluster that runs: restarts in turn, pools, settings of Ceph. Real Ceph, with data on it.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { UpgradePlan, UpgradeReply } from "../../src/api/contract/upgrade.ts";
import { LabCluster, minutes } from "./support/cluster.ts";
import { Lab } from "./support/lab.ts";
import { labSuite } from "./support/lab-suite.ts";

const three = ["n1", "n2", "n3"];

labSuite("a cluster in operation", () => {
  let lab: Lab;
  let cluster: LabCluster;
  const text = "what must not be lost";
  /** Pids of Ceph's daemons by their units, on all nodes. */
  const pids = (): Map<string, number> => new Map(three.flatMap((node) => [...cluster.daemons(node)]));

  beforeAll(async () => {
    lab = await Lab.up("operations", { nodes: 3 });
    cluster = new LabCluster(lab);
    await cluster.holding(three, text);
  });
  afterAll(async () => {
    await lab?.down();
  });

  it("restarts every daemon in turn, with the daemon of ours that does it killed on the way", async () => {
    const plan = JSON.parse(
      await cluster.run("n1", "cluster", "upgrade", "plan", "--format", "json"),
    ) as UpgradePlan;
    // What was built is what is installed.
    expect(plan.steps).toEqual([]);
    expect(plan.nodes.map(({ node, problem }) => [node, problem])).toEqual(three.map((node) => [node, ""]));
    const before = pids();
    const kinds = [...before.keys()].map((unit) => unit.split(".")[0]);
    expect(kinds.filter((kind) => kind === "osd")).toHaveLength(3);
    const done = cluster.run("n2", "cluster", "upgrade", "run", "--all", "--format", "json");
    const begun = lab.waitFor(
      "the first OSD to have been restarted",
      async (note) => {
        const now = pids();
        const changed = [...before].filter(([unit, pid]) => now.has(unit) && now.get(unit) !== pid);
        note(changed);
        return changed.some(([unit]) => unit.startsWith("osd."));
      },
      minutes(4),
    );
    await Promise.race([begun, done]);
    const second = await cluster.cli("n1", "cluster", "upgrade", "run");
    expect([second.exitCode, second.stderr]).toEqual([
      4,
      expect.stringContaining("an upgrade runs already, on n2"),
    ]);
    await lab.kill("n2", "daemon");
    await lab.start("n2");
    const reply = JSON.parse(await done) as UpgradeReply;
    expect(reply).toMatchObject({ release: null, warnings: [] });
    const order = reply.restarted.map((unit) => unit.split(".")[0] ?? "");
    expect([...new Set(order)]).toEqual(["mon", "mgr", "osd", "mds"]);
    const after = pids();
    expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
    for (const [unit, pid] of before) expect([unit, after.get(unit)]).not.toEqual([unit, pid]);
    await cluster.healthy("n1");
    expect(await cluster.object("n1", "data", "kept")).toBe(text);
  });
});
