import type { Buffer } from "node:buffer";

/** What the check has read: 512 bytes at each offset. */
export type Samples = ReadonlyMap<number, Buffer>;

interface Magic {
  readonly what: string;
  /** Offset of the sample, offset in it, and the bytes. */
  readonly sample: number;
  readonly at: number;
  readonly bytes: string;
}

/** In the order of asking: what lies over the whole disk first. Offsets as in the formats' own documents. */
const magics: readonly Magic[] = [
  { what: "an OSD (BlueStore)", sample: 0, at: 0, bytes: "bluestore block device" },
  { what: "an encrypted device (LUKS)", sample: 0, at: 0, bytes: "LUKS\xba\xbe" },
  { what: "a physical volume of LVM", sample: 512, at: 0, bytes: "LABELONE" },
  { what: "a GPT partition table", sample: 512, at: 0, bytes: "EFI PART" },
  { what: "an xfs file system", sample: 0, at: 0, bytes: "XFSB" },
  { what: "an ext2, ext3 or ext4 file system", sample: 1024, at: 56, bytes: "\x53\xef" },
  { what: "a btrfs file system", sample: 65_536, at: 64, bytes: "_BHRfS_M" },
  { what: "a member of a RAID array", sample: 4096, at: 0, bytes: "\xfc\x4e\x2b\xa9" },
  { what: "swap space", sample: 3584, at: 502, bytes: "SWAPSPACE2" },
  { what: "an ntfs file system", sample: 0, at: 3, bytes: "NTFS    " },
  { what: "a FAT file system", sample: 0, at: 82, bytes: "FAT32   " },
  { what: "a FAT file system", sample: 0, at: 54, bytes: "FAT16   " },
  { what: "an MBR partition table", sample: 0, at: 510, bytes: "\x55\xaa" },
];

/** Samples that only these magics need. */
export const signatureOffsets: readonly number[] = [...new Set(magics.map(({ sample }) => sample))];

/** What a device holds, by its magic numbers; undefined when none is known. */
export function signatureIn(samples: Samples): string | undefined {
  const found = magics.find(({ sample, at, bytes }) => {
    const buffer = samples.get(sample);
    return buffer?.toString("latin1", at, at + bytes.length) === bytes;
  });
  return found?.what;
}
