// Disks of two hosts: what is listed and refused, what is added, what becomes of it when things fail. Real Ceph on
// real block devices (loop devices of the lab).
import { truncateSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { capture } from "../../scripts/lab/run.ts";
import type { ConfiguredDisk, DiskReport } from "../../src/api/contract/disks.ts";
import type { Job } from "../../src/api/contract/jobs.ts";
import type { Condition } from "../../src/api/contract/status.ts";
import type { DiskList } from "../../src/cli/render/disk-lists.ts";
import { LabCluster, minutes } from "./support/cluster.ts";
import { EventReader } from "./support/event-reader.ts";
import { Lab } from "./support/lab.ts";
import { labSuite } from "./support/lab-suite.ts";

labSuite("the disks of two hosts", () => {
  let lab: Lab;
  let cluster: LabCluster;

  const list = async (node: string, ...args: string[]): Promise<DiskList> =>
    JSON.parse(await cluster.run(node, "disk", "list", "--json", ...args)) as DiskList;
  const configured = async (node = "n1"): Promise<readonly ConfiguredDisk[]> =>
    (await list(node)).ConfiguredDisks;
  /** The OSD on a device of a host, once the asked member has heard of it. */
  const osdOn = (path: string, location: string, node = "n1"): Promise<number> =>
    lab.waitFor(
      `an OSD on ${path} of ${location}, seen from ${node}`,
      async () => (await configured(node)).find((one) => one.path === path && one.location === location)?.osd,
      minutes(1),
    );
  const metadata = (osd: number): Promise<Record<string, string>> =>
    cluster.cephJson("n1", "osd", "metadata", String(osd));
  const pidOf = (node: string, osd: number): number | undefined => cluster.daemons(node).get(`osd.${osd}`);
  /** What a member says of an OSD, once it is as wanted. */
  const osdSaid = (
    osd: number,
    want: (disk: ConfiguredDisk) => boolean,
    node = "n2",
  ): Promise<ConfiguredDisk> =>
    lab.waitFor(
      `osd.${osd} to be told of as wanted by ${node}`,
      async (note) => {
        const found = (await configured(node)).find((one) => one.osd === osd);
        note(found);
        return found !== undefined && want(found) ? found : undefined;
      },
      minutes(2),
    );
  const upOsds = async (): Promise<number> =>
    (await cluster.cephJson<{ num_up_osds: number }>("n1", "osd", "stat")).num_up_osds;
  const backing = (node: string, path: string): string => {
    const disk = lab.hosts
      .record()
      .nodes.find((one) => one.name === node)
      ?.disks.find((one) => `/dev/loop${one.loop}` === path);
    if (disk === undefined) throw new Error(`${node} has no ${path}`);
    return disk.file;
  };
  /** Start a job by the API, without waiting for it. */
  const begin = async (node: string, body: object): Promise<Job> => {
    const reply = await lab.api(node, "POST", "/1.0/disks", body as never);
    expect(reply.status, JSON.stringify(reply.body)).toBe(202);
    return (reply.body as { metadata: Job }).metadata;
  };
  const ended = (node: string, id: string): Promise<Job> =>
    lab.waitFor(
      `job ${id} to end`,
      async (note) => {
        const job = (await lab.get(node, `/1.0/jobs/${id}`)) as Job;
        note([job.step, job.progress]);
        return job.state === "running" ? undefined : job;
      },
      minutes(3),
    );

  beforeAll(async () => {
    lab = await Lab.up("disks", { nodes: 2, expect: 2 });
    cluster = new LabCluster(lab);
    await cluster.formed(["n1", "n2"]);
    await lab.waitFor(
      "Ceph to answer on both",
      async () =>
        (
          await Promise.all(["n1", "n2"].map((node) => cluster.cli(node, "waitready", "--timeout", "5")))
        ).every(({ exitCode }) => exitCode === 0),
      minutes(3),
    );
  });
  afterAll(async () => {
    await lab?.down();
  });

  it("are noticed when plugged in and pulled out, and known to the other host", async () => {
    const reader = await EventReader.open(lab, "n2");
    const [path = ""] = await lab.disk("n2", "700M");
    await lab.waitFor(
      "disk.added",
      async (note) => {
        note(reader.events.map(({ type }) => type));
        return reader.events.some(({ type, data }) => {
          return type === "disk.added" && (data as { path: string }).path === path;
        });
      },
      minutes(1),
    );
    await lab.waitFor(
      "n1 to list the disk of n2",
      async () => (await list("n1")).RemoteDisks.some((one) => one.Location === "n2" && one.Path === path),
      minutes(1),
    );
    expect((await list("n2")).AvailableDisks.map(({ Path }) => Path)).toEqual([path]);
    expect((await list("n1")).AvailableDisks).toEqual([]);
    await lab.run("n2", ["rm", path]);
    await lab.waitFor(
      "disk.removed",
      async () => reader.events.some(({ type }) => type === "disk.removed"),
      minutes(1),
    );
    expect((await list("n2")).AvailableDisks).toEqual([]);
    reader.close();
  });

  it("with content are listed with what they hold, and refused", async () => {
    const [ext4 = "", table = "", small = ""] = [
      ...(await lab.disk("n2", "800M", 2)),
      ...(await lab.disk("n2", "100M")),
    ];
    await lab.run("n2", ["mkfs.ext4", "-q", ext4]);
    await lab.run("n2", ["sh", "-c", `echo 'label: gpt' | sfdisk -q --no-reread ${table}`]);
    const why = (await list("n2")).UnavailableDisks;
    const of = (path: string) => why.find(({ Path }) => Path === path);
    expect(of(ext4)).toMatchObject({ Reasons: ["holds an ext2, ext3 or ext4 file system"], Wipeable: true });
    expect(of(table)).toMatchObject({ Reasons: ["holds a GPT partition table"], Wipeable: true });
    expect(of(small)).toMatchObject({ Reasons: ["is smaller than 512 MiB"], Wipeable: false });
    for (const [path, signature] of [
      [ext4, "ext2, ext3 or ext4 file system"],
      [table, "GPT partition table"],
    ] as const) {
      const refused = await cluster.cli("n1", "disk", "add", path, "--target", "n2");
      expect(refused.exitCode, refused.stderr).toBe(4);
      expect(refused.stderr).toContain(signature);
    }
    await lab.run("n2", ["sh", "-c", `mkdir -p /run/here && mount ${ext4} /run/here`]);
    const mounted = await cluster.cli("n2", "disk", "add", ext4, "--wipe");
    expect(mounted.stderr).toContain("mounted at /run/here");
    await lab.run("n2", ["umount", "/run/here"]);
    expect((await list("n2")).UnavailableDisks.map(({ Path }) => Path)).toContain(ext4);
    expect(await configured()).toEqual([]);
  });

  it("are added with a WAL and a DB of their own; two requests that wipe one disk make one OSD", async () => {
    const [osd = "", wal = "", db = ""] = await lab.disk("n1", "1G", 3);
    await cluster.run("n2", "disk", "add", osd, "--wal-device", wal, "--db-device", db, "--target", "n1");
    const id = await osdOn(osd, "n1");
    expect(await metadata(id)).toMatchObject({
      bluefs_dedicated_wal: "1",
      bluefs_dedicated_db: "1",
      bluefs_wal_partition_path: wal,
      bluefs_db_partition_path: db,
    });
    const taken = await cluster.cli("n1", "disk", "add", db, "--wipe");
    expect(taken.stderr).toContain(`the DB of osd.${id} already`);

    const [ext4 = ""] = (await list("n2")).UnavailableDisks.filter(({ Size }) => Size === "800.00MiB").map(
      ({ Path }) => Path,
    );
    const jobs = await Promise.all([1, 2].map(() => begin("n2", { path: [ext4], wipe: true })));
    const reports = await Promise.all(jobs.map(async ({ id: job }) => (await ended("n2", job)).result));
    const outcomes = reports.flatMap((report) => (report as unknown as DiskReport).report);
    expect(outcomes.map(({ report }) => report).sort(), JSON.stringify(outcomes)).toEqual([
      "Failure",
      "Success",
    ]);
  });

  it("that match get partitions on the disks that carry them; a dry run writes nothing, a second run makes nothing", async () => {
    const osds = await lab.disk("n1", "1100M", 3);
    const carriers = await lab.disk("n1", "1500M", 2);
    const words = [
      ...["disk", "add", "--osd-match", "and(eq(@type,loop),eq(@size,1100MiB))"],
      ...["--db-match", "ge(@size,1400MiB)", "--db-size", "512MiB"],
    ];
    const plan = JSON.parse(await cluster.run("n1", ...words, "--dry-run", "--json"));
    expect(plan.dry_run_plan.map((one: { osd_path: string }) => one.osd_path)).toEqual(osds);
    expect(plan.dry_run_plan.map((one: { db: object }) => one.db)).toMatchObject([
      { parent_path: carriers[0], partition: 1, size: "512.00MiB" },
      { parent_path: carriers[1], partition: 1 },
      { parent_path: carriers[0], partition: 2 },
    ]);
    for (const carrier of carriers) {
      expect((await list("n1")).AvailableDisks.map(({ Path }) => Path)).toContain(carrier);
    }
    const added = await cluster.run("n1", ...words);
    expect(added.match(/Success/g)).toHaveLength(3);
    const id = await osdOn(osds[0] ?? "", "n1");
    expect(await metadata(id)).toMatchObject({
      bluefs_dedicated_db: "1",
      bluefs_db_partition_path: `${carriers[0]}p1`,
    });
    const before = await configured();
    const again = await cluster.cli("n1", ...words);
    expect(again).toMatchObject({ exitCode: 0, stderr: expect.stringContaining("Nothing to do") });
    expect(await configured()).toEqual(before);
    // A carrier with room takes the next one; one that matches as an OSD, too, is refused.
    const [more = ""] = await lab.disk("n1", "1100M");
    const next = JSON.parse(await cluster.run("n1", ...words, "--dry-run", "--json"));
    expect(next.dry_run_plan).toMatchObject([
      { osd_path: more, db: { parent_path: carriers[1], partition: 2 } },
    ]);
    const both = await cluster.cli("n1", ...words.with(3, "or(eq(@size,1100MiB),ge(@size,1400MiB))"));
    expect(both.exitCode, both.stderr).toBe(0);
    expect(await osdOn(more, "n1")).toBeGreaterThan(id);
  });

  it("of all hosts are added by one call, with a WAL on the disks that match there; all available ones by another", async () => {
    const [one = ""] = await lab.disk("n1", "900M");
    const [two = ""] = await lab.disk("n2", "900M");
    const carriers = [...(await lab.disk("n1", "1300M")), ...(await lab.disk("n2", "1300M"))];
    const words = [
      ...["disk", "add", "--target", "all", "--osd-match", "eq(@size,900MiB)"],
      ...["--wal-match", "eq(@size,1300MiB)", "--wal-size", "300MiB"],
    ];
    await cluster.run("n1", ...words);
    for (const [path, host, carrier] of [
      [one, "n1", carriers[0]],
      [two, "n2", carriers[1]],
    ] as const) {
      expect(await metadata(await osdOn(path, host))).toMatchObject({
        bluefs_dedicated_wal: "1",
        bluefs_wal_partition_path: `${carrier}p1`,
      });
    }
    const available = (await list("n2")).AvailableDisks.map(({ Path }) => Path);
    const more = await lab.disk("n2", "850M", 2);
    const before = (await configured("n2")).length;
    await cluster.run("n1", "disk", "add", "--all-available", "--target", "n2");
    for (const path of more) await osdOn(path, "n2");
    expect((await configured("n2")).length - before).toBe(more.length + available.length);
    expect((await list("n2")).AvailableDisks).toEqual([]);
  });

  it.each([
    ["before the first OSD is formatted", (job: Job) => job.progress >= 1],
    ["when some are up", (job: Job) => /[1-9] of 3 up/.test(job.step)],
  ])("whose daemon is killed %s are all there in the end, and no more", async (_what, moment) => {
    const disks = await lab.disk("n2", "1G", 3);
    const before = (await cluster.cephJson<{ osds: unknown[] }>("n1", "osd", "dump")).osds.length;
    const { id } = await begin("n2", { path: disks });
    await lab.waitFor(
      "the moment of the kill",
      async (note) => {
        const job = (await lab.get("n2", `/1.0/jobs/${id}`)) as Job;
        note([job.step, job.progress]);
        return job.state !== "running" || moment(job);
      },
      { ...minutes(2), everyMs: 20 },
    );
    await lab.kill("n2", "daemon");
    await lab.start("n2");
    const job = await ended("n2", id);
    expect(job, JSON.stringify(job)).toMatchObject({ state: "success" });
    const { report } = job.result as unknown as DiskReport;
    expect(
      report.map(({ report: one }) => one),
      JSON.stringify(report),
    ).toEqual(Array(3).fill("Success"));
    const after = (await cluster.cephJson<{ osds: { up: number }[] }>("n1", "osd", "dump")).osds;
    expect(after.length - before).toBe(3);
    expect(
      (
        await lab.run("n2", ["sh", "-c", "ls -d /var/lib/microceph/data/osd/new-* 2>/dev/null || true"])
      ).trim(),
    ).toBe("");
  });

  it("of one call, twelve, are all added; of those with content none", async () => {
    const disks = await lab.disk("n1", "1G", 12);
    await lab.run("n1", ["mkfs.ext4", "-q", disks[5] ?? ""]);
    const result = await cluster.cli("n2", "disk", "add", ...disks, "--target", "n1");
    expect(result.exitCode, result.stderr).toBe(4);
    expect(result.stdout.match(/Success/g), result.stderr).toHaveLength(11);
    expect(result.stderr).toContain("ext4 file system");
  });

  it("are restarted, stopped and started from the other host, and a stopped one stays so", async () => {
    const [disk] = (await configured()).filter(({ location }) => location === "n2");
    const osd = disk?.osd ?? -1;
    const first = pidOf("n2", osd);
    await cluster.run("n1", "disk", "restart", `osd.${osd}`);
    expect(pidOf("n2", osd)).not.toBe(first);
    await cluster.run("n1", "disk", "stop", String(osd));
    expect(pidOf("n2", osd)).toBeUndefined();
    await lab.kill("n2", "daemon");
    await lab.start("n2");
    await lab.waitFor(
      "n1 to have n2 back in the mesh, which comes after n2's own socket answers",
      async () => {
        const asked = ["disk", "encryption-support", "--target", "n2", "--format", "json"];
        return (await cluster.cli("n1", ...asked)).stdout.includes("supported");
      },
      minutes(2),
    );
    expect(await osdSaid(osd, ({ state }) => state === "stopped", "n1")).toMatchObject({
      reason: "stopped by an operator",
    });
    expect(pidOf("n2", osd)).toBeUndefined();
    await cluster.run("n1", "disk", "start", String(osd));
    expect(pidOf("n2", osd)).toBeTypeOf("number");
    expect((await cluster.cli("n1", "disk", "restart", "999")).stderr).toContain("[NOT_FOUND]");
  });

  it("that fail under their OSD say why and leave their neighbours alone; loop devices come back after a boot", async () => {
    const mine = (await configured()).filter(({ location, path }) => location === "n2" && /loop/.test(path));
    const [failing, ...neighbours] = mine;
    if (failing === undefined || neighbours.length === 0) throw new Error("n2 has too few OSDs");
    const before = neighbours.map(({ osd }) => pidOf("n2", osd));
    truncateSync(backing("n2", failing.path), 8 * 2 ** 20);
    await capture("losetup", ["--set-capacity", failing.path]);
    const pid = pidOf("n2", failing.osd);
    if (pid !== undefined) process.kill(pid, "SIGKILL");
    const said = await osdSaid(
      failing.osd,
      ({ state, reason = "" }) => state === "waiting" && /starts again in [0-9.]+ s; \S/.test(reason),
    );
    expect(said.reason).not.toMatch(/is not there/);
    await lab.waitFor(
      "the condition OSD_DOWN, told by n1",
      async (note) => {
        const { conditions } = (await lab.get("n1", "/1.0/health")) as { conditions: Condition[] };
        note(conditions);
        return conditions.some(
          ({ code, text }) =>
            code === "OSD_DOWN" && text.startsWith(`osd.${failing.osd} on n2 does not run: `),
        );
      },
      minutes(1),
    );
    expect(neighbours.map(({ osd }) => pidOf("n2", osd))).toEqual(before);

    // Loss of power, after which no loop device is attached.
    await lab.kill("n2", "all");
    for (const { path } of mine) await capture("losetup", ["--detach", path]);
    await lab.start("n2");
    for (const { osd } of neighbours) await osdSaid(osd, ({ state }) => state === "running", "n1");
    await lab.waitFor(
      "all but the failing one to be up",
      async (note) => {
        const up = await upOsds();
        const all = (await configured()).length;
        note({ up, all });
        return up === all - 1;
      },
      minutes(2),
    );
  });
});
