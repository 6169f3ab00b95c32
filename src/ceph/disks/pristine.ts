import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { labelBytes, labelInWords, parseBluestoreLabel } from "./bluestore-label.ts";
import { signatureIn, signatureOffsets } from "./signature.ts";

const sampleBytes = 512;

/** Where the samples are taken, in bytes from the start: MicroCeph's, where partition tables and file systems begin. */
const sampleOffsets = [0, 512, 1024, 2048, 4096, 64 * 1024, 1024 * 1024];

/**
 * What is on a device, going by samples at its start and its end; undefined when they are all zero. It is
 * opened for reading only.
 */
export async function contentOf(path: string, bytes: number): Promise<string | undefined> {
  const device = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const inside = (offset: number): boolean => offset + sampleBytes <= bytes;
    const offsets = [...sampleOffsets.filter(inside), bytes - sampleBytes];
    const samples = new Map<number, Buffer>();
    let first: number | undefined;
    for (const offset of offsets) {
      const sample = await readAt(device, offset);
      samples.set(offset, sample);
      if (first === undefined && sample.some((byte) => byte !== 0)) first = offset;
    }
    if (first === undefined) return undefined;
    for (const offset of signatureOffsets.filter(inside)) {
      if (!samples.has(offset)) samples.set(offset, await readAt(device, offset));
    }
    const label = parseBluestoreLabel(await readAt(device, 0, labelBytes));
    if (label !== undefined) return `an OSD (BlueStore): ${labelInWords(label)}`;
    return signatureIn(samples) ?? `data at byte ${first}`;
  } finally {
    await device.close();
  }
}

async function readAt(device: FileHandle, offset: number, length = sampleBytes): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await device.read(buffer, 0, length, offset);
  return buffer.subarray(0, bytesRead);
}
