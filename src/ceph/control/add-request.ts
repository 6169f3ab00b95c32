import { z } from "zod";

const path = z.string().max(4096);
const spec = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("loop"),
    spec: z.string().max(4200),
    bytes: z.int().positive(),
    count: z.int().positive(),
  }),
  z.object({ kind: z.literal("device"), spec: z.string().max(4200), path }),
]);
export type DiskSpecInput = Readonly<z.infer<typeof spec>>;

/** A device for one OSD's log or database, or disks that match, on which a partition is made for each OSD. */
const aux = z.object({
  from: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("device"), path }),
    z.object({ kind: z.literal("match"), expression: z.string().max(10_240), bytes: z.int().positive() }),
  ]),
  wipe: z.boolean(),
  encrypt: z.boolean(),
});
export type AuxRequest = Readonly<z.infer<typeof aux>>;

/** What a job of `disk add` is asked for, as it is kept; the defaults are those of jobs of earlier versions. */
export const addRequest = z.object({
  specs: z.array(spec).max(1000).default([]),
  allAvailable: z.boolean().default(false),
  osdMatch: z.string().max(10_240).nullable().default(null),
  wipe: z.boolean().default(false),
  encrypt: z.boolean().default(false),
  wal: aux.nullable().default(null),
  db: aux.nullable().default(null),
  dryRun: z.boolean().default(false),
  /** Number of the destroyed OSD that the one device replaces. */
  replaces: z.int().min(0).nullable().default(null),
});
export type AddRequest = Readonly<z.infer<typeof addRequest>>;
/** What a caller says of it; all but what it wants may be left out. */
export type AddRequestDraft = Readonly<z.input<typeof addRequest>>;
