// Founders that are killed, or stay away. Real daemons and Ceph, no disks.
import { afterEach, expect, it } from "vitest";
import type { MeshStatus } from "../../src/api/contract/mesh.ts";
import { LabCluster, minutes } from "../lab/support/cluster.ts";
import { trio } from "../lab/support/healthy-trio.ts";
import { Lab } from "../lab/support/lab.ts";
import { labSuite } from "../lab/support/lab-suite.ts";

/** When the founder is killed: what it shows at that moment. */
const moments: readonly { name: string; is: (founder: MeshStatus) => boolean }[] = [
  { name: "has made its first claims", is: (founder) => founder.self.state !== "fresh" },
  {
    name: "has taken its seat as the only voter",
    is: (founder) => founder.cluster !== null && founder.lease.lastDecision !== null,
  },
  {
    name: "is a member, others maybe not",
    is: (founder) => founder.self.state === "member",
  },
];

labSuite("three fresh hosts whose founder is killed", () => {
  let lab: Lab | undefined;

  afterEach(async () => {
    await lab?.down();
  });

  it.each(moments)("end in exactly one cluster when it $name", async ({ is }) => {
    const here = await Lab.up("killed", { nodes: 3 });
    lab = here;
    const cluster = new LabCluster(here);
    // The lowest PeerId founds.
    const ids = await Promise.all(trio.map(async (node) => ({ node, id: (await here.mesh(node)).self.id })));
    const founder = ids.sort((a, b) => (a.id < b.id ? -1 : 1))[0]?.node ?? "";
    await here.waitFor(
      "the moment to kill the founder",
      async (note) => {
        const mesh = await here.mesh(founder);
        note([mesh.self, mesh.lease]);
        return is(mesh);
      },
      { ...minutes(2), everyMs: 10 },
    );
    await here.kill(founder, "daemon");
    await here.start(founder);
    await cluster.formed(trio);
    const fsid = await here.waitFor(
      "one Ceph that answers everywhere",
      async (note) => {
        const found = [...(await cluster.meshes(trio)).values()].map((mesh) => mesh.cluster?.fsid);
        const ready = await Promise.all(
          trio.map(async (node) => ((await here.get(node, "/1.0/ready")) as { ready: boolean }).ready),
        );
        note({ found, ready });
        const [one] = found;
        return typeof one === "string" && new Set(found).size === 1 && ready.every((yes) => yes)
          ? one
          : undefined;
      },
      minutes(3),
    );
    const journal = await cluster.journal(founder);
    const count = (kind: string) =>
      journal.filter((entry) => entry.kind === kind && entry.state === "done").length;
    expect([count("cluster.found"), count("ceph.bootstrap")]).toEqual([1, 1]);
    expect((await cluster.ceph(founder, "fsid")).trim()).toBe(fsid);
  });

  it("found without it when it stays away before it has founded, else wait for it, and are one with it at the end", async () => {
    const here = await Lab.up("killed", { nodes: 3 });
    lab = here;
    const cluster = new LabCluster(here);
    const ids = await Promise.all(trio.map(async (node) => ({ node, id: (await here.mesh(node)).self.id })));
    const [founder = "", ...rest] = ids.sort((a, b) => (a.id < b.id ? -1 : 1)).map(({ node }) => node);
    await here.waitFor(
      "the founder to begin",
      async () => (await here.mesh(founder)).self.state !== "fresh",
      { ...minutes(2), everyMs: 10 },
    );
    await here.kill(founder, "all");
    await here.add("n4");
    // Either the founder had not committed: the three that are left found. Or it had: they wait for it.
    const outcome = await here.waitFor(
      "a cluster without the founder, or nodes that wait for it",
      async (note) => {
        const states = [...(await cluster.meshes([...rest, "n4"])).values()];
        note(states.map((mesh) => mesh.self));
        if (states.every((mesh) => mesh.self.state === "member")) return "formed";
        const bound = states.filter((mesh) => mesh.self.state === "claimed");
        return bound.length > 0 &&
          bound.every((mesh) => /has promised itself/.test(mesh.self.waitingFor ?? ""))
          ? "waiting"
          : undefined;
      },
      minutes(3),
    );
    await here.start(founder);
    await cluster.formed([...trio, "n4"]);
    expect(["formed", "waiting"]).toContain(outcome);
  });
});
