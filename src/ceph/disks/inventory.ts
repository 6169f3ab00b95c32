import { constants } from "node:fs";
import { lstat, open, readdir, readFile, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { type DeviceUse, parseMountInfo, parseSwaps } from "./mounts.ts";

/** Where to look; other places in tests. */
export interface DiskRoots {
  /** `/sys/class/block`: every block device of the kernel, whoever may use it. */
  readonly sys: string;
  /** `/dev`: the devices that this node has. */
  readonly dev: string;
  /** `/proc` */
  readonly proc: string;
}

export const systemRoots: DiskRoots = { sys: "/sys/class/block", dev: "/dev", proc: "/proc" };

/** A block device of this node: a disk, a partition or a volume. */
export interface BlockDevice {
  /** The kernel's name, `sda1`. */
  readonly name: string;
  /** `major:minor` */
  readonly device: string;
  /** Its node in /dev. */
  readonly path: string;
  /** A name that is the same after a reboot where there is one (by-id, else by-path), else `path`. */
  readonly stablePath: string;
  readonly bytes: number;
  readonly model: string;
  readonly type: "nvme" | "scsi" | "virtio" | "loop" | "mmc" | "volume" | "partition" | "other";
  readonly rotational: boolean;
  readonly readOnly: boolean;
  /** Names of its partitions. */
  readonly partitions: readonly string[];
  /** Why it is in use; empty when it is not. */
  readonly usedBy: readonly string[];
}

/**
 * The block devices that the kernel knows and whose node is in this node's own /dev. What the kernel says is
 * taken as text from outside: lengths are bounded, unprintable characters dropped.
 */
export async function listBlockDevices(roots: DiskRoots = systemRoots): Promise<BlockDevice[]> {
  const [nodes, links, uses, names] = await Promise.all([
    deviceNodes(roots.dev),
    stableNames(roots.dev),
    deviceUses(roots),
    readdir(roots.sys).catch(() => []),
  ]);
  const found: BlockDevice[] = [];
  for (const name of names.sort()) {
    const folder = join(roots.sys, name);
    const device = await attribute(folder, "dev");
    const path = nodes.get(device);
    const sectors = Number(await attribute(folder, "size"));
    if (path === undefined || !Number.isSafeInteger(sectors) || sectors <= 0) continue;
    const partitions = await partitionNames(folder, name);
    const usedBy = [
      ...uses.filter((use) => use.device === device).map(({ where }) => `mounted at ${where}`),
      ...(await readdir(join(folder, "holders")).catch(() => [])).map((holder) => `held by ${holder}`),
    ];
    for (const partition of partitions) {
      const own = await attribute(join(roots.sys, partition), "dev");
      const holders = await readdir(join(roots.sys, partition, "holders")).catch(() => []);
      usedBy.push(
        ...uses.filter((use) => use.device === own).map(({ where }) => `${partition} mounted at ${where}`),
        ...holders.map((holder) => `${partition} held by ${holder}`),
      );
    }
    found.push({
      name,
      device,
      path,
      stablePath: links.get(await realpath(path).catch(() => path)) ?? path,
      // Sectors of 512 bytes, whatever the device's own are.
      bytes: sectors * 512,
      model: await modelOf(folder),
      type: await typeOf(folder, name),
      rotational: (await attribute(folder, "queue/rotational")) === "1",
      readOnly: (await attribute(folder, "ro")) === "1",
      partitions,
      usedBy,
    });
  }
  return found;
}

/** Whether something has claimed it, in whatever namespace: a mount, a mapping, a swap. */
export async function isClaimed(path: string): Promise<boolean> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_EXCL | constants.O_NONBLOCK);
    await file.close();
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EBUSY";
  }
}

async function attribute(folder: string, name: string): Promise<string> {
  const text = await readFile(join(folder, name), "utf8").catch(() => "");
  return text.slice(0, 4096).trim();
}

/** Block device nodes by `major:minor`; of several the first by name. */
async function deviceNodes(dev: string): Promise<Map<string, string>> {
  const nodes = new Map<string, string>();
  for (const folder of [dev, join(dev, "mapper")]) {
    for (const name of (await readdir(folder).catch(() => [])).sort()) {
      const path = join(folder, name);
      // Links are left out: the node itself is listed too.
      const found = await lstat(path).catch(() => undefined);
      if (!found?.isBlockDevice()) continue;
      const number = deviceNumber(found.rdev);
      if (!nodes.has(number)) nodes.set(number, path);
    }
  }
  return nodes;
}

/** `major:minor` of a device number as Linux packs it (makedev(3)). */
export function deviceNumber(rdev: number): string {
  const major = (rdev >>> 8) & 0xfff;
  const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);
  return `${major}:${minor}`;
}

/** Real path → stable name. */
async function stableNames(dev: string): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for (const kind of ["by-id", "by-path"]) {
    const folder = join(dev, "disk", kind);
    const links = (await readdir(folder).catch(() => [])).sort(
      // A maker's name says more than a number.
      (a, b) => Number(a.startsWith("wwn-")) - Number(b.startsWith("wwn-")) || (a < b ? -1 : 1),
    );
    for (const link of links) {
      if (link.startsWith("lvm-pv-uuid-") || link.startsWith("dm-uuid-")) continue;
      const path = join(folder, link);
      const target = await realpath(path).catch(() => undefined);
      if (target !== undefined && !names.has(target)) names.set(target, path);
    }
  }
  return names;
}

async function deviceUses(roots: DiskRoots): Promise<DeviceUse[]> {
  const mounts = parseMountInfo(await readFile(join(roots.proc, "self/mountinfo"), "utf8").catch(() => ""));
  const swaps = parseSwaps(await readFile(join(roots.proc, "swaps"), "utf8").catch(() => ""));
  for (const path of swaps) {
    const found = await stat(path).catch(() => undefined);
    if (found?.isBlockDevice()) mounts.push({ device: deviceNumber(found.rdev), where: "swap" });
  }
  return mounts;
}

async function partitionNames(folder: string, name: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await readdir(folder).catch(() => [])) {
    if (entry.startsWith(name) && (await attribute(join(folder, entry), "partition")) !== "") {
      names.push(entry);
    }
  }
  return names.sort();
}

async function modelOf(folder: string): Promise<string> {
  const vendor = await attribute(folder, "device/vendor");
  const model = await attribute(folder, "device/model");
  // virtio's vendor is a PCI number.
  const words = `${vendor.startsWith("0x") ? "" : vendor} ${model}`;
  return words
    .replace(/[^\x20-\x7e]/g, " ")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, 64);
}

async function typeOf(folder: string, name: string): Promise<BlockDevice["type"]> {
  if ((await attribute(folder, "partition")) !== "") return "partition";
  if (name.startsWith("nvme")) return "nvme";
  if (name.startsWith("sd")) return "scsi";
  if (name.startsWith("vd")) return "virtio";
  if (name.startsWith("loop")) return "loop";
  if (name.startsWith("mmcblk")) return "mmc";
  if (name.startsWith("dm-") || name.startsWith("md")) return "volume";
  return "other";
}
