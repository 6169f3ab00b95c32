import { constants } from "node:fs";
import { type FileHandle, lstat, open, readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
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

/** By the bus, else by what it is; a volume is one of the device mapper or of an array. */
export type DeviceType =
  | ("nvme" | "scsi" | "sata" | "usb" | "virtio" | "mmc" | "loop")
  | ("multipath" | "volume" | "partition" | "other");

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
  /** Its link in /dev/disk/by-id and in /dev/disk/by-path, where there is one. */
  readonly byId: string | null;
  readonly byPath: string | null;
  readonly bytes: number;
  readonly vendor: string;
  readonly model: string;
  readonly type: DeviceType;
  readonly rotational: boolean;
  readonly readOnly: boolean;
  /** Names of its partitions. */
  readonly partitions: readonly string[];
  /** Of a partition: the name of its disk, and its number. */
  readonly partOf: { readonly disk: string; readonly number: number } | null;
  /** The file behind a loop device, as the kernel has it; null for anything else. */
  readonly backingFile: string | null;
  /** Why it is in use; empty when it is not. */
  readonly usedBy: readonly string[];
}

/**
 * The block devices that the kernel knows and whose node is in this node's own /dev. What the kernel says is
 * taken as text from outside: lengths are bounded, unprintable characters dropped. With `only` it is no more than
 * the one of that number.
 */
export async function listBlockDevices(
  roots: DiskRoots = systemRoots,
  only: { readonly device?: string } = {},
): Promise<BlockDevice[]> {
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
    if (only.device !== undefined && device !== only.device) continue;
    const path = nodes.get(device);
    const sectors = Number(await attribute(folder, "size"));
    if (path === undefined || !Number.isSafeInteger(sectors) || sectors <= 0) continue;
    const partitions = await partitionNames(folder, name);
    const usedBy = [
      ...uses.filter((use) => use.device === device).map(({ where }) => `mounted at ${where}`),
      ...(await holdersOf(roots, name)),
    ];
    for (const partition of partitions) {
      const own = await attribute(join(folder, partition), "dev");
      usedBy.push(
        ...uses.filter((use) => use.device === own).map(({ where }) => `${partition} mounted at ${where}`),
        ...(await holdersOf(roots, `${name}/${partition}`)).map((use) => `${partition} ${use}`),
      );
    }
    const { byId = null, byPath = null } = links.get(await realpath(path).catch(() => path)) ?? {};
    found.push({
      name,
      device,
      path,
      stablePath: byId ?? byPath ?? path,
      byId,
      byPath,
      // Sectors of 512 bytes, whatever the device's own are.
      bytes: sectors * 512,
      vendor: await vendorOf(folder),
      model: await modelOf(folder),
      type: await typeOf(folder, name),
      rotational: (await attribute(folder, "queue/rotational")) === "1",
      readOnly: (await attribute(folder, "ro")) === "1",
      partitions,
      partOf: await parentOf(folder),
      backingFile: (await attribute(folder, "loop/backing_file")) || null,
      usedBy,
    });
  }
  return found;
}

/** Whether something has claimed it, in whatever namespace: a mount, a mapping, a swap. */
export async function isClaimed(path: string): Promise<boolean> {
  try {
    const file = await openClaimed(path, constants.O_RDONLY | constants.O_NONBLOCK);
    await file.close();
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EBUSY";
  }
}

/** Times that a claimed device is looked at, and milliseconds between two looks. */
const claimLooks = 5;
const claimLookMs = 50;

/**
 * Open a block device and claim it until it is closed. A look at a disk, ours at its inventory among them, claims
 * it and its partitions for a moment: who has it only for that long is waited for. Throws EBUSY when it stays
 * claimed.
 */
export async function openClaimed(path: string, flags: number): Promise<FileHandle> {
  for (let look = 1; ; look += 1) {
    try {
      return await open(path, flags | constants.O_EXCL);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EBUSY" || look === claimLooks) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, claimLookMs));
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

interface StableNames {
  byId?: string;
  byPath?: string;
}

/** Real path → stable names. */
async function stableNames(dev: string): Promise<Map<string, StableNames>> {
  const names = new Map<string, StableNames>();
  for (const kind of ["byId", "byPath"] as const) {
    const folder = join(dev, "disk", kind === "byId" ? "by-id" : "by-path");
    const links = (await readdir(folder).catch(() => [])).sort(
      // A maker's name says more than a number.
      (a, b) => Number(a.startsWith("wwn-")) - Number(b.startsWith("wwn-")) || (a < b ? -1 : 1),
    );
    for (const link of links) {
      if (link.startsWith("lvm-pv-uuid-") || link.startsWith("dm-uuid-")) continue;
      const path = join(folder, link);
      const target = await realpath(path).catch(() => undefined);
      if (target === undefined) continue;
      const known = names.get(target) ?? {};
      known[kind] ??= path;
      names.set(target, known);
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

/** What has opened it for itself, in words: multipath, LVM and encryption by the device mapper's own names. */
async function holdersOf(roots: DiskRoots, name: string): Promise<string[]> {
  const holders = await readdir(join(roots.sys, name, "holders")).catch(() => []);
  return Promise.all(
    holders.sort().map(async (holder) => {
      const uuid = await attribute(join(roots.sys, holder), "dm/uuid");
      const title = await attribute(join(roots.sys, holder), "dm/name");
      const shown = printable(title) || holder;
      if (uuid.startsWith("mpath-")) return `is a path of the multipath device ${shown}`;
      if (uuid.startsWith("LVM-")) return `is used by the LVM volume ${shown}`;
      if (uuid.startsWith("CRYPT-")) return `is used by the encrypted device ${shown}`;
      if (holder.startsWith("md")) return `is part of the array ${holder}`;
      return `held by ${holder}`;
    }),
  );
}

async function parentOf(folder: string): Promise<BlockDevice["partOf"]> {
  const number = Number(await attribute(folder, "partition"));
  if (!Number.isSafeInteger(number) || number <= 0) return null;
  const real = await realpath(folder).catch(() => folder);
  return { disk: basename(dirname(real)), number };
}

async function vendorOf(folder: string): Promise<string> {
  const vendor = await attribute(folder, "device/vendor");
  // virtio's vendor is a PCI number.
  if (vendor !== "" && !vendor.startsWith("0x")) return printable(vendor);
  // MicroCeph's way: the first word of the model.
  return printable(await attribute(folder, "device/model")).split(/[ _]/)[0] ?? "";
}

async function modelOf(folder: string): Promise<string> {
  const vendor = await attribute(folder, "device/vendor");
  const model = await attribute(folder, "device/model");
  return printable(`${vendor.startsWith("0x") ? "" : vendor} ${model}`);
}

/** What the kernel passes on from a device, fit to be shown. */
function printable(text: string): string {
  return text
    .replace(/[^\x20-\x7e]/g, " ")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, 64);
}

async function typeOf(folder: string, name: string): Promise<BlockDevice["type"]> {
  if ((await attribute(folder, "partition")) !== "") return "partition";
  if (name.startsWith("nvme")) return "nvme";
  if (name.startsWith("sd")) {
    const bus = await realpath(folder).catch(() => "");
    if (/\/ata[0-9]+\//.test(bus)) return "sata";
    return /\/usb[0-9]+\//.test(bus) ? "usb" : "scsi";
  }
  if (name.startsWith("vd")) return "virtio";
  if (name.startsWith("loop")) return "loop";
  if (name.startsWith("mmcblk")) return "mmc";
  if (name.startsWith("dm-")) {
    return (await attribute(folder, "dm/uuid")).startsWith("mpath-") ? "multipath" : "volume";
  }
  if (name.startsWith("md")) return "volume";
  return "other";
}
