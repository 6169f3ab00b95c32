// The snap in the hands of a real snapd: a virtual machine with systemd, where it is installed, becomes a cluster of one
// node with three disks, is stopped, started, set and removed. There is no AppArmor: confinement is not tried.
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { StatusReport } from "../../src/api/contract/status.ts";
import { machineTree, machineFolder as own } from "../vm/support/machine-tree.ts";
import { VirtualMachine } from "../vm/support/virtual-machine.ts";
import { vmSuite } from "../vm/support/vm-suite.ts";
import { builtSnap, madeBaseSnaps, snapWork } from "./support/built-snap.ts";

vmSuite("the snap and a real snapd", () => {
  let dir = "";
  let vm: VirtualMachine;
  const image = builtSnap();
  const ok = (command: string): Promise<string> => vm.ok(command);
  const status = async (): Promise<StatusReport> =>
    JSON.parse(
      await ok("until snap run microceph status --format json 2>/dev/null; do sleep 1; done"),
    ) as StatusReport;
  /** Ceph's daemons by number. */
  const daemons = async (): Promise<string[]> => {
    const { output } = await vm.run("pgrep -x 'ceph-(mon|mgr|mds|osd)' | sort -n");
    return output.trim().split("\n");
  };

  beforeAll(async () => {
    const bases = madeBaseSnaps();
    dir = mkdtempSync(join(tmpdir(), "vm-"));
    const disk = join(dir, "snapd.img");
    writeFileSync(disk, "");
    truncateSync(disk, 8 * 2 ** 30);
    const tree = machineTree({
      folder: join(snapWork, "vm", "tree"),
      packages: ["snapd"],
      firstScript: join(import.meta.dirname, "support/machine/systemd.sh"),
      files: [...bases, image],
    });
    vm = new VirtualMachine({
      ...{ name: "v1", dir, disks: [disk], tree, agent: `${own}/systemd.sh` },
      kernel: "apparmor=0",
      memoryMiB: 4096,
    });
    await vm.boot();
    await ok("snap wait system seed.loaded");
    // The base snaps, which a machine of the world outside gets from the store.
    for (const base of bases) await ok(`snap install --dangerous ${own}/${basename(base)}`);
  });
  afterAll(async () => {
    await vm?.powerOff();
    rmSync(dir, { recursive: true, force: true });
  });

  it("is installed with what was laid ready, and its daemon runs, fresh", async () => {
    await ok(
      [
        "mkdir -p /var/snap/microceph/common",
        `cp ${own}/ceph-extra.conf /var/snap/microceph/common/`,
        "echo admission=closed >/var/snap/microceph/common/preset",
        "echo 'options=--lease-ttl 60 --extra-ceph-config /var/snap/microceph/common/ceph-extra.conf' >>/var/snap/microceph/common/preset",
        `snap install --dangerous ${own}/${basename(image)}`,
      ].join("\n"),
    );
    expect(await ok("snap services microceph")).toMatch(/microceph\.daemon +enabled +active/);
    expect(await ok("systemctl show -p KillMode --value snap.microceph.daemon")).toBe("process\n");
    // A machine of its own has things to say of itself (`snap warnings`), which `snap` mentions on standard error.
    expect(await ok("snap get microceph admission 2>/dev/null")).toBe("closed\n");
    expect((await status()).self.state).toBe("fresh");
    expect(await ok("cat /var/snap/microceph/current/conf/metadata.yaml")).toMatch(
      /^microceph-git: 0.*\nceph-version: [0-9.]+\n$/,
    );
    expect(await ok("snap info microceph | grep '^summary'; snap tasks --last=install | tail -3")).toContain(
      "Ceph that",
    );
  });

  it("becomes a cluster with three disks, HEALTH_OK", async () => {
    await ok("snap run microceph cluster bootstrap");
    await ok("snap run microceph disk add loop,1G,3");
    await ok(
      'for n in $(seq 120); do snap run microceph status --format json 2>/dev/null | grep -q \'"status": *"HEALTH_OK"\' && exit; sleep 2; done; snap run microceph status; exit 1',
    );
    const { health } = await status();
    expect([health?.status, health?.osds.up]).toEqual(["HEALTH_OK", 3]);
    expect(await ok("snap run microceph.ceph --connect-timeout 120 osd stat")).toContain("3 osds: 3 up");
  });

  it("leaves Ceph's daemons alone when it is stopped and started", async () => {
    const before = await daemons();
    expect(before.length).toBeGreaterThanOrEqual(5);
    await ok("snap stop microceph");
    expect(await ok("snap services microceph")).toMatch(/microceph\.daemon +enabled +inactive/);
    expect(await daemons()).toEqual(before);
    await ok("snap start microceph");
    expect((await status()).self.state).toBe("member");
    expect(await daemons()).toEqual(before);
  });

  it("refuses settings that are wrong, and restarts for those that are right", async () => {
    const pid = await ok("systemctl show -p MainPID --value snap.microceph.daemon");
    const wrong = await vm.run("snap set microceph admission=everyone");
    expect([wrong.code, wrong.output]).toEqual([
      1,
      expect.stringContaining("admission is auto, approve or closed"),
    ]);
    const unknown = await vm.run("snap set microceph options=--no-such-option");
    expect([unknown.code, unknown.output]).toEqual([1, expect.stringContaining("no-such-option")]);
    expect(await ok("snap get microceph admission 2>/dev/null")).toBe("closed\n");
    expect(await ok("systemctl show -p MainPID --value snap.microceph.daemon")).toBe(pid);
    await ok("snap set microceph log-level=debug");
    expect(await ok("systemctl show -p MainPID --value snap.microceph.daemon")).not.toBe(pid);
    await status();
  });

  it("is gone with all that it ran when it is removed", async () => {
    await ok("snap remove --purge microceph");
    expect((await vm.run("pgrep -l 'ceph-|etcd|^node$' 2>/dev/null")).output).toBe("");
    expect((await vm.run("ls -d /var/snap/microceph /snap/microceph/x1")).output).not.toMatch(/^\//m);
  });
});
