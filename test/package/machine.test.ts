// The Debian package in a virtual machine with systemd, a kernel and a disk of its own: a cluster of one node with three
// OSDs, each a service; an OSD is killed, the power is cut, and the machine goes down in good order.
import { execFileSync } from "node:child_process";
import { globSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkout } from "../../scripts/lab/layout.ts";
import type { StatusReport } from "../../src/api/contract/status.ts";
import { inTree, machineFolder, machineTree } from "../vm/support/machine-tree.ts";
import { VirtualMachine } from "../vm/support/virtual-machine.ts";
import { vmSuite } from "../vm/support/vm-suite.ts";

/** The package that is tested: MICROCEPH_TRIAL_DEB, or the newest in dist/packages. */
function builtPackage(): string {
  const named = process.env.MICROCEPH_TRIAL_DEB;
  if (named !== undefined) return named;
  const found = globSync(join(checkout, "dist/packages/microceph-mesh_*_amd64.deb"));
  const newest = found.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
  if (newest === undefined) throw new Error("there is no package in dist/packages: npm run package");
  return newest;
}

const rados = "timeout 300 rados -c /var/lib/microceph/conf/ceph.conf -p data";

/** A tree with the package as an administrator installs it, and told what an emulated machine needs. */
function installedTree(): string {
  const image = builtPackage();
  const tree = machineTree({
    folder: join(checkout, "dist", "package-vm", "tree"),
    packages: [],
    firstScript: join(import.meta.dirname, "machine/systemd.sh"),
    files: [image],
  });
  const path = join(machineFolder, basename(image));
  writeFileSync(
    join(tree, "etc/default/microcephd"),
    `MICROCEPH_OPTIONS="--lease-ttl 60 --extra-ceph-config ${machineFolder}/ceph-extra.conf"\n`,
  );
  const keep = ["-o", "Dpkg::Options::=--force-confold"];
  inTree(
    ...([tree, "apt-get", "-qq", "install", "-y", "--no-install-recommends", "--reinstall"] as const),
    ...keep,
    path,
  );
  // Debian's own services of these names are not ours (docs/how-to/install.md).
  inTree(tree, "systemctl", "disable", "--quiet", "etcd", "haproxy", "keepalived");
  writeFileSync(join(tree, "etc/hostname"), "v1\n");
  return tree;
}

vmSuite("the Debian package in a machine with systemd", () => {
  let dir = "";
  let tree = "";
  let vm: VirtualMachine;
  const ok = (command: string): Promise<string> => vm.ok(command);
  const status = async (): Promise<StatusReport> =>
    JSON.parse(
      await ok("until microceph status --format json 2>/dev/null; do sleep 1; done"),
    ) as StatusReport;
  const healthy = (): Promise<string> =>
    ok(
      'for n in $(seq 200); do microceph status --format json 2>/dev/null | grep -q \'"status": *"HEALTH_OK"\' && exit; sleep 2; done; microceph status; exit 1',
    );
  const kept = (): Promise<string> => ok(`${rados} get object -`);
  const services = async (): Promise<string[]> =>
    (await ok("systemctl list-units --plain --no-legend --state=active 'microceph-*@*'"))
      .split("\n")
      .flatMap((line) => line.split(" ")[0] || [])
      .sort();

  async function start(): Promise<void> {
    vm = new VirtualMachine({
      ...{ name: "v1", dir, disks: [join(dir, "state.img")], tree, agent: `${machineFolder}/systemd.sh` },
      memoryMiB: 4096,
    });
    await vm.boot();
  }

  beforeAll(async () => {
    tree = installedTree();
    dir = mkdtempSync(join(tmpdir(), "vm-"));
    const disk = join(dir, "state.img");
    writeFileSync(disk, "");
    truncateSync(disk, 8 * 2 ** 30);
    execFileSync("mkfs.ext4", ["-q", disk]);
    await start();
  });
  afterAll(async () => {
    await vm?.powerOff();
    rmSync(dir, { recursive: true, force: true });
  });

  it("runs its daemon from the boot on, fresh", async () => {
    expect((await status()).self.state).toBe("fresh");
    expect(await ok("systemctl is-active microcephd")).toBe("active\n");
    expect(await services()).toEqual([]);
  });

  it("becomes a cluster with three disks, HEALTH_OK, each daemon of Ceph a service", async () => {
    await ok("microceph cluster bootstrap");
    await ok("microceph disk add loop,1G,3");
    await ok("microceph pool create data");
    await ok(`echo kept >/tmp/object && ${rados} put object /tmp/object`);
    await healthy();
    const names = await services();
    expect(names).toEqual(
      expect.arrayContaining([
        "microceph-mon@v1.service",
        ...[0, 1, 2].map((osd) => `microceph-osd@${osd}.service`),
      ]),
    );
    expect(await ok("cat /proc/$(pgrep -f 'ceph-osd -f -i [1] ')/cgroup")).toContain(
      "microceph.slice/microceph-osd@1.service",
    );
  });

  it("has an OSD back that was killed", async () => {
    await ok(
      "old=$(pgrep -f 'ceph-osd -f -i [1] '); kill -9 $old; until new=$(pgrep -f 'ceph-osd -f -i [1] ') && [ $new != $old ]; do sleep 1; done",
    );
    await healthy();
  });

  it("has everything back after the power was cut", async () => {
    await ok("sync");
    await vm.powerOff();
    await start();
    await healthy();
    expect(await kept()).toBe("kept\n");
  });

  it("goes down in good order, and has everything back", async () => {
    await vm.shutDown();
    await start();
    await healthy();
    expect(await kept()).toBe("kept\n");
    // Each was told to end, and had the time.
    for (const osd of [0, 1, 2]) {
      expect(
        await ok(`grep -c 'received *signal: Terminated' /var/lib/microceph/logs/ceph-osd.${osd}.log`),
      ).toMatch(/^[1-9]/);
    }
  });
});
