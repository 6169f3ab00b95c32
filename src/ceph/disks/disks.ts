import { realpath, stat } from "node:fs/promises";
import { MicrocephError } from "../../errors/microceph-error.ts";
import { runProgram } from "../../process/run-program.ts";
import { smallestOsdBytes } from "../daemons/osd-size.ts";
import { unavailability } from "./availability.ts";
import {
  type BlockDevice,
  type DiskRoots,
  deviceNumber,
  isClaimed,
  listBlockDevices,
  systemRoots,
} from "./inventory.ts";
import { byName } from "./match/plan.ts";
import { contentOf } from "./pristine.ts";
import { endOfDevice, startOfDevice, writeZeros } from "./zeros.ts";

/** What is handed in; the defaults are the real system. */
export interface DiskDeps {
  readonly roots: DiskRoots;
  readonly run: typeof runProgram;
}

const systemDeps: DiskDeps = { roots: systemRoots, run: runProgram };
const programDeadlineMs = 30_000;
/** Milliseconds that one disk may take before it is left out of the list: a dead disk must not hold up a read. */
const lookDeadlineMs = 1000;

/** A whole disk of this node with what keeps it from being made an OSD. */
export interface SurveyedDisk {
  readonly device: BlockDevice;
  /** Why it cannot be an OSD as it is, in words; none when it can. */
  readonly reasons: readonly string[];
  /** Only its content is in the way: with the user's word to wipe it could be one. */
  readonly wipeable: boolean;
  /** It holds a partition table; whose partitions they are is asked of the table itself. */
  readonly partitioned: boolean;
}

/** Who has a device, by its real path: `osd.3`, `the WAL of osd.3`. */
export type DiskOwners = ReadonlyMap<string, string>;

/** Every whole disk of this node, sorted by name, and what keeps each from being made an OSD. */
export async function surveyDisks(
  owners: DiskOwners = new Map(),
  deps: DiskDeps = systemDeps,
): Promise<SurveyedDisk[]> {
  const devices = await listBlockDevices(deps.roots);
  const whole = devices.filter(({ type }) => type !== "partition" && type !== "volume");
  const surveyed = await Promise.all(
    whole.map(async (device): Promise<SurveyedDisk> => {
      const osd = ownerOf(device, devices, owners);
      const settled = osd !== null || device.usedBy.length > 0 || device.bytes < smallestOsdBytes;
      // What is in use anyway is not read: a disk that hangs would only be asked once more.
      const looked = settled
        ? { claimed: false, content: null }
        : await within(lookDeadlineMs, async () => ({
            claimed: await isClaimed(device.path),
            content: (await contentOf(device.path, device.bytes)) ?? null,
          }));
      const findings = looked ?? { claimed: false, content: null };
      const unreadable = looked === undefined ? "cannot be read" : null;
      return {
        device,
        ...unavailability(device, { osd, ...findings, unreadable }),
        partitioned: device.partitions.length > 0 || /partition table/.test(findings.content ?? ""),
      };
    }),
  );
  return surveyed.sort((a, b) => byName(a.device.path, b.device.path));
}

/** Who has the disk, or one of its partitions. */
function ownerOf(device: BlockDevice, devices: readonly BlockDevice[], owners: DiskOwners): string | null {
  const parts = devices.filter(({ partOf }) => partOf?.disk === device.name);
  for (const { path } of [device, ...parts]) {
    const owner = owners.get(path);
    if (owner !== undefined) return owner;
  }
  return null;
}

/** A block device as `disk add` needs to know it. */
export interface StatedDisk {
  /** Its stable path. */
  readonly path: string;
  readonly bytes: number;
  /** The kernel's name of the whole disk it is or is a part of: what is one at a time for each disk has it as its key. */
  readonly disk: string;
  /** The file behind a loop device. */
  readonly backingFile: string | null;
}

/** A block device, or what links to it. Throws NOT_FOUND, USAGE. */
export async function statDisk(path: string, deps: DiskDeps = systemDeps): Promise<StatedDisk> {
  const { stablePath, bytes, name, partOf, backingFile } = await findDevice(path, deps);
  return { path: stablePath, bytes, disk: partOf?.disk ?? name, backingFile };
}

/**
 * Throws DISK_IN_USE, with every reason, when a device must not be made an OSD: read-only, in use, with
 * partitions or with content.
 */
export async function checkPristine(path: string, deps: DiskDeps = systemDeps): Promise<void> {
  const device = await findDevice(path, deps);
  const reasons = await useReasons(device);
  if (device.partitions.length > 0) reasons.push(`has the partitions ${device.partitions.join(", ")}`);
  if (reasons.length === 0) {
    const content = await contentOf(device.path, device.bytes);
    const signature = content ?? (await signatureOf(device.path, deps));
    if (signature !== undefined) reasons.push(`holds ${signature}`);
  }
  if (reasons.length > 0) throw inUse(path, reasons);
}

/** Throws DISK_IN_USE, with every reason, when a device must not be wiped: what it holds is in use, or it is read-only. */
export async function checkUnused(path: string, deps: DiskDeps = systemDeps): Promise<BlockDevice> {
  const device = await findDevice(path, deps);
  const reasons = await useReasons(device);
  // A running OSD holds this lock (KernelDevice::_lock in Ceph).
  const lock = await deps.run("flock", ["--nonblock", "--conflict-exit-code", "75", device.path, "true"], {
    deadlineMs: programDeadlineMs,
    okCodes: [0, 75],
  });
  if (lock.exitCode === 75) reasons.push("locked by a running program");
  if (reasons.length > 0) throw inUse(path, reasons);
  return device;
}

/**
 * Erase what says that a device has content: signatures of it and its partitions, both ends, and the places
 * of BlueStore's labels. Only ever on the user's explicit word. Throws DISK_IN_USE while anything uses it.
 */
export async function wipeDisk(path: string, deps: DiskDeps = systemDeps): Promise<void> {
  const device = await checkUnused(path, deps);
  const partitions = (await listBlockDevices(deps.roots)).filter(({ name }) =>
    device.partitions.includes(name),
  );
  // The label at the start goes last: a run that was interrupted is known by it, and is done again.
  await writeZeros(device.path, device.bytes, [endOfDevice(device.bytes), ...labelCopies]);
  for (const each of [...partitions, device]) {
    await deps.run("wipefs", ["--all", "--force", "--quiet", each.path], { deadlineMs: programDeadlineMs });
  }
  await writeZeros(device.path, device.bytes, [startOfDevice]);
}

const gib = 1024 ** 3;
/** Further copies of BlueStore's label, where a release has them. */
const labelCopies = [1, 10, 100, 1000].map((count) => ({ offset: count * gib, length: 4096 }));

async function useReasons(device: BlockDevice): Promise<string[]> {
  const reasons = [...device.usedBy];
  if (device.readOnly) reasons.push("read-only");
  if (reasons.length === 0 && (await isClaimed(device.path)))
    reasons.push("claimed by the kernel or a program");
  return reasons;
}

/** What blkid finds; it exits with 2 for nothing, and with 8 when several kinds are likely. */
async function signatureOf(path: string, deps: DiskDeps): Promise<string | undefined> {
  const { exitCode, stdout } = await deps.run("blkid", ["--probe", "--output", "export", path], {
    deadlineMs: programDeadlineMs,
    okCodes: [0, 2, 8],
  });
  if (exitCode === 2) return undefined;
  // Of a partition it also tells the entry in its disk's table, which is no content.
  const found = stdout
    .split("\n")
    .filter((line) => line !== "" && !/^(?:DEVNAME|PART_ENTRY_[A-Z]+)=/.test(line));
  if (found.length === 0) return undefined;
  const type = /^(?:TYPE|PTTYPE)=([A-Za-z0-9_-]{1,40})$/m.exec(stdout)?.[1];
  return type ?? "a signature";
}

async function findDevice(path: string, deps: DiskDeps): Promise<BlockDevice> {
  const real = await realpath(path).catch(() => undefined);
  const found = real === undefined ? undefined : await stat(real).catch(() => undefined);
  if (found === undefined) {
    throw new MicrocephError("NOT_FOUND", `there is no ${path.slice(0, 200)} on this node`);
  }
  if (!found.isBlockDevice()) {
    throw new MicrocephError("USAGE", `${path.slice(0, 200)} is not a block device`);
  }
  const number = deviceNumber(found.rdev);
  const [device] = await listBlockDevices(deps.roots, { device: number });
  if (!device) {
    throw new MicrocephError("NOT_FOUND", `${path.slice(0, 200)} has no size: nothing is behind this device`);
  }
  return device;
}

function inUse(path: string, reasons: readonly string[]): MicrocephError {
  return new MicrocephError("DISK_IN_USE", `${path} cannot be used: ${reasons.join("; ")}`, {
    data: { path, reasons },
  });
}

/** The result, or undefined when it fails or takes too long. */
async function within<T>(limitMs: number, act: () => Promise<T>): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), limitMs);
  try {
    return await Promise.race([act().catch(() => undefined), promise]);
  } finally {
    clearTimeout(timer);
  }
}
