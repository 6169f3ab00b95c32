import { MicrocephError } from "../../../errors/microceph-error.ts";

/** What a partition of ours holds of its OSD. */
export type AuxKind = "wal" | "db";

/** A part of a disk that is taken, in bytes. */
export interface Extent {
  readonly start: number;
  readonly bytes: number;
}

/** A disk on which partitions may be made. */
export interface Carrier {
  /** Its stable path. */
  readonly path: string;
  readonly bytes: number;
  /** `new`: empty; `append`: holds a table with partitions of ours only; `reset`: its content is given up. */
  readonly action: "new" | "append" | "reset";
  /** Partitions that are there and stay, by number. */
  readonly taken: readonly (Extent & { readonly number: number })[];
}

export interface PartitionPlan extends Extent {
  readonly kind: AuxKind;
  readonly carrier: string;
  readonly number: number;
  readonly action: Carrier["action"];
}

export interface AuxWish {
  readonly carriers: readonly Carrier[];
  readonly bytes: number;
}

export interface OsdPartitions {
  readonly osd: string;
  readonly wal: PartitionPlan | null;
  readonly db: PartitionPlan | null;
}

const mib = 2 ** 20;
/** Kept free at both ends: the table and its copy, and the alignment of what is between. */
const margin = mib;
/** As many as a GPT has room for without being asked. */
const mostPartitions = 128;

/**
 * Give each OSD its partitions, spread evenly: each goes to the carrier with the fewest, of these to the first
 * by name, in the first gap that fits, on whole MiB. Equal facts in any order give the same plan. Throws
 * DISK_FULL when not all fit: nothing is to be made by halves.
 */
export function planPartitions(
  osds: readonly string[],
  wishes: { readonly wal: AuxWish | null; readonly db: AuxWish | null },
): OsdPartitions[] {
  const states = new Map<string, CarrierState>();
  for (const wish of [wishes.wal, wishes.db]) {
    for (const carrier of wish?.carriers ?? []) {
      const known = states.get(carrier.path);
      // Of two words on one disk the one that keeps less counts: both were given.
      if (known === undefined || carrier.action === "reset") states.set(carrier.path, stateOf(carrier));
    }
  }
  const place = (kind: AuxKind, wish: AuxWish | null): PartitionPlan | null => {
    if (wish === null) return null;
    const bytes = Math.ceil(wish.bytes / mib) * mib;
    const [best] = wish.carriers
      .flatMap(({ path }) => {
        const state = states.get(path);
        const start = state === undefined ? undefined : firstGap(state, bytes);
        return state === undefined || start === undefined ? [] : [{ state, start }];
      })
      .sort(
        (a, b) =>
          a.state.taken.length - b.state.taken.length ||
          (a.state.carrier.path < b.state.carrier.path ? -1 : 1),
      );
    if (best === undefined) throw noRoom(kind, osds.length, wish, bytes);
    const number = freeNumber(best.state);
    best.state.taken.push({ start: best.start, bytes, number });
    const { path, action } = best.state.carrier;
    return { kind, carrier: path, number, start: best.start, bytes, action };
  };
  return [...osds]
    .sort(byName)
    .map((osd) => ({ osd, wal: place("wal", wishes.wal), db: place("db", wishes.db) }));
}

/** Order of names with numbers in them: loop2 before loop10. */
export function byName(a: string, b: string): number {
  const key = (text: string): string => text.replace(/[0-9]+/g, (digits) => digits.padStart(12, "0"));
  const [left, right] = [key(a), key(b)];
  return left === right ? (a < b ? -1 : a > b ? 1 : 0) : left < right ? -1 : 1;
}

interface CarrierState {
  readonly carrier: Carrier;
  readonly taken: (Extent & { readonly number: number })[];
}

function stateOf(carrier: Carrier): CarrierState {
  return { carrier, taken: carrier.action === "append" ? [...carrier.taken] : [] };
}

/** Start of the first gap of so many bytes; undefined when there is none, or no number is left. */
function firstGap({ carrier, taken }: CarrierState, bytes: number): number | undefined {
  if (taken.length >= mostPartitions) return undefined;
  let start = margin;
  for (const extent of [...taken].sort((a, b) => a.start - b.start)) {
    if (start + bytes <= extent.start) return start;
    start = Math.max(start, Math.ceil((extent.start + extent.bytes) / mib) * mib);
  }
  return start + bytes <= carrier.bytes - margin ? start : undefined;
}

function freeNumber({ taken }: CarrierState): number {
  const used = new Set(taken.map(({ number }) => number));
  let number = 1;
  while (used.has(number)) number += 1;
  return number;
}

function noRoom(kind: AuxKind, osds: number, wish: AuxWish, bytes: number): MicrocephError {
  const where = wish.carriers.length === 0 ? "no disk" : wish.carriers.map(({ path }) => path).join(", ");
  return new MicrocephError(
    "DISK_FULL",
    `${osds} OSDs need a ${kind.toUpperCase()} partition of ${bytes / mib} MiB each, which do not fit on ${where}`,
    { data: { kind, osds, bytes, carriers: wish.carriers.map(({ path }) => path) } },
  );
}
