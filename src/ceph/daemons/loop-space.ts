import { readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { MicrocephError } from "../../errors/microceph-error.ts";
import type { CephPaths } from "../config/ceph-paths.ts";
import { backingFile } from "./osd.ts";

/** Room left for the monitor's store and logs beside the loop files, in bytes. */
const reserveBytes = 512 * 1024 ** 2;

export interface LoopSpace {
  /** Free bytes of the file system that holds the OSD folder. */
  readonly freeBytes: number;
  /** Bytes that existing loop files may still grow by: they are sparse. */
  readonly promisedBytes: number;
}

export async function measureLoopSpace(paths: CephPaths): Promise<LoopSpace> {
  const folder = join(paths.data, "osd");
  const { bavail, bsize } = await statfs(folder).catch(() => statfs(paths.state));
  let promisedBytes = 0;
  for (const name of await readdir(folder).catch(() => [])) {
    const file = await stat(join(folder, name, backingFile)).catch(() => undefined);
    if (file) promisedBytes += Math.max(0, file.size - file.blocks * 512);
  }
  return { freeBytes: bavail * bsize, promisedBytes };
}

/** Throws DISK_FULL when loop files of this many bytes could not be filled beside the existing ones. */
export function checkLoopSpace(space: LoopSpace, wantedBytes: number): void {
  const usable = space.freeBytes - space.promisedBytes - reserveBytes;
  if (wantedBytes > usable) {
    const gib = (bytes: number): string => `${(Math.max(0, bytes) / 1024 ** 3).toFixed(1)} GiB`;
    throw new MicrocephError(
      "DISK_FULL",
      `loop files of ${gib(wantedBytes)} do not fit: ${gib(usable)} are free for them in the state directory`,
      { data: { wantedBytes, ...space, reserveBytes } },
    );
  }
}
