import { MicrocephError } from "../../errors/microceph-error.ts";

/** Smallest OSD in bytes: below it `ceph-osd --mkfs` aborts with Ceph's default settings. */
export const smallestOsdBytes = 512 * 1024 ** 2;

/** Throws DISK_TOO_SMALL below the smallest OSD. */
export function checkOsdSize(bytes: number, what: string): void {
  if (bytes < smallestOsdBytes) {
    throw new MicrocephError("DISK_TOO_SMALL", `${what} is too small: an OSD needs at least 512 MiB`, {
      data: { bytes, smallest: smallestOsdBytes },
    });
  }
}
