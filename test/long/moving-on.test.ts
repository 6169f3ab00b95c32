// Hosts that all move while they run, with a daemon killed in the middle, or once more before they have met.
import { afterAll, beforeAll, expect, it } from "vitest";
import { LabCluster, minutes } from "../lab/support/cluster.ts";
import { Lab } from "../lab/support/lab.ts";
import { labSuite } from "../lab/support/lab-suite.ts";
import { settledAt } from "../lab/support/moved-hosts.ts";

const three = ["n1", "n2", "n3"];

labSuite("hosts that move while something else happens", () => {
  let lab: Lab;
  let cluster: LabCluster;
  const text = "what must not be lost";
  const settled = async (expected: ReadonlyMap<string, string>, seenBy: string): Promise<void> => {
    await settledAt({ lab, cluster }, expected, seenBy);
    expect(await cluster.object("n1", "data", "kept")).toBe(text);
  };

  beforeAll(async () => {
    lab = await Lab.up("moving-on", { nodes: 3 });
    cluster = new LabCluster(lab);
    await cluster.holding(three, text);
  });
  afterAll(async () => {
    await lab?.down();
  });

  it("come back when all move while they run and the holder's daemon is killed in the middle", async () => {
    const holder = (await cluster.holder("n1")).name;
    const seenBy = three.find((name) => name !== holder) ?? "";
    const moved = new Map(three.map((name, index) => [name, `10.89.0.${index + 11}`]));
    for (const [name, address] of moved) await lab.renumber(name, address);
    await lab.waitFor(
      "all monitors' new addresses to be decided",
      async (note) => {
        const { lease, members } = await lab.mesh(seenBy);
        const journal = await cluster.journal(seenBy);
        note({ lease, members: members.map(({ name, presence }) => [name, presence]) });
        return journal.some(({ kind, state }) => kind === "ceph.renumber" && state === "open");
      },
      { ...minutes(4), everyMs: 100 },
    );
    const deciding = (await cluster.holder(seenBy)).name;
    await lab.kill(deciding, "daemon");
    await lab.start(deciding);
    await settled(moved, seenBy);
  });

  it("come back when all move once more before their monitors have met", async () => {
    const before = (await cluster.journal("n1")).filter(({ kind }) => kind === "ceph.renumber").length;
    const at = (network: string) => new Map(three.map((name, n) => [name, `${network}.${n + 11}`]));
    for (const [name, address] of at("10.90.0")) await lab.renumber(name, address);
    await lab.waitFor(
      "a monitor to have the new map",
      async (note) => {
        const journal = await cluster.journal("n1");
        note(journal.at(-1));
        const units = three.flatMap((name) => lab.processes(name));
        const isMoved = units.some(({ args }) => args.join(" ").includes("--public-addr 10.90.0."));
        return isMoved && journal.filter(({ kind }) => kind === "ceph.renumber").length > before;
      },
      { ...minutes(4), everyMs: 20 },
    );
    const last = at("10.91.0");
    for (const [name, address] of last) await lab.renumber(name, address);
    await settled(last, "n2");
    const decisions = (await cluster.journal("n1")).filter(({ kind }) => kind === "ceph.renumber");
    expect(decisions.at(-1)?.state).toBe("done");
  });
});
