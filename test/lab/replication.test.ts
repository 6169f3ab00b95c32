// Two sites: images mirrored between two clusters, failover and failback. Real Ceph on both, each of one host.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ReplicatedFileSystem } from "../../src/api/contract/file-replication.ts";
import type { RemoteRow, ReplicatedPool } from "../../src/api/contract/replication.ts";
import { LabCluster, minutes } from "./support/cluster.ts";
import { Lab } from "./support/lab.ts";
import { labSuite } from "./support/lab-suite.ts";

const sites = ["n1", "n2"] as const;
type Site = (typeof sites)[number];
/** What each site calls itself, and what the other calls it. */
const names = { n1: "simple", n2: "magical" } as const;
const other = (site: Site): Site => (site === "n1" ? "n2" : "n1");

labSuite("two sites", () => {
  let lab: Lab;
  let cluster: LabCluster;
  let folder = "";

  const rbd = (site: Site, ...args: string[]): Promise<string> => lab.run(site, ["rbd", ...args], minutes(2));
  /** Another mebibyte of what was never there before. */
  const write = (site: Site, image: string): Promise<string> =>
    lab.run(
      site,
      [
        "sh",
        "-c",
        `rbd bench --io-type write --io-pattern rand --io-size 4096 --io-total 1M ${image} >/dev/null`,
      ],
      minutes(2),
    );
  const digest = (site: Site, image: string): Promise<string> =>
    lab.run(site, ["sh", "-c", `rbd export --no-progress ${image} - | sha256sum`], minutes(2));
  const listed = async (site: Site): Promise<ReplicatedPool[]> =>
    JSON.parse(await cluster.run(site, "replication", "list", "rbd", "--format", "json")) as ReplicatedPool[];
  const stateOf = async (site: Site, pool: string, image: string): Promise<[boolean, string] | null> => {
    const one = (await listed(site))
      .find((each) => each.pool === pool)
      ?.images.find((each) => each.image === image);
    return one === undefined ? null : [one.is_primary, one.state];
  };
  const refused = async (site: Site, exit: number, text: string, ...args: string[]): Promise<void> => {
    const { exitCode, stderr } = await cluster.cli(site, ...args);
    expect([args.join(" "), exitCode, stderr]).toEqual([args.join(" "), exit, expect.stringContaining(text)]);
  };
  /** The copy has all that was written before. */
  const same = (from: Site, image: string): Promise<string> =>
    lab.waitFor(
      `${image} to be the same on both sites`,
      async (note) => {
        const wanted = await digest(from, image);
        const found = await digest(other(from), image).catch((error: unknown) => String(error));
        const [pool = "", name = ""] = image.split("/");
        note({ wanted, found, state: await stateOf(other(from), pool, name) });
        return found === wanted ? found : undefined;
      },
      { ...minutes(4), everyMs: 1000 },
    );

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "microceph-sites-"));
    // What else is left out of the managers for the sake of their start is needed here.
    const config = join(import.meta.dirname, "../../scripts/lab/ceph-extra.conf");
    await writeFile(join(folder, "ceph.conf"), (await readFile(config, "utf8")).replace(/\bmirroring,/, ""));
    process.env.MICROCEPH_LAB_CEPH_CONFIG = join(folder, "ceph.conf");
    lab = await Lab.up("sites", { nodes: 2, admission: "closed" });
    cluster = new LabCluster(lab);
    for (const site of sites) {
      await cluster.run(site, "cluster", "bootstrap");
      await cluster.run(site, "disk", "add", "loop,1G,2");
      for (const pool of ["images", "single"]) await cluster.run(site, "pool", "create", pool, "--size", "2");
    }
  });
  afterAll(async () => {
    await lab?.down();
    delete process.env.MICROCEPH_LAB_CEPH_CONFIG;
    await rm(folder, { recursive: true, force: true });
  });

  it("know each other by tokens that give no more than mirroring needs", async () => {
    const tokens = new Map<Site, string>();
    for (const site of sites) {
      tokens.set(site, (await cluster.run(site, "cluster", "export", names[other(site)])).trim());
    }
    const token = tokens.get("n1") ?? "";
    const importing = ["remote", "import"] as const;
    await refused(
      "n2",
      2,
      "made for a site called magical",
      ...importing,
      "simple",
      token,
      "--local-name",
      "x",
    );
    await refused("n1", 2, "this cluster itself", ...importing, "self", token, "--local-name", "magical");
    for (const site of sites) {
      const given = tokens.get(other(site)) ?? "";
      await cluster.run(site, ...importing, names[other(site)], given, "--local-name", names[site]);
      const rows = JSON.parse(await cluster.run(site, "remote", "list", "--format", "json")) as RemoteRow[];
      expect(rows).toEqual([
        { name: names[other(site)], local_name: names[site], imported: true, exported: true },
      ]);
    }
    const { caps } = (
      await cluster.cephJson<{ caps: Record<string, string> }[]>("n1", "auth", "get", "client.remote-magical")
    )[0] ?? { caps: {} };
    expect(Object.entries(caps).filter(([, cap]) => cap.includes("*") && !cap.includes("tag"))).toEqual([]);
  });

  it("mirror a pool by journal and an image by snapshots", async () => {
    await rbd("n1", "create", "images/one", "--size", "32M");
    await rbd("n1", "create", "single/two", "--size", "32M");
    await write("n1", "images/one");
    await cluster.run("n1", "replication", "enable", "rbd", "images", "--remote", "magical");
    await write("n1", "single/two");
    const enable = (resource: string): string[] => [
      ...["replication", "enable", "rbd", resource, "--remote", "magical"],
    ];
    await cluster.run("n1", ...enable("single/two"), "--type", "snapshot", "--schedule", "1m");
    expect(await cluster.run("n1", ...enable("images"))).toContain("one");
    await refused("n1", 4, "[REPLICATION_CONFLICT]", ...enable("images/one"));
    for (const site of sites) await cluster.run(site, "enable", "rbd-mirror");
    await same("n1", "images/one");
    await same("n1", "single/two");
    await cluster.run("n1", "replication", "configure", "rbd", "single/two", "--schedule", "2m");
    const ofTwo = ["--pool", "single", "--image", "two"];
    const schedule = await rbd("n1", "mirror", "snapshot", "schedule", "ls", ...ofTwo);
    expect(schedule.trim()).toBe("every 2m");
    await write("n1", "images/one");
    await same("n1", "images/one");
    expect((await stateOf("n2", "images", "one"))?.[0]).toBe(false);
  });

  it("mirror the snapshots of a folder, and keep the copies when they do so no more", async () => {
    const mounted = (site: Site, words: string): Promise<string> =>
      lab.run(
        site,
        [
          ...["sh", "-ec"],
          `m=$(mktemp -d); ceph-fuse --client_fs home $m >/dev/null 2>&1; trap 'umount $m' EXIT; cd $m; ${words}; cd /`,
        ],
        minutes(2),
      );
    const enable = ["replication", "enable", "cephfs", "--volume", "home", "--remote", "magical"];
    await refused("n1", 1, "there is no file system home", ...enable, "--dir-path", "/a");
    await cluster.run("n1", "fs", "create", "home", "--size", "2");
    await refused("n1", 1, "the site magical has no file system home", ...enable, "--dir-path", "/a");
    await cluster.run("n2", "fs", "create", "home", "--size", "2");
    await mounted("n1", "mkdir -p a/b; echo first > a/b/file; mkdir a/.snap/one");
    await refused("n1", 2, "say which folder", ...enable);
    await cluster.run("n1", ...enable, "--dir-path", "/a");
    await cluster.run("n1", "enable", "cephfs-mirror");
    const progress = (snapshot: string): Promise<unknown> =>
      lab.waitFor(
        `the snapshot ${snapshot} to be on both sites`,
        async (note) => {
          const said = await cluster.run("n1", "replication", "status", "cephfs", "home", "--format", "json");
          const [one] = JSON.parse(said) as ReplicatedFileSystem[];
          note(one);
          return one?.folders.some(({ path, last_snapshot }) => path === "/a" && last_snapshot === snapshot);
        },
        minutes(4),
      );
    await progress("one");
    expect(await mounted("n2", "cat a/b/file; ls a/.snap")).toBe("first\none\n");
    await mounted("n1", "echo second > a/b/file; mkdir a/.snap/two");
    await progress("two");
    expect(await mounted("n2", "cat a/b/file a/.snap/one/b/file")).toBe("second\nfirst\n");
    await cluster.run("n1", ...enable, "--dir-path", "/a");
    await refused("n1", 4, "[REMOTE_IN_USE]", "remote", "remove", "magical");
    const disable = ["replication", "disable", "cephfs", "--volume", "home"];
    await refused("n1", 4, "[REPLICATION_CONFLICT]", ...disable);
    await refused("n1", 1, "is not mirrored", ...disable, "--dir-path", "/b");
    await cluster.run("n1", ...disable, "--dir-path", "/a");
    await cluster.run("n1", ...disable);
    expect(JSON.parse(await cluster.run("n1", "replication", "list", "cephfs", "--format", "json"))).toEqual(
      [],
    );
    expect(await cluster.run("n1", "disable", "cephfs-mirror", "--all")).toBe(
      "No cephfs-mirror is wanted.\n",
    );
    expect(await mounted("n2", "cat a/b/file a/.snap/one/b/file")).toBe("second\nfirst\n");
  });

  it("hand over, and take back, with all that was written", async () => {
    await cluster.run("n1", "replication", "demote", "rbd", "--remote", "magical");
    // The daemon that does it is killed on the way: the job is done when it is there again.
    const promoted = cluster.cli("n2", "replication", "promote", "rbd", "--remote", "simple");
    await lab.kill("n2", "daemon");
    await lab.start("n2");
    await promoted;
    await cluster.run("n2", "replication", "promote", "rbd", "--remote", "simple");
    for (const [pool, image] of [
      ["images", "one"],
      ["single", "two"],
    ] as const) {
      expect((await stateOf("n2", pool, image))?.[0]).toBe(true);
      expect((await stateOf("n1", pool, image))?.[0]).toBe(false);
    }
    await write("n2", "images/one");
    await same("n2", "images/one");
  });

  it("go on without a site that is lost, which copies anew when it is back", async () => {
    await lab.kill("n2", "all");
    await cluster.run("n1", "replication", "promote", "rbd", "--remote", "magical", "--yes-i-really-mean-it");
    expect((await stateOf("n1", "images", "one"))?.[0]).toBe(true);
    await write("n1", "images/one");
    await lab.start("n2");
    await cluster.healthy("n2").catch(() => undefined);
    await cluster.run("n2", "replication", "demote", "rbd", "--remote", "simple");
    await refused("n2", 4, "[DATA_LOSS_UNCONFIRMED]", "replication", "resync", "rbd", "images");
    await cluster.run("n2", "replication", "resync", "rbd", "images", "--yes-i-really-mean-it");
    await same("n1", "images/one");
    await refused("n1", 4, "[REMOTE_IN_USE]", "remote", "remove", "magical");
  });

  it("part, and keep what they have", async () => {
    await refused("n1", 4, "[DATA_LOSS_UNCONFIRMED]", "replication", "disable", "rbd", "images");
    const kept = await digest("n2", "images/one");
    // What is written there is nobody's copy any more.
    await cluster.run("n2", "replication", "promote", "rbd", "--remote", "simple", "--yes-i-really-mean-it");
    for (const pool of ["images", "single"]) {
      await cluster.run("n1", "replication", "disable", "rbd", pool, "--force");
    }
    expect(await listed("n1")).toEqual([]);
    await cluster.run("n1", "remote", "remove", "magical");
    expect(JSON.parse(await cluster.run("n1", "remote", "list", "--format", "json"))).toEqual([]);
    await lab.waitFor(
      "the daemon of n2 to have seen that n1 mirrors no more",
      async (note) => {
        const images = (await listed("n2")).flatMap((pool) => pool.images);
        note(images);
        return (
          images.length === 2 && images.every(({ is_primary, state }) => is_primary && state === "up+stopped")
        );
      },
      minutes(4),
    );
    // A copy would have been gone within seconds: the daemon looks at its peers every half minute.
    for (const pool of ["images", "single"]) {
      await cluster.run("n2", "replication", "disable", "rbd", pool, "--force");
    }
    expect(await digest("n2", "images/one")).toBe(kept);
    expect(await digest("n1", "images/one")).toBe(kept);
    for (const site of sites) await cluster.run(site, "disable", "rbd-mirror", "--all");
    expect(await digest("n2", "images/one")).toBe(kept);
  });
});
