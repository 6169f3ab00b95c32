import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { z } from "zod";
import { cephAccess } from "../../ceph/control/decisions.ts";
import { MicrocephError } from "../../errors/microceph-error.ts";
import { type ClusterId, type Handle, isClusterId, isHandle, isPeerId, type PeerId } from "../../ids/ids.ts";

/** Bytes of a backup once it is unpacked. */
const maxBytes = 1024 * 1024 * 1024;

/** What only Ceph's monitors have beside the maps: it is given back once there are monitors again. */
export const cephRecords = z.object({
  auth: z
    .array(
      z.object({
        entity: z.string().max(200),
        key: z.string().max(200),
        caps: z.record(z.string(), z.string()),
      }),
    )
    .max(100_000),
  /** What `ceph config` was told. */
  settings: z
    .array(
      z.object({
        section: z.string().max(200),
        name: z.string().max(200),
        value: z.string(),
        mask: z.string().max(500),
      }),
    )
    .max(100_000),
  /** The key store: keys of encrypted OSDs, certificates of gateways. */
  keyStore: z.record(z.string().max(1000), z.string()),
});
export type CephRecords = z.infer<typeof cephRecords>;

const base64 = z.base64().transform((text): Buffer => Buffer.from(text, "base64"));

/** All that a cluster is, but for its data. */
const contentsSchema = z.object({
  v: z.literal(1),
  name: z.string().max(64),
  /** RFC 3339. */
  at: z.string().max(40),
  key: z.object({ id: z.custom<ClusterId>(isClusterId), publicKey: z.string(), privateKey: z.string() }),
  generation: z.int().min(1),
  publicNetwork: z.string().max(1024),
  voters: z.array(z.custom<PeerId>(isPeerId)).max(50),
  /** Every handle that was ever given away. */
  handles: z.array(z.custom<Handle>(isHandle)).max(100_000),
  /** Snapshot of etcd: journal and secrets. */
  etcd: base64,
  /** The document, as Automerge saves it. */
  document: base64,
  ceph: z.object({ access: cephAccess, records: cephRecords.nullable() }).nullable(),
});
export type Contents = z.infer<typeof contentsSchema>;

/** Of what is to be written: buffers become base64. */
export async function pack(contents: Contents): Promise<Buffer> {
  const { etcd, document, ...rest } = contents;
  const text = JSON.stringify({
    ...rest,
    etcd: etcd.toString("base64"),
    document: document.toString("base64"),
  });
  return promisify(gzip)(text);
}

/** Throws BACKUP_REFUSED. */
export async function unpack(packed: Buffer): Promise<Contents> {
  try {
    const text = await promisify(gunzip)(packed, { maxOutputLength: maxBytes });
    return contentsSchema.parse(JSON.parse(text.toString("utf8")));
  } catch (error) {
    throw new MicrocephError("BACKUP_REFUSED", "what is in the backup is not understood", { cause: error });
  }
}
