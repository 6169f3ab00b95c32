// Hosts that were installed anew, one and all: their disks are taken up again. Real Ceph on block devices.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { RunResult } from "../../scripts/lab/run.ts";
import type { ConfiguredDisk } from "../../src/api/contract/disks.ts";
import type { DiskList } from "../../src/cli/render/disk-lists.ts";
import { LabCluster, minutes } from "../lab/support/cluster.ts";
import { trio } from "../lab/support/healthy-trio.ts";
import { Lab } from "../lab/support/lab.ts";
import { labSuite } from "../lab/support/lab-suite.ts";

labSuite("OSDs that outlive their hosts", () => {
  let lab: Lab;
  let cluster: LabCluster;

  const list = async (node: string): Promise<DiskList> =>
    JSON.parse(await cluster.run(node, "disk", "list", "--json")) as DiskList;
  const osdsOf = async (host: string): Promise<readonly ConfiguredDisk[]> =>
    (await list("n1")).ConfiguredDisks.filter(({ location }) => location === host);
  const inMap = async (): Promise<readonly number[]> =>
    (await cluster.cephJson<{ osds: { osd: number }[] }>("n1", "osd", "dump")).osds.map(({ osd }) => osd);
  const written = async (): Promise<string> => cluster.object("n1", "data", "kept");

  beforeAll(async () => {
    lab = await Lab.up("outlive", { nodes: 3 });
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
        const seen = (await lab.mesh("n1")).members.find(({ id }) => id === self.id);
        note({ self, seen });
        return (
          self.id !== old &&
          seen?.presence === "alive" &&
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
    await lab.waitFor(
      "the former members to be failed, and the monitors to have been asked in vain",
      async (note) => {
        const { members } = await lab.mesh("n1");
        const plan = await cluster.cli("n2", "cluster", "recover", "--monitors-from-osds", "--dry-run");
        note(plan);
        const failed = members.filter(({ presence }) => presence === "failed");
        return failed.length === 3 && plan.stdout.includes("one monitor is made of them");
      },
      minutes(2),
    );
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
