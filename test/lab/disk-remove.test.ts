// Disks that go and come back: drained, called off, replaced, lost with their host, adopted; and all that is left of a cluster. Real Ceph on block devices.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { RunResult } from "../../scripts/lab/run.ts";
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

  it("run again on a host that was installed anew, under its name, with nothing wiped", async () => {
    const before = (await osdsOf("n3")).map(({ osd, path }) => ({ osd, path }));
    expect(before.length).toBeGreaterThan(0);
    const old = (await lab.mesh("n3")).self.id;
    await lab.kill("n3", "all");
    const { state } = lab.hosts.node("n3").files;
    for (const name of readdirSync(state)) rmSync(join(state, name), { recursive: true });
    await lab.waitFor(
      "n3 to be seen as failed",
      async () => (await lab.mesh("n1")).members.find(({ id }) => id === old)?.presence === "failed",
      minutes(2),
    );
    await lab.start("n3");
    await lab.waitFor(
      "the new n3 to be a member that knows Ceph",
      async (note) => {
        const { self } = await lab.mesh("n3");
        note(self);
        return (
          self.id !== old &&
          self.state === "member" &&
          (await cluster.cli("n3", "disk", "list")).exitCode === 0
        );
      },
      minutes(3),
    );
    const said = JSON.parse(await cluster.run("n1", "disk", "adopt", "--target", "n3", "--format", "json"));
    expect(said.report).toEqual(before.map((disk) => ({ ...disk, report: "Success", error: "" })));
    expect((await osdsOf("n3")).map(({ osd, path }) => ({ osd, path }))).toEqual(before);
    const again = JSON.parse(await cluster.run("n3", "disk", "adopt", "--format", "json"));
    expect(again.report).toEqual([]);
    await cluster.run("n1", "cluster", "remove", "n3", "--dead");
    await cluster.healthy("n1");
    expect(await inMap()).toEqual(expect.arrayContaining(before.map(({ osd }) => osd)));
    expect(await written()).toBe("what must not be lost");
  });

  it("hold a cluster that lost every host but the disks, once its backup is restored", async () => {
    const folder = mkdtempSync(join(tmpdir(), "backup-"));
    const [file, right, wrong] = ["cluster.backup", "right", "wrong"].map((name) => join(folder, name));
    writeFileSync(right ?? "", "correct horse battery\n");
    writeFileSync(wrong ?? "", "battery horse correct\n");
    const backup = (): Promise<RunResult> =>
      cluster.cli("n1", "cluster", "backup", file ?? "", "--passphrase-file", right ?? "");
    const restore = (words = right): Promise<RunResult> =>
      cluster.cli("n1", "cluster", "restore", file ?? "", "--passphrase-file", words ?? "");
    const alice = await cluster.ceph("n1", "auth", "get-or-create-key", "client.alice", "mon", "allow r");
    await cluster.ceph("n1", "config", "set", "osd", "osd_max_backfills", "3");
    const osds = (await inMap()).length;
    expect(await backup()).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(file ?? "") });
    expect(await backup()).toMatchObject({
      exitCode: 4,
      stderr: expect.stringContaining("is there already"),
    });
    expect(await restore()).toMatchObject({ exitCode: 4, stderr: expect.stringContaining("[ALREADY_INIT") });
    expect(readFileSync(file ?? "", "latin1")).not.toContain(alice.trim());

    for (const node of trio) {
      await lab.kill(node, "all");
      const { state } = lab.hosts.node(node).files;
      for (const name of readdirSync(state)) rmSync(join(state, name), { recursive: true });
    }
    // One alone: three fresh nodes would found a cluster of their own.
    await lab.start("n1");
    expect(await restore(wrong)).toMatchObject({
      exitCode: 4,
      stderr: expect.stringContaining("[BACKUP_REF"),
    });
    expect((await lab.mesh("n1")).self.state).toBe("fresh");
    expect((await restore()).stdout).toContain("the only voter of the cluster");
    // Whatever it had done by then, it goes on from its disk.
    await lab.kill("n1", "daemon");
    for (const node of trio) await lab.start(node);
    await lab.waitFor(
      "all three to be members, and to know Ceph",
      async (note) => {
        const { members } = await lab.mesh("n1");
        note(members.map(({ name, handle, presence }) => [name, handle, presence]));
        if (members.filter(({ presence }) => presence === "alive").length !== 3) return false;
        const lists = await Promise.all(trio.map((node) => cluster.cli(node, "disk", "list")));
        return lists.every(({ exitCode }) => exitCode === 0);
      },
      minutes(4),
    );
    for (const node of trio) await cluster.run(node, "disk", "adopt", "--without-monitors");
    const plan = await cluster.run("n2", "cluster", "recover", "--monitors-from-osds", "--dry-run");
    expect(plan).toContain("one monitor is made of them");
    await cluster.run("n2", "cluster", "recover", "--monitors-from-osds", "--yes-i-really-mean-it");
    const { members } = await lab.mesh("n1");
    const lost = members.filter(({ presence }) => presence === "failed").map(({ id }) => id);
    expect(lost.length).toBe(3);
    for (const id of lost) await cluster.run("n1", "cluster", "remove", id, "--dead");
    await cluster.seated("n1", 3);
    await cluster.settled("n1");
    await cluster.healthy("n1");
    expect((await inMap()).length).toBe(osds);
    expect(await written()).toBe("what must not be lost");
    await lab.waitFor(
      "what the monitors knew to be with them again",
      async (note) => {
        const key = await cluster.ceph("n1", "auth", "get-key", "client.alice").catch(() => "");
        const setting = await cluster.ceph("n1", "config", "get", "osd", "osd_max_backfills");
        note({ setting });
        return key.trim() === alice.trim() && setting.trim() === "3";
      },
      minutes(2),
    );
    rmSync(folder, { recursive: true });
  });
});
