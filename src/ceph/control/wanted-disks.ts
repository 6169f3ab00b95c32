import { z } from "zod";

/** As many as one request may name. */
const mostDisks = 1000;
const path = z.string().max(4096);

/** A device or a partition for an OSD's log or database. */
const wantedAux = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("device"), path }),
  z.object({
    kind: z.literal("partition"),
    carrier: path,
    uuid: z.uuid(),
    number: z.int().positive(),
    start: z.int().positive(),
    bytes: z.int().positive(),
  }),
]);
export type WantedAux = Readonly<z.infer<typeof wantedAux>>;

/** One OSD to be made: chosen and remembered before anything of it exists. */
const wantedOsd = z.object({
  uuid: z.uuid(),
  /** The number of a destroyed OSD that it takes over; null: a new one. */
  osd: z.int().min(0).nullable().default(null),
  /** What the user named, as it is reported back. */
  spec: z.string().max(4200),
  source: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("loop"), bytes: z.int().positive() }),
    z.object({
      kind: z.literal("device"),
      path,
      bytes: z.int().positive(),
      /** Kernel's name of the whole disk; absent in what an earlier version remembered. */
      disk: z.string().max(256).default(""),
      backingFile: path.nullable().default(null),
    }),
  ]),
  wal: wantedAux.nullable().default(null),
  db: wantedAux.nullable().default(null),
});
export type WantedOsd = Readonly<z.infer<typeof wantedOsd>>;

/** A disk on which the partitions of this call are made. */
const wantedCarrier = z.object({
  path,
  action: z.enum(["new", "append", "reset"]),
  /** UUID of the partition table that is written on it; by it a run after a crash knows its own. */
  table: z.uuid(),
});
export type WantedCarrier = Readonly<z.infer<typeof wantedCarrier>>;

const refusedDisk = z.object({ path: z.string(), report: z.literal("Failure"), error: z.string() });

/** What a job of `disk add` remembers: everything that is to exist in the end, with its ids. */
export const wantedDisks = z.object({
  wanted: z.array(wantedOsd).max(mostDisks),
  refused: z.array(refusedDisk).max(mostDisks),
  carriers: z.array(wantedCarrier).max(mostDisks).default([]),
});
export type WantedDisks = Readonly<z.infer<typeof wantedDisks>>;
