import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import { open, realpath, stat } from "node:fs/promises";
import { MicrocephError } from "../../errors/microceph-error.ts";
import { runProgram } from "../../process/run-program.ts";
import { smallestOsdBytes } from "../daemons/osd-size.ts";
import {
  type BlockDevice,
  type DiskRoots,
  deviceNumber,
  isClaimed,
  listBlockDevices,
  systemRoots,
} from "./inventory.ts";
import { contentOf } from "./pristine.ts";

/** What is handed in; the defaults are the real system. */
export interface DiskDeps {
  readonly roots: DiskRoots;
  readonly run: typeof runProgram;
}

const systemDeps: DiskDeps = { roots: systemRoots, run: runProgram };
const programDeadlineMs = 30_000;
/** Milliseconds that one disk may take before it is left out of the list: a dead disk must not hold up a read. */
const lookDeadlineMs = 1000;

/** An empty disk of this node. */
export interface FreeDisk {
  readonly model: string;
  readonly sizeBytes: number;
  readonly type: string;
  readonly path: string;
}

/** Whole disks of this node that an OSD could be made on as they are: empty, unused, writable, large enough. */
export async function listDisks(deps: DiskDeps = systemDeps): Promise<FreeDisk[]> {
  const devices = await listBlockDevices(deps.roots);
  const looks = devices
    .filter(({ type, readOnly, bytes, partitions, usedBy }) => {
      const whole = type !== "partition" && type !== "volume";
      return (
        whole && !readOnly && bytes >= smallestOsdBytes && partitions.length === 0 && usedBy.length === 0
      );
    })
    .map(async (device): Promise<FreeDisk[]> => {
      const empty = await within(lookDeadlineMs, async () => {
        if (await isClaimed(device.path)) return false;
        return (await contentOf(device.path, device.bytes)) === undefined;
      });
      if (!empty) return [];
      const { model, bytes, type, stablePath } = device;
      return [{ model, sizeBytes: bytes, type, path: stablePath }];
    });
  return (await Promise.all(looks)).flat();
}

/** Stable path and size of a block device, or of what links to it. Throws NOT_FOUND, USAGE. */
export async function statDisk(
  path: string,
  deps: DiskDeps = systemDeps,
): Promise<{ readonly path: string; readonly bytes: number }> {
  const device = await findDevice(path, deps);
  return { path: device.stablePath, bytes: device.bytes };
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

/**
 * Erase what says that a device has content: signatures of it and its partitions, both ends, and the places
 * of BlueStore's labels. Only ever on the user's explicit word. Throws DISK_IN_USE while anything uses it.
 */
export async function wipeDisk(path: string, deps: DiskDeps = systemDeps): Promise<void> {
  const device = await findDevice(path, deps);
  const reasons = await useReasons(device);
  // A running OSD holds this lock (KernelDevice::_lock in Ceph).
  const lock = await deps.run("flock", ["--nonblock", "--conflict-exit-code", "75", device.path, "true"], {
    deadlineMs: programDeadlineMs,
    okCodes: [0, 75],
  });
  if (lock.exitCode === 75) reasons.push("locked by a running program");
  if (reasons.length > 0) throw inUse(path, reasons);
  const partitions = (await listBlockDevices(deps.roots)).filter(({ name }) =>
    device.partitions.includes(name),
  );
  for (const each of [...partitions, device]) {
    await deps.run("wipefs", ["--all", "--force", "--quiet", each.path], { deadlineMs: programDeadlineMs });
  }
  await zeroLabels(device);
}

const mib = 1024 ** 2;
const gib = 1024 ** 3;
/** Further copies of BlueStore's label, where a release has them. */
const labelCopies = [1, 10, 100, 1000].map((count) => count * gib);

async function zeroLabels({ path, bytes }: BlockDevice): Promise<void> {
  const file = await open(path, constants.O_WRONLY | constants.O_EXCL);
  try {
    const zero = async (offset: number, length: number): Promise<void> => {
      const size = Math.min(length, bytes - offset);
      if (offset >= 0 && size > 0) await file.write(Buffer.alloc(size), 0, size, offset);
    };
    await zero(0, 2 * mib);
    await zero(bytes - 2 * mib, 2 * mib);
    for (const offset of labelCopies) await zero(offset, 4096);
    await file.sync();
  } finally {
    await file.close();
  }
}

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
  const device = (await listBlockDevices(deps.roots)).find((each) => each.device === number);
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
