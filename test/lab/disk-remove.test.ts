// Disks that go and come back: drained, called off, replaced, lost with their host. Real Ceph on block devices.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ConfiguredDisk } from "../../src/api/contract/disks.ts";
import type { Job } from "../../src/api/contract/jobs.ts";
import type { DiskList } from "../../src/cli/render/disk-lists.ts";
import { LabCluster, minutes } from "./support/cluster.ts";
import { Lab } from "./support/lab.ts";
import { labSuite } from "./support/lab-suite.ts";

const trio = ["n1", "n2", "n3"];
/** Flags that keep data from moving. */
const frozen = ["norebalance", "nobackfill", "norecover"];

labSuite("OSDs that are taken out", () => {
  let lab: Lab;
  let cluster: LabCluster;

  const list = async (node: string): Promise<DiskList> =>
    JSON.parse(await cluster.run(node, "disk", "list", "--json")) as DiskList;
  const osdsOf = async (host: string): Promise<readonly ConfiguredDisk[]> =>
    (await list("n1")).ConfiguredDisks.filter(({ location }) => location === host);
  const inMap = async (): Promise<readonly number[]> =>
    (await cluster.cephJson<{ osds: { osd: number }[] }>("n1", "osd", "dump")).osds.map(({ osd }) => osd);
  const weight = async (osd: number): Promise<number> => {
    const tree = await cluster.cephJson<{ nodes: { id: number; crush_weight?: number }[] }>(
      "n1",
      "osd",
      "tree",
    );
    return tree.nodes.find(({ id }) => id === osd)?.crush_weight ?? -1;
  };
  const written = async (): Promise<string> => cluster.object("n1", "data", "kept");

  beforeAll(async () => {
    lab = await Lab.up("disk-remove", { nodes: 3 });
    cluster = new LabCluster(lab);
    await cluster.formedWithDisks(trio, (node) => lab.disk(node, "1G", 2));
    await cluster.ceph("n1", "osd", "pool", "create", "data", "8");
    await cluster.ceph("n1", "osd", "pool", "application", "enable", "data", "test");
    await cluster.healthy("n1");
    await cluster.put("n1", "data", "kept", "what must not be lost");
    // Something in every placement group, so that no OSD is without data.
    await cluster.rados("n1", ["-p", "data", "bench", "2", "write", "-b", "4096", "--no-cleanup"]);
  });
  afterAll(async () => {
    await lab?.down();
  });

  it("are drained, purged and emptied from any member; the disk can be used again", async () => {
    const [disk] = await osdsOf("n2");
    const osd = disk?.osd ?? -1;
    await cluster.run("n3", "disk", "remove", `osd.${osd}`);
    expect(await inMap()).not.toContain(osd);
    expect(cluster.daemons("n2").has(`osd.${osd}`)).toBe(false);
    const auth = await cluster.cephJson<{ auth_dump: { entity: string }[] }>("n1", "auth", "ls");
    expect(auth.auth_dump.map(({ entity }) => entity)).not.toContain(`osd.${osd}`);
    expect((await list("n2")).AvailableDisks.map(({ Path }) => Path)).toContain(disk?.path);
    expect(await written()).toBe("what must not be lost");
    await cluster.run("n2", "disk", "add", disk?.path ?? "");
    await cluster.healthy("n1");
  });

  it("stay, with their weight, when the removal is called off", async () => {
    const [disk] = await osdsOf("n1");
    const osd = disk?.osd ?? -1;
    const before = await weight(osd);
    // Nothing is safe to destroy while data is not replicated fully: the removal cannot end by itself.
    for (const flag of frozen) await cluster.ceph("n1", "osd", "set", flag);
    const reply = await lab.api("n2", "DELETE", `/1.0/disks/${osd}`, {});
    expect(reply.status, JSON.stringify(reply.body)).toBe(202);
    await lab.waitFor("the drain to begin", async () => (await weight(osd)) === 0, minutes(2));
    // It holds copies that are nowhere else yet: for some looks of the planner it must stay.
    for (let look = 0; look < 8; look += 1) expect(await inMap()).toContain(osd);
    await cluster.run("n3", "disk", "remove", String(osd), "--cancel");
    await lab.waitFor("its weight to be back", async () => (await weight(osd)) === before, minutes(2));
    for (const flag of frozen) await cluster.ceph("n1", "osd", "unset", flag);
    const { id } = (reply.body as { metadata: Job }).metadata;
    const job = await lab.waitFor(
      "the job to end",
      async () => {
        const found = (await lab.get("n2", `/1.0/jobs/${id}`)) as Job;
        return found.state === "running" ? undefined : found;
      },
      minutes(1),
    );
    expect(job.error?.code).toBe("CANCELLED");
    const late = await cluster.cli("n3", "disk", "remove", String(osd), "--cancel");
    expect([late.exitCode, late.stderr]).toEqual([4, expect.stringContaining("[REMOVAL_TOO_LATE]")]);
    await cluster.healthy("n1");
  });

  it("are refused where the others could not keep the copies", async () => {
    const osds = await osdsOf("n3");
    await cluster.run("n1", "disk", "remove", String(osds[0]?.osd));
    const refused = await cluster.cli("n1", "disk", "remove", String(osds[1]?.osd));
    expect([refused.exitCode, refused.stderr]).toEqual([
      4,
      expect.stringContaining("[DOWNGRADE_UNCONFIRMED]"),
    ]);
    expect(await weight(osds[1]?.osd ?? -1)).toBeGreaterThan(0);
    const unknown = await cluster.cli("n1", "disk", "remove", "999");
    expect([unknown.exitCode, unknown.stderr]).toEqual([1, expect.stringContaining("[NOT_FOUND]")]);
    await cluster.run("n3", "disk", "add", osds[0]?.path ?? "");
    await cluster.healthy("n1");
  });

  it("go also when their host is dead, which empties the disk when it is back", async () => {
    const [disk, other] = await osdsOf("n3");
    const osd = disk?.osd ?? -1;
    await lab.kill("n3", "all");
    await lab.waitFor(
      "n3 to be seen as failed",
      async () => (await lab.mesh("n1")).members.find(({ name }) => name === "n3")?.presence === "failed",
      minutes(2),
    );
    const said = await cluster.run("n2", "disk", "remove", String(osd), "--prohibit-crush-scaledown");
    expect(said).toContain("empties the disk when it comes back");
    expect(await inMap()).not.toContain(osd);
    await lab.start("n3");
    await lab.waitFor(
      "n3 to have emptied the disk",
      async () => (await list("n3")).AvailableDisks.some(({ Path }) => Path === disk?.path),
      minutes(3),
    );
    expect(cluster.daemons("n3").has(`osd.${osd}`)).toBe(false);
    await lab.waitFor(
      "the other OSD of n3 to run",
      async () => cluster.daemons("n3").has(`osd.${other?.osd}`),
      minutes(2),
    );
    await cluster.healthy("n1");
    expect(await written()).toBe("what must not be lost");
  });

  it("are replaced under their number and weight, running or stopped, and nothing else moves", async () => {
    const uuidOf = async (osd: number): Promise<string> => {
      const { osds } = await cluster.cephJson<{ osds: { osd: number; uuid: string }[] }>("n1", "osd", "dump");
      return osds.find((one) => one.osd === osd)?.uuid ?? "";
    };
    const [running] = await osdsOf("n2");
    const [stopped] = await osdsOf("n1");
    await cluster.run("n1", "disk", "stop", String(stopped?.osd));
    for (const [host, disk] of [
      ["n1", stopped],
      ["n2", running],
    ] as const) {
      const osd = disk?.osd ?? -1;
      const before = { weight: await weight(osd), uuid: await uuidOf(osd) };
      const [other = ""] = await lab.disk(host, "1G");
      await cluster.run("n3", "disk", "replace", `osd.${osd}`, other);
      expect(await weight(osd)).toBe(before.weight);
      expect(await uuidOf(osd)).not.toBe(before.uuid);
      const now = (await osdsOf(host)).find((one) => one.osd === osd);
      expect(now?.path).toBe(other);
      expect((await list(host)).AvailableDisks.map(({ Path }) => Path)).toContain(disk?.path);
      await cluster.healthy("n1");
    }
    expect(await written()).toBe("what must not be lost");
  });
});
