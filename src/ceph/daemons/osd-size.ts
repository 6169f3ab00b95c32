import { MicrocephError } from "../../errors/microceph-error.ts";

const gib = 1024 ** 3;

/**
 * Smallest OSD in bytes. Below 512 MiB `ceph-osd --mkfs` aborts, and at 512 MiB half of it goes to the
 * database's log at once.
 */
export const smallestOsdBytes = gib;

const units: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  K: 1024,
  M: 1024 ** 2,
  G: gib,
  T: 1024 ** 4,
  KIB: 1024,
  MIB: 1024 ** 2,
  GIB: gib,
  TIB: 1024 ** 4,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
};

/** Bytes of `4G`, `512M`, `1GiB` (powers of 1024), `4GB` (powers of 1000) or plain bytes. Throws USAGE. */
export function parseSize(text: string): number {
  const match = /^([0-9]{1,12})([A-Za-z]{0,3})$/.exec(text);
  const unit = match?.[2] === undefined ? undefined : units[match[2].toUpperCase()];
  const bytes = Number(match?.[1]) * (unit ?? Number.NaN);
  if (!Number.isSafeInteger(bytes) || bytes <= 0) {
    throw new MicrocephError(
      "USAGE",
      `${JSON.stringify(text.slice(0, 40))} is not a size; write it like 4G, 512M or 1GiB`,
      {
        data: { size: text.slice(0, 40) },
      },
    );
  }
  return bytes;
}

export interface LoopSpec {
  /** Size of each file in bytes. */
  readonly bytes: number;
  readonly count: number;
}

/** Most loop files that one command makes. */
export const mostLoopFiles = 64;

/** MicroCeph's `loop,SIZE,COUNT`; undefined when the text is none. Throws USAGE or DISK_TOO_SMALL. */
export function parseLoopSpec(text: string): LoopSpec | undefined {
  const parts = text.split(",");
  if (parts[0]?.toLowerCase() !== "loop") return undefined;
  const [, size, count] = parts;
  if (parts.length !== 3 || size === undefined || count === undefined) {
    throw new MicrocephError("USAGE", "loop files are written as loop,SIZE,COUNT, for example loop,4G,3");
  }
  const number = /^[0-9]{1,4}$/.test(count) ? Number(count) : 0;
  if (number < 1 || number > mostLoopFiles) {
    throw new MicrocephError("USAGE", `the number of loop files must be from 1 to ${mostLoopFiles}`, {
      data: { count: count.slice(0, 40) },
    });
  }
  const bytes = parseSize(size);
  checkOsdSize(bytes, `a loop file of ${size}`);
  return { bytes, count: number };
}

/** Throws DISK_TOO_SMALL below the smallest OSD. */
export function checkOsdSize(bytes: number, what: string): void {
  if (bytes < smallestOsdBytes) {
    throw new MicrocephError("DISK_TOO_SMALL", `${what} is too small: an OSD needs at least 1 GiB`, {
      data: { bytes, smallest: smallestOsdBytes },
    });
  }
}
