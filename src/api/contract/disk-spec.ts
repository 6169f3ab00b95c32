import { MicrocephError } from "../../errors/microceph-error.ts";

/** What `disk add` takes: a block device, or loop files of one size. No schema library: the CLI uses it too. */
export type DiskSpec =
  | { readonly kind: "device"; readonly path: string }
  | { readonly kind: "loop"; readonly sizeBytes: number; readonly count: number };

const unitBytes: Readonly<Record<string, number>> = { M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };
/** Below, too much of the OSD goes to its database's log; the disks' own limit is the same. */
const smallestLoopBytes = 2 ** 30;
const largestLoopBytes = 64 * 2 ** 40;
const mostLoops = 100;

function refuse(message: string): never {
  throw new MicrocephError("USAGE", message);
}

/** Parse one disk argument. Throws USAGE with what is wrong with it. */
export function parseDiskSpec(spec: string): DiskSpec {
  if (!/^loop(,|$)/.test(spec)) {
    const printable = [...spec].every((character) => character >= " " && character !== "\u007f");
    if (!/^\/.+/.test(spec) || !printable || spec.length > 1024) {
      refuse(
        `"${spec.slice(0, 80)}" is neither the absolute path of a block device nor loop,SIZE,COUNT (for example loop,4G,3)`,
      );
    }
    return { kind: "device", path: spec };
  }
  const match = /^loop,([0-9]+)([MGT])?,([0-9]+)$/.exec(spec);
  if (!match) refuse(`"${spec.slice(0, 80)}" is not loop,SIZE,COUNT with SIZE like 4G and COUNT like 3`);
  const sizeBytes = Number(match[1]) * (unitBytes[match[2] ?? "M"] ?? 1);
  const count = Number(match[3]);
  if (!(sizeBytes >= smallestLoopBytes && sizeBytes <= largestLoopBytes)) {
    refuse(`${match[1]}${match[2] ?? "M"} is no size for a loop file: from 1G to 64T`);
  }
  if (!(count >= 1 && count <= mostLoops))
    refuse(`${match[3]} is no count of loop files: from 1 to ${mostLoops}`);
  return { kind: "loop", sizeBytes, count };
}

/** Parse all arguments of one `disk add`: devices, or one loop spec alone. Throws USAGE. */
export function parseDiskSpecs(specs: readonly string[]): readonly DiskSpec[] {
  if (specs.length === 0) refuse("no disk was named");
  const parsed = specs.map(parseDiskSpec);
  if (parsed.length > 1 && parsed.some((spec) => spec.kind === "loop")) {
    refuse("a loop spec stands alone: no other disk in the same command");
  }
  if (new Set(specs).size !== specs.length) refuse("a disk is named twice");
  return parsed;
}
