import { join } from "node:path";
import { z } from "zod";
import { readFileIfPresent } from "../../files/atomic-file.ts";
import type { OsdId } from "../../ids/ids.ts";
import type { DaemonDeps } from "./deps.ts";
import type { EncryptedDevice } from "./osd-encryption.ts";

/** A device of an OSD beside its own: for its write-ahead log or its database. */
export const auxSchema = z.object({
  path: z.string().min(1).max(4096),
  /** Set when it is a partition that was made for this OSD, and goes with it. */
  partition: z.object({ carrier: z.string().min(1).max(4096), uuid: z.uuid() }).nullable(),
  /** The file behind the loop device that it is, or lies on: it is attached again after a boot. */
  backingFile: z.string().max(4096).nullable(),
  /** What it holds is encrypted: the OSD uses its mapping. Absent in what an earlier version wrote. */
  encrypted: z.boolean().optional(),
});
export type OsdAux = Readonly<z.infer<typeof auxSchema>>;

const partsSchema = z.object({
  v: z.literal(1),
  /** The file behind the loop device that it is on. */
  backingFile: z.string().max(4096).nullable(),
  wal: auxSchema.nullable(),
  db: auxSchema.nullable(),
  /** The device itself, where what it holds is encrypted and `block` leads to the mapping. */
  encrypted: z.string().max(4096).nullish(),
});
/** What a finished OSD is made of, for whoever starts it, replaces it or takes it away. */
export type OsdParts = Readonly<z.infer<typeof partsSchema>>;

/** Name of the file in the OSD's data directory. */
export const partsFile = "parts.json";

/** Of an OSD that was made before there was such a file: nothing beside its own device. */
export function osdParts(deps: Pick<DaemonDeps, "paths">, osd: OsdId): Promise<OsdParts> {
  return partsIn(deps.paths.dataDir("osd", osd));
}

/** The same by the OSD's data directory. */
export async function partsIn(home: string): Promise<OsdParts> {
  const none: OsdParts = { v: 1, backingFile: null, wal: null, db: null };
  const text = await readFileIfPresent(join(home, partsFile));
  if (text === undefined) return none;
  try {
    return partsSchema.parse(JSON.parse(text));
  } catch {
    // It is started without: what it lacks then it says itself.
    return none;
  }
}

/** The devices of an OSD that are encrypted; its own first. */
export function encryptedDevices(parts: Pick<OsdParts, "wal" | "db" | "encrypted">): EncryptedDevice[] {
  const { encrypted, wal, db } = parts;
  return [
    ...(encrypted ? [{ role: "osd" as const, path: encrypted }] : []),
    ...(wal?.encrypted ? [{ role: "osd.wal" as const, path: wal.path }] : []),
    ...(db?.encrypted ? [{ role: "osd.db" as const, path: db.path }] : []),
  ];
}
