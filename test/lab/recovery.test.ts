// The majority is gone for good: one of three decides again, and whoever comes back all the same is fenced.
import { afterAll, beforeAll, expect, it } from "vitest";
import { LabCluster, minutes } from "./support/cluster.ts";
import { Lab } from "./support/lab.ts";
import { labSuite } from "./support/lab-suite.ts";

const three = ["n1", "n2", "n3"];

labSuite("a cluster that lost its majority", () => {
  let lab: Lab;
  let cluster: LabCluster;
  let survivor = "";
  let lost: string[] = [];
  const text = "what must not be lost";

  beforeAll(async () => {
    lab = await Lab.up("recovery", { nodes: 3 });
    cluster = new LabCluster(lab);
    await cluster.holding(three, text);
    const holder = (await cluster.holder("n1")).name;
    // The holder is among the lost: what it alone knew is what a recovery gives up.
    survivor = three.find((name) => name !== holder) ?? "";
    lost = three.filter((name) => name !== survivor);
  });
  afterAll(async () => {
    await lab?.down();
  });

  const recover = (...args: string[]) => cluster.cli(survivor, "cluster", "recover", ...args);

  it("is not recovered while a majority is there, or without naming every lost voter", async () => {
    const early = await recover("--lost", lost[0] ?? "");
    expect([early.exitCode, early.stderr]).toEqual([4, expect.stringContaining("[RECOVERY_REFUSED]")]);
    for (const name of lost) await lab.kill(name, "all");
    await lab.waitFor(
      "both to be seen as failed, and the majority as lost",
      async (note) => {
        const { members, lease } = await lab.mesh(survivor);
        note({ lease, members: members.map(({ name, presence }) => [name, presence]) });
        return (
          lease.quorum === "lost" && members.filter(({ presence }) => presence === "failed").length === 2
        );
      },
      minutes(2),
    );
    const plan = await recover("--dry-run");
    expect([plan.exitCode, plan.stdout]).toEqual([
      0,
      expect.stringMatching(/not known[\s\S]*becomes the only voter/),
    ]);
    const unnamed = await recover();
    expect([unnamed.exitCode, unnamed.stderr]).toEqual([
      4,
      expect.stringContaining(`cluster recover --lost ${lost[0]} --lost ${lost[1]} [RECOVERY_UNCONFIRMED]`),
    ]);
    const half = await recover("--lost", lost[0] ?? "");
    expect([half.exitCode, half.stderr]).toEqual([4, expect.stringContaining("name it too")]);
  });

  it("decides again on the survivor, also when its daemon is killed in the middle", async () => {
    const begun = await lab.api(survivor, "POST", "/1.0/cluster/recovery", { lost });
    const job = (begun.body as { metadata: { id: string } }).metadata;
    await lab.waitFor(
      "the recovery to be under way",
      async (note) => {
        const { state, step } = (await lab.get(survivor, `/1.0/jobs/${job.id}`)) as {
          state: string;
          step: string;
        };
        note({ state, step });
        return state !== "running" || step !== "";
      },
      { ...minutes(2), everyMs: 50 },
    );
    await lab.kill(survivor, "daemon");
    await lab.start(survivor);
    const ended = await lab.waitFor(
      "the recovery to have ended",
      async (note) => {
        const now = (await lab.get(survivor, `/1.0/jobs/${job.id}`)) as { state: string };
        note(now);
        return now.state === "running" ? undefined : now;
      },
      minutes(6),
    );
    expect(ended).toMatchObject({ state: "success", result: { generation: 2, ceph: true } });
    const { lease } = await lab.mesh(survivor);
    expect(lease.quorum).toBe("ok");
    expect(await cluster.monitors(survivor)).toEqual([survivor]);
    const recovered = (await cluster.journal(survivor)).filter(({ kind }) => kind === "cluster.recovered");
    expect(recovered.map(({ state, number }) => [state, number.generation])).toEqual([["done", 2]]);
    await cluster.run(survivor, "mesh", "admission", "approve");
  });

  it("takes those who come back in again, without their old vote and monitor, and has all data", async () => {
    // Both at once: for each other they would be the former majority, of etcd and of the monitors.
    await Promise.all(lost.map((name) => lab.start(name)));
    await cluster.formed(three);
    await cluster.seated(survivor, 3);
    await cluster.settled(survivor);
    await cluster.healthy(survivor);
    expect(await cluster.object(survivor, "data", "kept")).toBe(text);
    // One history: every copy of the journal has the recovery, and nothing of the generation before after it.
    const heads = await Promise.all(
      three.map(
        async (name) =>
          (await cluster.journal(name)).filter(({ kind }) => kind === "cluster.recovered").length,
      ),
    );
    expect(heads).toEqual([1, 1, 1]);
  });
});
