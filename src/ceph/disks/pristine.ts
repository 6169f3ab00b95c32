import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

const sampleBytes = 512;
const blueStoreLabel = "bluestore block device";

/** Where the samples are taken, in bytes from the start: MicroCeph's, where partition tables and file systems begin. */
const sampleOffsets = [0, 512, 1024, 2048, 4096, 64 * 1024, 1024 * 1024];

/**
 * What is on a device, going by samples at its start and its end; undefined when they are all zero. It is
 * opened for reading only.
 */
export async function contentOf(path: string, bytes: number): Promise<string | undefined> {
  const device = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const offsets = [...sampleOffsets.filter((offset) => offset + sampleBytes <= bytes), bytes - sampleBytes];
    for (const offset of offsets) {
      const sample = await readAt(device, offset);
      if (sample.every((byte) => byte === 0)) continue;
      if (offset === 0 && sample.toString("latin1").startsWith(blueStoreLabel)) return "an OSD (BlueStore)";
      return `data at byte ${offset}`;
    }
    return undefined;
  } finally {
    await device.close();
  }
}

async function readAt(device: FileHandle, offset: number): Promise<Buffer> {
  const buffer = Buffer.alloc(sampleBytes);
  const { bytesRead } = await device.read(buffer, 0, sampleBytes, offset);
  return buffer.subarray(0, bytesRead);
}
