// What needs a device mapper, which lab hosts lack: encrypted OSDs, made by the product on a real kernel and real
// dm-crypt, over a power cut. And the disks as udev, LVM and multipath name them.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { VirtualMachine } from "./support/virtual-machine.ts";
import { vmSuite } from "./support/vm-suite.ts";

const root = resolve(import.meta.dirname, "../..");
const marker = "a text that must not be readable on the disk";
const gib = 2 ** 30;

vmSuite("encrypted OSDs in a virtual machine", () => {
  let dir = "";
  let vm: VirtualMachine;
  /** The key of the OSD as the monitors have it; each look costs a start of `ceph`, which here takes long. */
  let secret = "";

  /** A machine with the same disks, up to a daemon that answers. */
  async function start(): Promise<void> {
    const image = (name: string): string => join(dir, `${name}.img`);
    // One disk on two paths, as multipath has it.
    const paths = ["a", "b"].flatMap((path) => [
      ...[
        "-drive",
        `file=${image("twice")},format=raw,if=none,id=twice${path},file.locking=off,cache=unsafe`,
      ],
      "-device",
      `scsi-hd,bus=scsi0.0,drive=twice${path},share-rw=on,serial=TWICE,wwn=0x5000c50015ea71ad`,
    ]);
    vm = new VirtualMachine({
      ...{ name: "v1", dir, disks: ["state", "secret", "volume"].map(image) },
      extra: ["-device", "virtio-scsi-pci,id=scsi0", ...paths],
    });
    await vm.boot();
    await vm.ok(
      [
        "blkid /dev/vda || mkfs.ext4 -q /dev/vda",
        "mount /dev/vda /var/lib/microceph",
        "ip link add eth0 type dummy && ip addr add 10.9.0.1/24 dev eth0 && ip link set eth0 up",
        "/lib/systemd/systemd-udevd --daemon && udevadm trigger && udevadm settle",
        `(${root}/bin/microcephd --lease-ttl 60 --extra-ceph-config ${root}/scripts/vm/ceph-extra.conf >>/var/lib/microceph/daemon.log 2>&1 &)`,
        `until ${root}/bin/microceph mesh status >/dev/null 2>&1; do sleep 1; done`,
      ].join("\n"),
    );
  }

  /** The CLI gives a question up after two seconds, which here is little. */
  const patiently = (args: string): Promise<string> =>
    vm.ok(`until ${root}/bin/microceph ${args} >/tmp/answer 2>/dev/null; do sleep 1; done; cat /tmp/answer`);
  const diskLists = async (): Promise<DiskLists> =>
    JSON.parse(await patiently("disk list --json")) as DiskLists;
  const microceph = (args: string): Promise<string> => vm.ok(`${root}/bin/microceph ${args}`);
  const ceph = (args: string): Promise<string> =>
    vm.ok(`ceph -c /var/lib/microceph/conf/ceph.conf --connect-timeout 60 ${args}`);
  const rados = (args: string): Promise<string> =>
    vm.ok(`timeout 240 rados -c /var/lib/microceph/conf/ceph.conf -p vault ${args}`);
  const key = async (): Promise<string> => {
    const uuid = (await vm.ok("cat /var/lib/microceph/data/osd/ceph-0/fsid")).trim();
    return (await ceph(`config-key get dm-crypt/osd/${uuid}/luks`)).trim();
  };
  const opensWith = async (secret: string): Promise<boolean> =>
    (await vm.run(`printf %s '${secret}' | cryptsetup open --test-passphrase --key-file - /dev/vdb`)).code ===
    0;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "vm-"));
    for (const name of ["state", "secret", "volume", "twice"]) {
      writeFileSync(join(dir, `${name}.img`), "");
      truncateSync(join(dir, `${name}.img`), 3 * gib);
    }
    await start();
    await microceph("cluster bootstrap");
  });
  afterAll(async () => {
    await vm?.powerOff();
    rmSync(dir, { recursive: true, force: true });
  });

  it("names disks as udev does, and says what LVM and multipath hold", async () => {
    await vm.ok(
      "pvcreate -qq /dev/vdc && vgcreate -qq shelf /dev/vdc && lvcreate -qq -an -Zn -L 100M -n book shelf",
    );
    // Multipath takes up only what it was told of once.
    await vm.ok(
      "vgchange -qq -ay shelf && multipath -a /dev/sda; multipath -v0; udevadm settle; test -e /dev/mapper/shelf-book",
    );
    const list = await diskLists();
    // Of a disk on two paths only the whole is offered.
    const available = [...list.AvailableDisks.map(({ Path }) => Path)];
    expect(available.sort()).toEqual([
      expect.stringMatching(/^\/dev\/(?:mapper\/mpath|disk\/by-id\/(?:dm-|wwn-|scsi-))/),
      "/dev/disk/by-id/virtio-secret",
    ]);
    const reasons = JSON.stringify(list.UnavailableDisks);
    expect(reasons).toMatch(/LVM|shelf-book/);
    expect(reasons).toMatch(/multipath/i);
    await vm.ok("vgremove -qq -f shelf && pvremove -qq /dev/vdc");
  });

  it("are made, with the key in the monitors' store only", async () => {
    expect(await patiently("disk encryption-support")).toBe("supported\n");
    await microceph("disk add --encrypt /dev/disk/by-id/virtio-secret");
    expect(await vm.ok("readlink /var/lib/microceph/data/osd/ceph-0/block")).toBe("/dev/mapper/luksosd-0\n");
    await vm.ok("cryptsetup isLuks /dev/vdb");
    secret = await key();
    expect(secret).toHaveLength(128);
    expect(await opensWith(secret)).toBe(true);
    // Nowhere in the node's own files but the monitor's database, which is the store.
    const leaked = await vm.run(
      `grep -rlF '${secret}' /var/lib/microceph --exclude-dir=mon --exclude-dir=etcd /etc /proc/[0-9]*/cmdline`,
    );
    expect(leaked.output.split("\n").filter((line) => line.startsWith("/var/lib/microceph"))).toEqual([]);
    const listed = await diskLists();
    expect(listed.ConfiguredDisks.map(({ path }) => path)).toEqual(["/dev/disk/by-id/virtio-secret"]);
  });

  it("keep what is written unreadable on the disk, also after the power is cut", async () => {
    // One `ceph` for all of them: here its start takes longer than they do.
    const commands = [
      "config set global mon_allow_pool_size_one true",
      "osd pool create vault 8",
      "osd pool set vault size 1 --yes-i-really-mean-it",
    ];
    await vm.ok(
      `printf '${commands.join("\\n")}\\n' | ceph -c /var/lib/microceph/conf/ceph.conf --connect-timeout 60`,
    );
    await vm.ok(`printf '${marker}' >/tmp/marker`);
    await rados("put note /tmp/marker");
    await vm.ok("sync");
    await vm.powerOff();
    const disk = join(dir, "secret.img");
    for (const text of [marker, "bluestore block device"]) {
      expect(() => execFileSync("grep", ["-aqF", text, disk]), `"${text}" on the raw disk`).toThrow();
    }
  });

  it("are unlocked at the next start, with what was written", async () => {
    await start();
    await vm.ok(`${root}/bin/microceph waitready --timeout 240`);
    expect(await rados("get note -")).toBe(marker);
  });

  it("get another key while they run, and the old one opens nothing", async () => {
    const before = secret;
    await microceph("disk rotate-key osd.0");
    secret = await key();
    expect(secret).not.toBe(before);
    expect(await opensWith(secret)).toBe(true);
    expect(await opensWith(before)).toBe(false);
    await vm.ok("cryptsetup status luksosd-0 | grep -q 'is active'");
    expect(await rados("get note -")).toBe(marker);
  });

  it("leave nothing that a key would open when they are removed", async () => {
    expect(await microceph("disk remove osd.0 --bypass-safety-checks")).toContain("Removed osd.0\n");
    expect(await opensWith(secret)).toBe(false);
    expect((await vm.run("cryptsetup isLuks /dev/vdb")).code).not.toBe(0);
    expect((await vm.run("test -e /dev/mapper/luksosd-0")).code).not.toBe(0);
    expect((await diskLists()).ConfiguredDisks).toEqual([]);
    const named = expect.objectContaining({ Path: "/dev/disk/by-id/virtio-secret" });
    // udev names it anew after its content has changed.
    await expect
      .poll(diskLists, { timeout: 120_000 })
      .toMatchObject({ AvailableDisks: expect.arrayContaining([named]) });
  });
});

interface DiskLists {
  readonly ConfiguredDisks: readonly { readonly path: string }[];
  readonly AvailableDisks: readonly { readonly Path: string }[];
  readonly UnavailableDisks: readonly unknown[];
}
