import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import { open } from "node:fs/promises";

/** Bytes of a device that its label lies in, from the start (BDEV_LABEL_BLOCK_SIZE in Ceph). */
export const labelBytes = 4096;

/** What BlueStore writes at the start of each device of an OSD. It also holds the OSD's key, which stays where it is. */
export interface BluestoreLabel {
  readonly osdUuid: string;
  /** `main`; `bluefs wal` and `bluefs db` on devices of their own. */
  readonly part: string;
  /** Which cluster's and which number; null on devices for WAL and DB, and before the OSD was finished. */
  readonly cephFsid: string | null;
  readonly osd: number | null;
}

const uuidText = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** `bluestore block device`, a line; the uuid, a line. */
const headLength = 60;
/** Version, oldest version that can read it, length (ENCODE_START in Ceph). */
const frameLength = 6;
const maxEntries = 64;

/**
 * The label in the first bytes of a device (bluestore_bdev_label_t in Ceph); undefined when it is none or is
 * damaged. It is whatever somebody wrote on a disk, so every length is checked and only known forms come out.
 */
export function parseBluestoreLabel(bytes: Buffer): BluestoreLabel | undefined {
  const [title, osdUuid = ""] = bytes.toString("latin1", 0, headLength).split("\n");
  if (title !== "bluestore block device" || !uuidText.test(osdUuid)) return undefined;
  try {
    const start = headLength + frameLength;
    const end = start + bytes.readUInt32LE(headLength + 2);
    if (end > bytes.length) return undefined;
    const body = bytes.subarray(start, end);
    if (body.toString("hex", 0, 16) !== osdUuid.replaceAll("-", "")) return undefined;
    // The size and the time it was made: eight bytes each.
    let at = 32;
    const text = (): string => {
      const length = body.readUInt32LE(at);
      if (at + 4 + length > body.length) throw new RangeError("longer than the label");
      at += 4 + length;
      return body.toString("latin1", at - length, at);
    };
    const part = text();
    const count = body.readUInt32LE(at);
    if (count > maxEntries || !/^[a-z ]{1,32}$/.test(part)) return undefined;
    at += 4;
    const meta = new Map<string, string>();
    for (let n = 0; n < count; n += 1) {
      const name = text();
      meta.set(name, text());
    }
    const fsid = meta.get("ceph_fsid") ?? "";
    const whoami = meta.get("whoami") ?? "";
    return {
      osdUuid,
      part,
      cephFsid: uuidText.test(fsid) ? fsid : null,
      osd: /^[0-9]{1,9}$/.test(whoami) ? Number(whoami) : null,
    };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The label on a device, opened for reading only; undefined when it has none, is gone or cannot be read. */
export async function readBluestoreLabel(path: string): Promise<BluestoreLabel | undefined> {
  try {
    const device = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const buffer = Buffer.alloc(labelBytes);
      const { bytesRead } = await device.read(buffer, 0, labelBytes, 0);
      return parseBluestoreLabel(buffer.subarray(0, bytesRead));
    } finally {
      await device.close();
    }
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (["ENOENT", "ENXIO", "EIO"].includes(code)) return undefined;
    throw error;
  }
}

/** The OSD that a label tells of, in words: `osd.3 of the Ceph cluster …`. */
export function labelInWords({ osdUuid, part, cephFsid, osd }: BluestoreLabel): string {
  if (osd !== null && cephFsid !== null) return `osd.${osd} of the Ceph cluster ${cephFsid}`;
  const what = { "bluefs wal": "the WAL of ", "bluefs db": "the DB of " }[part] ?? "";
  return `${what}the OSD with the uuid ${osdUuid}`;
}
