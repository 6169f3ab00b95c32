import { constants } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { deviceNumber, openClaimed } from "./inventory.ts";

/** A part of a device, in bytes. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

const mib = 1024 ** 2;

/** Where tables, file systems, BlueStore and LUKS say what they are. */
export const startOfDevice: Extent = { offset: 0, length: 2 * mib };

/** Where further copies of tables and the superblocks of RAID lie. */
export const endOfDevice = (bytes: number): Extent => ({ offset: bytes - 2 * mib, length: 2 * mib });

/** Size in bytes of a block device, or of a file that stands for one. */
export async function sizeOfDevice(path: string): Promise<number> {
  const found = await stat(path);
  if (!found.isBlockDevice()) return found.size;
  // In sectors of 512 bytes, whatever the device's own are.
  return 512 * Number(await readFile(`/sys/dev/block/${deviceNumber(found.rdev)}/size`, "utf8"));
}

/** Overwrite parts of a device of this size, in this order, as far as they lie within it. Throws EBUSY while it is in use. */
export async function writeZeros(path: string, bytes: number, extents: readonly Extent[]): Promise<void> {
  const device = await openClaimed(path, constants.O_WRONLY);
  try {
    for (const { offset, length } of extents) {
      const size = Math.min(length, bytes - offset);
      if (offset >= 0 && size > 0) await device.write(Buffer.alloc(size), 0, size, offset);
    }
    await device.sync();
  } finally {
    await device.close();
  }
}
