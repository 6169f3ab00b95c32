// Every monitor has lost its store: one is made anew of what the OSDs know.
import { afterAll, beforeAll, expect, it } from "vitest";
import { LabCluster, minutes } from "../lab/support/cluster.ts";
import { trio } from "../lab/support/healthy-trio.ts";
import { Lab } from "../lab/support/lab.ts";
import { labSuite } from "../lab/support/lab-suite.ts";

labSuite("a cluster whose monitors have lost their stores", () => {
  let lab: Lab;
  let cluster: LabCluster;
  const text = "what must not be lost";

  beforeAll(async () => {
    lab = await Lab.up("stores", { nodes: 3 });
    cluster = new LabCluster(lab);
    await cluster.holding(trio, text);
  });
  afterAll(async () => {
    await lab?.down();
  });

  it("has a monitor made of what the OSDs know", async () => {
    const rebuild = (...args: string[]) =>
      cluster.cli("n1", "cluster", "recover", "--monitors-from-osds", ...args);
    for (const pool of ["files.meta", "files.data"])
      await cluster.ceph("n1", "osd", "pool", "create", pool, "4");
    await cluster.ceph("n1", "fs", "new", "files", "files.meta", "files.data");
    await cluster.healthy("n1");
    const early = await rebuild("--yes-i-really-mean-it");
    expect([early.exitCode, early.stderr]).toEqual([
      4,
      expect.stringMatching(/the monitors answer .*\[RECOVERY_REFUSED\]/),
    ]);

    for (const name of trio) {
      const store = `/var/lib/microceph/data/mon/ceph-${name}/store.db`;
      await lab.run(name, ["sh", "-c", `rm -rf ${store}; pkill -9 ceph-mon`], minutes(1));
    }
    await lab.waitFor(
      "nobody to answer any more",
      async (note) => {
        const plan = await rebuild("--dry-run");
        note(plan);
        return plan.exitCode === 0 && plan.stdout.includes("one monitor is made of them");
      },
      minutes(2),
    );
    await lab.waitFor(
      "the health of the node to say so",
      async (note) => {
        const { conditions } = (await lab.get("n1", "/1.0/health")) as { conditions: { code: string }[] };
        note(conditions);
        return conditions.some(({ code }) => code === "MONITORS_SILENT");
      },
      minutes(3),
    );
    const unconfirmed = await rebuild();
    expect([unconfirmed.exitCode, unconfirmed.stderr]).toEqual([
      4,
      expect.stringContaining("[RECOVERY_UNCONFIRMED]"),
    ]);

    // The one who builds loses its daemon in the middle; the job is another's.
    const builder = (await cluster.holder("n1")).name;
    const asker = trio.find((name) => name !== builder) ?? "";
    const begun = await lab.api(asker, "POST", "/1.0/cluster/recovery/monitors", { lost: [] });
    const { id } = (begun.body as { metadata: { id: string } }).metadata;
    await lab.waitFor(
      "the rebuilding to be in the builder's hands",
      async (note) => {
        const last = (await cluster.journal(asker)).findLast(({ kind }) => kind === "ceph.mon-rebuild");
        note(last);
        return last !== undefined;
      },
      { ...minutes(2), everyMs: 50 },
    );
    await lab.kill(builder, "daemon");
    await lab.start(builder);
    const ended = await lab.waitFor(
      "the rebuilding to have ended",
      async (note) => {
        const now = (await lab.get(asker, `/1.0/jobs/${id}`)) as { state: string };
        note(now);
        return now.state === "running" ? undefined : now;
      },
      minutes(8),
    );
    expect(ended).toMatchObject({ state: "success", result: { monitor: builder, file_systems: ["files"] } });
    await cluster.seated(asker, 3);
    await cluster.settled(asker);
    await cluster.healthy(asker);
    expect(await cluster.object(asker, "data", "kept")).toBe(text);
    const { fsmap } = await cluster.cephJson<{ fsmap: { up: number } }>(asker, "status");
    expect(fsmap.up).toBe(1);
  });
});
