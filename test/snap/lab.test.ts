// The snap's image, mounted and run on three hosts of the lab: its programs and libraries with a base in which
// nothing else is, its layouts and its environment.
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkout } from "../../scripts/lab/layout.ts";
import type { ExecOptions } from "../../scripts/lab/node-exec.ts";
import { LabCluster, minutes } from "../lab/support/cluster.ts";
import { trio } from "../lab/support/healthy-trio.ts";
import { Lab } from "../lab/support/lab.ts";
import { labSuite } from "../lab/support/lab-suite.ts";
import { builtSnap, snapView } from "./support/built-snap.ts";

labSuite("the snap's image on three hosts", () => {
  let lab: Lab;
  let cluster: LabCluster;
  let view: ReturnType<typeof snapView>;
  const app = (node: string, words: readonly string[], options: ExecOptions = minutes(2)): Promise<string> =>
    lab.run(node, [join(import.meta.dirname, "support", "view.sh"), view.folder, ...words], options);
  const cephPids = (node: string): number[] =>
    lab
      .processes(node)
      .filter(({ args }) => /^ceph-(?:mon|mgr|mds|osd)$/.test(args[0] ?? ""))
      .map(({ pid }) => pid)
      .sort();

  beforeAll(async () => {
    view = snapView(builtSnap(), join(checkout, "scripts", "lab", "ceph-extra.conf"));
    process.env.MICROCEPH_LAB_DAEMON = join(view.folder, "microcephd");
    lab = await Lab.up("snap", { nodes: 3 });
    cluster = new LabCluster(lab);
  });
  afterAll(async () => {
    await lab?.down();
    delete process.env.MICROCEPH_LAB_DAEMON;
    view?.close();
  });

  it("forms a cluster by itself", async () => {
    await cluster.formed(trio);
    await cluster.seated("n1", 3);
    const programs = lab.processes("n1").map(({ args }) => args[0] ?? "");
    expect(programs.some((program) => program.startsWith("/snap/microceph/x1/"))).toBe(true);
  });

  it("has every library of what the daemon runs, its own or the base's", async () => {
    const programs =
      "ceph-mon ceph-mgr ceph-osd ceph-mds radosgw rbd-mirror cephfs-mirror ganesha.nfsd haproxy keepalived etcd etcdctl ip ping cryptsetup openssl sfdisk kmod python3 blkid wipefs setpriv flock losetup";
    const look = `for one in ${programs}; do ldd "$(command -v $one)" 2>&1 | grep -E "not found|missing file" | sed "s|^|$one: |"; done`;
    expect(await app("n1", ["sh", "-c", look])).toBe("");
  });

  it("takes disks and becomes healthy", async () => {
    for (const node of trio)
      await app("n1", ["microceph", "disk", "add", "loop,1G,1", "--target", node], minutes(4));
    await lab.waitFor(
      "HEALTH_OK with three OSDs",
      async (note) => {
        const { health } = await lab.cephStatus("n1");
        note(health);
        return health?.status === "HEALTH_OK" && health.osds.up === 3;
      },
      minutes(3),
    );
    expect(await app("n2", ["ceph", "health"])).toContain("HEALTH_OK");
    expect(await app("n2", ["ceph", "versions", "--format", "json"])).toMatch(
      /"overall":\{"ceph version [^"]*":[0-9]+\}/,
    );
  });

  it("serves its tools", async () => {
    await app("n1", ["microceph", "pool", "create", "data"]);
    await app("n1", ["rados", "-p", "data", "put", "object", "-"], { ...minutes(2), input: "kept" });
    expect(await app("n3", ["rados", "-p", "data", "get", "object", "-"])).toBe("kept");
    await app("n1", ["rbd", "create", "data/image", "--size", "16M"]);
    expect(await app("n2", ["rbd", "ls", "data"])).toBe("image\n");
    await app("n1", ["microceph", "cluster", "upgrade", "check"]);
    expect(await app("n1", ["ceph-authtool", "--gen-print-key"])).toMatch(/^AQ[A-Za-z0-9+/]{36}==\n$/);
  });

  it("leaves Ceph's daemons alone when the daemon is started again", async () => {
    const before = cephPids("n1");
    expect(before.length).toBeGreaterThanOrEqual(3);
    await lab.kill("n1", "daemon");
    await lab.start("n1");
    expect(cephPids("n1")).toEqual(before);
    expect(await app("n1", ["rados", "-p", "data", "get", "object", "-"])).toBe("kept");
  });
});
