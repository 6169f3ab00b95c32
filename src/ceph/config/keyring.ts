import { Buffer } from "node:buffer";
import { MicrocephError } from "../../errors/microceph-error.ts";

/** One section of a Ceph keyring file. */
export interface KeyringEntry {
  /** `mon.`, `client.admin`, `osd.3` … */
  readonly entity: string;
  /** cephx key, base64. */
  readonly key: string;
  /** Capabilities by service, `{mon: "allow *"}`; none for a keyring that only proves identity. */
  readonly capabilities?: Readonly<Record<string, string>>;
}

const keyBytes = 16;

/**
 * A new cephx key: base64 of type 1 (AES), creation time (seconds, nanoseconds) and length, little endian,
 * then 16 random bytes (CryptoKey::encode in Ceph's src/auth/Crypto.cc).
 */
export function makeCephKey(random: (size: number) => Uint8Array, nowMs: number): string {
  const bytes = Buffer.alloc(12 + keyBytes);
  bytes.writeUInt16LE(1, 0);
  bytes.writeUInt32LE(Math.floor(nowMs / 1000) >>> 0, 2);
  bytes.writeUInt32LE(0, 6);
  bytes.writeUInt16LE(keyBytes, 10);
  bytes.set(random(keyBytes).subarray(0, keyBytes), 12);
  return bytes.toString("base64");
}

export function isCephKey(text: unknown): text is string {
  if (typeof text !== "string" || !/^[A-Za-z0-9+/]{38}==$|^[A-Za-z0-9+/]{39}=$/.test(text)) return false;
  const bytes = Buffer.from(text, "base64");
  return bytes.length === 12 + keyBytes && bytes.readUInt16LE(0) === 1 && bytes.readUInt16LE(10) === keyBytes;
}

/**
 * Capabilities that MicroCeph and Ceph's own tools give to each kind of entity. Ceph compares them word by word when
 * an entity is asked for that exists, so each is written here only.
 */
export const adminCapabilities = {
  mon: "allow *",
  osd: "allow *",
  mds: "allow *",
  mgr: "allow *",
} as const;
export const monCapabilities = { mon: "allow *" } as const;
export const mgrCapabilities = { mon: "profile mgr", osd: "allow *", mds: "allow *" } as const;
export const mdsCapabilities = {
  mon: "profile mds",
  mgr: "profile mds",
  mds: "allow *",
  osd: "allow *",
} as const;

/** Of an OSD (Ceph doc: manual deployment). */
export const osdCapabilities = {
  mon: "allow profile osd",
  mgr: "allow profile osd",
  osd: "allow *",
} as const;

/** Of an S3 gateway: MicroCeph gives the same. */
export const rgwCapabilities = { mon: "allow rw", osd: "allow rwx", mgr: "allow rw" } as const;

/** Of the daemon that copies images of other sites (Ceph doc: RBD mirroring, "rbd-mirror daemon"). */
export const rbdMirrorCapabilities = { mon: "profile rbd-mirror", osd: "profile rbd" } as const;

/**
 * Of an NFS gateway: a client of every file system; which of their folders others see is for it to say. In `pool` it
 * keeps who may claim locks again.
 */
export function nfsCapabilities(pool: string): Readonly<Record<string, string>> {
  return { mon: "allow r", mds: "allow rw", osd: `allow rw tag cephfs *=*, allow rw pool=${pool}` };
}

/** Of the daemon that copies folders to other sites (Ceph doc: CephFS Snapshot Mirroring). */
export const cephfsMirrorCapabilities = {
  mon: "profile cephfs-mirror",
  mds: "allow r",
  osd: "allow rw tag cephfs metadata=*, allow r tag cephfs data=*",
  mgr: "allow r",
} as const;

/** Of the daemons whose whole state is their key, and whose name is that of their host. */
export const keyedCapabilities = {
  mgr: mgrCapabilities,
  mds: mdsCapabilities,
  rgw: rgwCapabilities,
  "rbd-mirror": rbdMirrorCapabilities,
  "cephfs-mirror": cephfsMirrorCapabilities,
} as const;

const entityPattern = /^(mon|mgr|mds|osd|client)\.[A-Za-z0-9._-]{0,100}$/;
const capabilityPattern = /^[A-Za-z0-9 *=,./_-]{1,300}$/;

/** A keyring file. Throws USAGE on names, keys or capabilities that would break out of their line. */
export function renderKeyring(entries: readonly KeyringEntry[]): string {
  return entries
    .map(({ entity, key, capabilities = {} }) => {
      if (!entityPattern.test(entity))
        throw new MicrocephError("USAGE", "not a Ceph entity name", { data: { entity } });
      if (!isCephKey(key)) throw new MicrocephError("USAGE", `the key of ${entity} is not a cephx key`);
      const lines = [`[${entity}]`, `\tkey = ${key}`];
      for (const [service, capability] of Object.entries(capabilities)) {
        if (!/^(mon|osd|mds|mgr)$/.test(service) || !capabilityPattern.test(capability)) {
          throw new MicrocephError("USAGE", `not a capability of ${entity}: ${service}`);
        }
        lines.push(`\tcaps ${service} = "${capability}"`);
      }
      return `${lines.join("\n")}\n`;
    })
    .join("");
}

/** The key of one entity in a keyring file's text. */
export function keyOf(keyring: string, entity: string): string | undefined {
  let current: string | undefined;
  for (const line of keyring.split("\n")) {
    const section = /^\s*\[([^\]]+)\]\s*$/.exec(line)?.[1];
    if (section !== undefined) current = section;
    const key = /^\s*key\s*=\s*(\S+)\s*$/.exec(line)?.[1];
    if (current === entity && key !== undefined && isCephKey(key)) return key;
  }
  return undefined;
}
