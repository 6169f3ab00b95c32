import { Buffer } from "node:buffer";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, open, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { statDisk } from "../../../../src/ceph/disks/disks.ts";
import { deviceNumber, listBlockDevices } from "../../../../src/ceph/disks/inventory.ts";
import { parseMountInfo, parseSwaps } from "../../../../src/ceph/disks/mounts.ts";
import { contentOf } from "../../../../src/ceph/disks/pristine.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "disks-"));
});
afterEach(() => rm(folder, { recursive: true }));

describe("mounts", () => {
  it("are read with their escaped names; other lines are left out", () => {
    const text = [
      "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
      "37 36 8:17 / /mnt/a\\040b rw - ext4 /dev/sdb1 rw",
      "garbage",
      "",
    ].join("\n");
    expect(parseMountInfo(text)).toEqual([
      { device: "98:0", where: "/mnt2" },
      { device: "8:17", where: "/mnt/a b" },
    ]);
  });

  it("swaps have a headline", () => {
    expect(parseSwaps("Filename\tType\n/dev/sda2   partition 1 0 -2\n/swap\\040file file 1 0 -3\n")).toEqual([
      "/dev/sda2",
      "/swap file",
    ]);
  });
});

it.each([
  [0x811, "8:17"],
  // makedev(259, 300): 300 is 0x12c, its upper bits stand above the major, 0x103.
  [0x11032c, "259:300"],
])("device number %i is %s", (rdev, text) => {
  expect(deviceNumber(rdev)).toBe(text);
});

describe("what is on a device", () => {
  const bytes = 4 * 1024 ** 2;

  async function device(offset?: number, content = Buffer.from([1])): Promise<string> {
    const path = join(folder, `disk-${offset}`);
    await writeFile(path, "");
    await truncate(path, bytes);
    if (offset !== undefined) {
      const file = await open(path, "r+");
      await file.write(content, 0, content.length, offset);
      await file.close();
    }
    return path;
  }

  it.each([undefined, 700_000, 2 * 1024 ** 2])("nothing that counts with data at %s", async (offset) => {
    expect(await contentOf(await device(offset), bytes)).toBeUndefined();
  });

  it.each([
    [0, 0],
    [511, 0],
    [512, 512],
    [1080, 1024],
    [2048, 2048],
    [4096, 4096],
    [65_600, 65_536],
    [1024 ** 2 + 64, 1024 ** 2],
    [bytes - 1, bytes - 512],
  ])("data at byte %i is found by the sample at %i", async (offset, sample) => {
    expect(await contentOf(await device(offset), bytes)).toBe(`data at byte ${sample}`);
  });

  it("knows an OSD", async () => {
    const label = Buffer.from("bluestore block device\n71e344ef-0f99-476e-8dc4-98d6add72b2a\n");
    expect(await contentOf(await device(0, label), bytes)).toBe("an OSD (BlueStore)");
  });
});

describe("the inventory", () => {
  async function file(path: string, text: string): Promise<void> {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }

  it("knows only devices whose node is in this node's own /dev", async () => {
    await file("sys/sda/dev", "8:0\n");
    await file("sys/sda/size", "2097152\n");
    await mkdir(join(folder, "dev"));
    await symlink("/dev/null", join(folder, "dev/sda"));
    const roots = { sys: join(folder, "sys"), dev: join(folder, "dev"), proc: join(folder, "proc") };
    expect(await listBlockDevices(roots)).toEqual([]);
  });

  it.skipIf(process.getuid?.() !== 0)("joins what the kernel says with the nodes in /dev", async () => {
    await file("sys/sda/dev", "8:0\n");
    await file("sys/sda/size", "4194304\n");
    await file("sys/sda/ro", "1\n");
    await file("sys/sda/queue/rotational", "1\n");
    await file("sys/sda/device/vendor", "ATA     \n");
    await file("sys/sda/device/model", `BIG\u0007\u001b[31m DISK${"x".repeat(100)}\n`);
    await file("sys/sda/sda1/partition", "1\n");
    await file("sys/sda1/partition", "1\n");
    await file("sys/sda/sda1/dev", "8:1\n");
    await file("sys/sda1/dev", "8:1\n");
    await file("sys/sda1/size", "2048\n");
    await file("sys/sda/sda1/holders/dm-0", "");
    await file("sys/dm-0/dm/uuid", "LVM-abc\n");
    await file("sys/dm-0/dm/name", "vg-home\n");
    await file("sys/vdb/holders/dm-1", "");
    await file("sys/dm-1/dm/uuid", "mpath-3600\n");
    await file("sys/dm-1/dm/name", "mpatha\n");
    await file("sys/vdb/dev", "254:16\n");
    await file("sys/vdb/size", "2097152\n");
    await file("sys/vdb/device/vendor", "0x1af4\n");
    await file("sys/loop3/dev", "7:3\n");
    await file("sys/loop3/size", "0\n");
    await file("sys/sdz/dev", "65:144\n");
    await file("sys/sdz/size", "lots\n");
    await file("proc/self/mountinfo", "36 35 8:1 / /home rw - ext4 /dev/sda1 rw\n");
    await mkdir(join(folder, "dev/disk/by-id"), { recursive: true });
    for (const [name, major, minor] of [
      ["sda", "8", "0"],
      ["vdb", "254", "16"],
      ["loop3", "7", "3"],
      ["sdz", "65", "144"],
    ] as const) {
      execFileSync("mknod", [join(folder, "dev", name), "b", major, minor]);
    }
    for (const link of ["wwn-0x5000", "scsi-BIG_DISK", "lvm-pv-uuid-1"]) {
      await symlink("../../sda", join(folder, "dev/disk/by-id", link));
    }
    const roots = { sys: join(folder, "sys"), dev: join(folder, "dev"), proc: join(folder, "proc") };
    expect(await listBlockDevices(roots)).toEqual([
      {
        name: "sda",
        device: "8:0",
        path: join(folder, "dev/sda"),
        stablePath: join(folder, "dev/disk/by-id/scsi-BIG_DISK"),
        byId: join(folder, "dev/disk/by-id/scsi-BIG_DISK"),
        byPath: null,
        bytes: 2 * 1024 ** 3,
        vendor: "ATA",
        partOf: null,
        backingFile: null,
        model: `ATA BIG [31m DISK${"x".repeat(100)}`.slice(0, 64),
        type: "scsi",
        rotational: true,
        readOnly: true,
        partitions: ["sda1"],
        usedBy: ["sda1 mounted at /home", "sda1 is used by the LVM volume vg-home"],
      },
      {
        name: "vdb",
        device: "254:16",
        path: join(folder, "dev/vdb"),
        stablePath: join(folder, "dev/vdb"),
        byId: null,
        byPath: null,
        bytes: 1024 ** 3,
        vendor: "",
        partOf: null,
        backingFile: null,
        model: "",
        type: "virtio",
        rotational: false,
        readOnly: false,
        partitions: [],
        usedBy: ["is a path of the multipath device mpatha"],
      },
    ]);
  });

  it("answers with nothing where there is nothing", async () => {
    const nowhere = join(folder, "no");
    expect(await listBlockDevices({ sys: nowhere, dev: nowhere, proc: nowhere })).toEqual([]);
  });

  it.each([
    ["/dev/null", "USAGE"],
    ["/no/such/disk", "NOT_FOUND"],
  ])("%s is refused with %s", async (path, code) => {
    await expect(statDisk(path)).rejects.toMatchObject({ code });
  });
});
