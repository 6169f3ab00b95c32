// The Debian package in a virtual machine with systemd, a kernel and disks of its own: a cluster of one node with four
// OSDs, each a service; an OSD and the daemon are killed, the power is cut, and the machine goes down in good order.
// AppArmor confines the daemon, and refuses it nothing of all that.
import { execFileSync } from "node:child_process";
import { globSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
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
    packages: ["apparmor", "cryptsetup-bin", "kmod"],
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

  const confinement = (pid: string): Promise<string> => ok(`cat /proc/$(${pid})/attr/current`);
  const mainPid = "systemctl show -p MainPID --value microcephd";
  /** A command line of sh, as what AppArmor takes for the daemon. */
  const confined = (line: string): ReturnType<VirtualMachine["run"]> =>
    vm.run(`aa-exec -p microcephd -- sh -c '${line}'`);

  async function start(): Promise<void> {
    const disks = ["state", "secret"].map((name) => join(dir, `${name}.img`));
    vm = new VirtualMachine({
      ...{ name: "v1", dir, disks, tree, agent: `${machineFolder}/systemd.sh` },
      memoryMiB: 4096,
    });
    await vm.boot();
  }

  beforeAll(async () => {
    tree = installedTree();
    dir = mkdtempSync(join(tmpdir(), "vm-"));
    for (const [name, gib] of [
      ["state", 8],
      ["secret", 3],
    ] as const) {
      const disk = join(dir, `${name}.img`);
      writeFileSync(disk, "");
      truncateSync(disk, gib * 2 ** 30);
    }
    execFileSync("mkfs.ext4", ["-q", join(dir, "state.img")]);
    await start();
  });
  // The kernel's log of this boot. What it is to refuse is this one file.
  afterEach(async () => {
    const refused = await ok("dmesg | grep -E 'apparmor=\"(DENIED|ALLOWED)\"' | grep -v /etc/shadow || true");
    expect(refused).toBe("");
  });
  afterAll(async () => {
    await vm?.powerOff();
    rmSync(dir, { recursive: true, force: true });
  });

  it("runs its daemon from the boot on, fresh", async () => {
    expect((await status()).self.state).toBe("fresh");
    expect(await ok("systemctl is-active microcephd")).toBe("active\n");
    expect(await confinement(mainPid)).toBe("microcephd (enforce)\n");
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

  it("takes a whole disk, encrypted, and writes a backup", async () => {
    await ok("microceph disk add --encrypt /dev/vdb");
    expect(await services()).toContain("microceph-osd@3.service");
    await ok("MICROCEPH_PASSPHRASE='a long passphrase' microceph cluster backup /root/all.backup");
    expect(Number(await ok("stat -c %s /root/all.backup"))).toBeGreaterThan(1000);
  });

  it("is confined alone: not what it starts, nor Ceph's daemons", async () => {
    for (const pid of ["pgrep -x etcd", "pgrep -f 'ceph-osd -f -i [1] '"]) {
      expect(await confinement(pid), pid).toBe("unconfined\n");
    }
    expect(await confined("read line </etc/shadow")).toMatchObject({
      code: 2,
      output: expect.stringContaining("Permission denied"),
    });
    // That is written where the others would be.
    expect(await ok("dmesg | grep -c 'apparmor=\"DENIED\".*/etc/shadow'")).toMatch(/^[1-9]/);
    // Which libraries a daemon of Ceph's has loaded.
    const osd = (await ok("pgrep -f 'ceph-osd -f -i [1] '")).trim();
    expect(await confined(`read line </proc/${osd}/maps`)).toMatchObject({ code: 0 });
  });

  it("takes etcd with it when it is killed", async () => {
    // The next one would end what was left over: it is not started meanwhile.
    const drop = "/run/systemd/system/microcephd.service.d";
    await ok(`mkdir -p ${drop}; printf '[Service]\nRestart=no\n' >${drop}/no.conf; systemctl daemon-reload`);
    await ok(`kill -9 $(${mainPid}); for n in $(seq 30); do pgrep -x etcd || exit 0; sleep 1; done; exit 1`);
    await ok(`rm ${drop}/no.conf; systemctl daemon-reload; systemctl start microcephd`);
    expect((await status()).self.state).toBe("member");
    await healthy();
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
    for (const osd of [0, 1, 2, 3]) {
      expect(
        await ok(`grep -c 'received *signal: Terminated' /var/lib/microceph/logs/ceph-osd.${osd}.log`),
      ).toMatch(/^[1-9]/);
    }
  });
});
