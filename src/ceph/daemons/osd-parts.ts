import { join } from "node:path";
import { z } from "zod";
import { readFileIfPresent } from "../../files/atomic-file.ts";
import type { OsdId } from "../../ids/ids.ts";
import type { DaemonDeps } from "./deps.ts";

/** A device of an OSD beside its own: for its write-ahead log or its database. */
export const auxSchema = z.object({
  path: z.string().min(1).max(4096),
  /** Set when it is a partition that was made for this OSD, and goes with it. */
  partition: z.object({ carrier: z.string().min(1).max(4096), uuid: z.uuid() }).nullable(),
  /** The file behind the loop device that it is, or lies on: it is attached again after a boot. */
  backingFile: z.string().max(4096).nullable(),
});
export type OsdAux = Readonly<z.infer<typeof auxSchema>>;

const partsSchema = z.object({
  v: z.literal(1),
  /** The file behind the loop device that it is on. */
  backingFile: z.string().max(4096).nullable(),
  wal: auxSchema.nullable(),
  db: auxSchema.nullable(),
});
/** What a finished OSD is made of, for whoever starts it, replaces it or takes it away. */
export type OsdParts = Readonly<z.infer<typeof partsSchema>>;

/** Name of the file in the OSD's data directory. */
export const partsFile = "parts.json";

/** Of an OSD that was made before there was such a file: nothing beside its own device. */
export async function osdParts(deps: Pick<DaemonDeps, "paths">, osd: OsdId): Promise<OsdParts> {
  const none: OsdParts = { v: 1, backingFile: null, wal: null, db: null };
  const text = await readFileIfPresent(join(deps.paths.dataDir("osd", osd), partsFile));
  if (text === undefined) return none;
  try {
    return partsSchema.parse(JSON.parse(text));
  } catch {
    // It is started without: what it lacks then it says itself.
    return none;
  }
}
