import { MicrocephError } from "../../errors/microceph-error.ts";
import {
  isLuks,
  isLuksKey,
  isMapped,
  type LuksDeps,
  type LuksRole,
  luksAddKey,
  luksClose,
  luksErase,
  luksFormat,
  luksOpen,
  luksOpensWith,
  luksRemoveKey,
  mappingName,
  mappingPath,
} from "../disks/luks.ts";

/** The monitors' key store; `CephCommands` has it. */
export interface KeyStore {
  secret(key: string): Promise<string | undefined>;
  setSecret(key: string, value: string): Promise<void>;
  removeSecret(key: string): Promise<void>;
}

/** A device of an encrypted OSD. */
export interface EncryptedDevice {
  readonly role: LuksRole;
  readonly path: string;
}

export interface EncryptedOsd {
  readonly osd: number;
  readonly uuid: string;
  /** Its block device first, then those of WAL and DB. One key opens all, as with ceph-volume. */
  readonly devices: readonly EncryptedDevice[];
}

/**
 * Where the monitors keep the key of an OSD. Ceph's own place: `osd purge` and `osd destroy` remove everything
 * below `dm-crypt/osd/UUID/` (ConfigKeyService::do_osd_destroy), and with the last copy of the key the data.
 */
export function keyPath(uuid: string): string {
  return `dm-crypt/osd/${uuid}/luks`;
}

/** A key that is about to replace the other one. */
function nextKeyPath(uuid: string): string {
  return `dm-crypt/osd/${uuid}/luks.next`;
}

/** A key that was replaced and may still open devices. */
function previousKeyPath(uuid: string): string {
  return `dm-crypt/osd/${uuid}/luks.previous`;
}

/** The key of an OSD, made and stored before anything is encrypted with it: no data without a key in the store. */
export async function ensureKey(store: KeyStore, uuid: string, makeKey: () => string): Promise<string> {
  const kept = await store.secret(keyPath(uuid));
  // An empty one was never a key: nothing is encrypted before the monitors have shown a whole one.
  if (kept !== undefined && kept !== "") return checked(kept);
  await store.setSecret(keyPath(uuid), makeKey());
  // What the monitors say afterwards counts, not what was sent.
  return checked((await store.secret(keyPath(uuid))) ?? "");
}

/**
 * Encrypt a device that holds nothing, and map it; the path to use in its place. Run again after a crash, what
 * opens with our key is taken as it is.
 */
export async function makeEncrypted(
  deps: LuksDeps,
  osd: number,
  { role, path }: EncryptedDevice,
  key: string,
): Promise<string> {
  const name = mappingName(role, osd);
  if (!(await luksOpensWith(deps, path, key))) await luksFormat(deps, path, key);
  await luksOpen(deps, path, name, key);
  return mappingPath(name);
}

/** Whether all devices of an OSD are mapped, so that it can be started without its key. */
export async function isUnlocked({ osd, devices }: EncryptedOsd): Promise<boolean> {
  const mapped = await Promise.all(devices.map(({ role }) => isMapped(mappingName(role, osd))));
  return mapped.every(Boolean);
}

/** Map the devices of an OSD with the key that the monitors keep. Throws ENCRYPTION_KEY_WRONG, NOT_FOUND. */
export async function unlock(deps: LuksDeps, store: KeyStore, target: EncryptedOsd): Promise<void> {
  if (await isUnlocked(target)) return;
  const keys = await keysOf(store, target.uuid);
  if (keys.length === 0) {
    throw new MicrocephError("NOT_FOUND", `the monitors keep no key for osd.${target.osd}`, {
      data: { osd: target.osd },
    });
  }
  for (const { role, path } of target.devices) {
    await luksOpen(deps, path, mappingName(role, target.osd), await fitting(deps, path, keys));
  }
}

/** Take the mappings away; the OSD must be stopped. Idempotent. */
export async function lock(deps: LuksDeps, { osd, devices }: EncryptedOsd): Promise<void> {
  for (const { role } of devices) await luksClose(deps, mappingName(role, osd));
}

/** Make the OSD's data unreadable for good. It must be stopped and purged. Idempotent. */
export async function erase(deps: LuksDeps, target: EncryptedOsd): Promise<void> {
  await lock(deps, target);
  for (const { path } of target.devices) await luksErase(deps, path);
}

/**
 * Give an OSD another key while it runs. At each moment every device opens with a key that the monitors keep, so
 * a crash at any step loses nothing, and running it again completes it.
 */
export async function rotateKey(
  deps: LuksDeps,
  store: KeyStore,
  { osd, uuid, devices }: EncryptedOsd,
  makeKey: () => string,
): Promise<void> {
  const current = await store.secret(keyPath(uuid));
  if (current === undefined) {
    throw new MicrocephError("NOT_FOUND", `the monitors keep no key for osd.${osd}`, { data: { osd } });
  }
  const begun = await store.secret(nextKeyPath(uuid));
  if (begun === undefined) await store.setSecret(nextKeyPath(uuid), makeKey());
  const next = checked(begun ?? (await store.secret(nextKeyPath(uuid))) ?? "");
  const old = checked(current);
  // Taken up after the monitors' key was changed, only the old key's slots may be left: `old` is `next` then.
  for (const { path } of devices) await luksAddKey(deps, path, old, next);
  if (old !== next) await store.setSecret(previousKeyPath(uuid), old);
  await store.setSecret(keyPath(uuid), next);
  const previous = await store.secret(previousKeyPath(uuid));
  if (previous !== undefined && previous !== next) {
    for (const { path } of devices) await luksRemoveKey(deps, path, checked(previous));
  }
  // In this order: a run that finds the next key in place, and no previous one, has nothing left to change.
  await store.removeSecret(previousKeyPath(uuid));
  await store.removeSecret(nextKeyPath(uuid));
}

async function keysOf(store: KeyStore, uuid: string): Promise<string[]> {
  const keys: string[] = [];
  // During a change of keys a device may open with either.
  for (const path of [keyPath(uuid), nextKeyPath(uuid), previousKeyPath(uuid)]) {
    const key = await store.secret(path);
    if (key !== undefined) keys.push(checked(key));
  }
  return keys;
}

/** The key that opens this device; the first where none does, for the error that follows. */
async function fitting(deps: LuksDeps, path: string, keys: readonly string[]): Promise<string> {
  if (!(await isLuks(deps, path))) {
    throw new MicrocephError("NOT_FOUND", `${path} holds no encrypted data`, { data: { path } });
  }
  for (const key of keys) if (await luksOpensWith(deps, path, key)) return key;
  return keys[0] ?? "";
}

function checked(key: string): string {
  if (isLuksKey(key)) return key;
  throw new MicrocephError("STATE_CORRUPT", "the key that the monitors keep for an encrypted OSD is damaged");
}
