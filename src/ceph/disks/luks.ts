import { isMicrocephError, MicrocephError } from "../../errors/microceph-error.ts";
import { exists } from "../../files/exists.ts";
import type { runProgram } from "../../process/run-program.ts";
import { endOfDevice, sizeOfDevice, startOfDevice, writeZeros } from "./zeros.ts";

export interface LuksDeps {
  readonly run: typeof runProgram;
}

/** What the mapping of a device is called, as in MicroCeph. */
export type LuksRole = "osd" | "osd.wal" | "osd.db";

export type EncryptionSupport =
  | { readonly supported: true }
  | { readonly supported: false; readonly reason: string };

const programDeadlineMs = 60_000;
/** Bytes of randomness in a key. */
const keyBytes = 96;
const keyText = /^[A-Za-z0-9+/]{128}$/;
/** cryptsetup(8): no key slot is opened by this passphrase. */
const wrongKey = 2;
/**
 * The key is random and as long as the cipher asks for, so stretching it adds nothing; argon2's memory would be
 * taken from the OSDs, for each device at each boot.
 */
const keyDerivation = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];

/** Both copies of the header by which LUKS2 is known: behind them come the key slots (LUKS2 specification, 2.1). */
const headerBytes = 32 * 1024;

/** A new key: 96 random bytes as 128 characters. */
export function makeLuksKey(random: (bytes: number) => Buffer): string {
  return random(keyBytes).toString("base64");
}

export function isLuksKey(text: string): boolean {
  return keyText.test(text);
}

/** Name below /dev/mapper of what is on an encrypted device. */
export function mappingName(role: LuksRole, osd: number): string {
  return `luks${role}-${osd}`;
}

export function mappingPath(name: string): string {
  return `/dev/mapper/${name}`;
}

/** Whether this node can encrypt now; asked anew each time, as what is missing can be loaded or installed. */
export async function encryptionSupport({ run }: LuksDeps): Promise<EncryptionSupport> {
  const no = (reason: string): EncryptionSupport => ({ supported: false, reason });
  try {
    await run("cryptsetup", ["--version"], { deadlineMs: programDeadlineMs });
  } catch (error) {
    if (!isMicrocephError(error, "MISSING_PROGRAM")) throw error;
    return no("cryptsetup is not installed; install the package cryptsetup-bin");
  }
  // Loads them where they are modules and may be loaded; where that fails the next look says what is missing.
  await run("modprobe", ["--quiet", "--all", "dm_mod", "dm_crypt"], {
    deadlineMs: programDeadlineMs,
    okCodes: [0, 1],
  }).catch(() => undefined);
  let targets: string;
  try {
    targets = (await run("dmsetup", ["targets"], { deadlineMs: programDeadlineMs })).stdout;
  } catch (error) {
    if (isMicrocephError(error, "MISSING_PROGRAM")) {
      return no("dmsetup is not installed; install the package dmsetup");
    }
    return no(
      "the kernel has no device mapper, or this node may not use it; load it with: modprobe dm_mod dm_crypt",
    );
  }
  return /^crypt\s/m.test(targets)
    ? { supported: true }
    : no("the kernel's device mapper has no crypt target; load it with: modprobe dm_crypt");
}

/** Write a new header that this key opens. Destroys what is on the device. */
export async function luksFormat({ run }: LuksDeps, device: string, key: string): Promise<void> {
  const format = ["luksFormat", "--batch-mode", "--type", "luks2", ...keyDerivation, "--key-file", "-"];
  await run("cryptsetup", [...format, device], withKey(key));
}

/** Whether the device has a LUKS header that this key opens. */
export async function luksOpensWith({ run }: LuksDeps, device: string, key: string): Promise<boolean> {
  if (!(await isLuks({ run }, device))) return false;
  const { exitCode } = await run("cryptsetup", ["open", "--test-passphrase", "--key-file", "-", device], {
    ...withKey(key),
    okCodes: [0, wrongKey],
  });
  return exitCode === 0;
}

export async function isLuks({ run }: LuksDeps, device: string): Promise<boolean> {
  const { exitCode } = await run("cryptsetup", ["isLuks", device], {
    deadlineMs: programDeadlineMs,
    okCodes: [0, 1],
  });
  return exitCode === 0;
}

/** Whether something is mapped under this name. */
export async function isMapped(name: string): Promise<boolean> {
  return exists(mappingPath(name));
}

/** Map the device; an existing mapping of this name stays. Throws ENCRYPTION_KEY_WRONG. */
export async function luksOpen({ run }: LuksDeps, device: string, name: string, key: string): Promise<void> {
  if (await isMapped(name)) return;
  const { exitCode } = await run(
    "cryptsetup",
    // As ceph-volume does: a freed block is told to the disk beneath.
    ["open", "--type", "luks", "--allow-discards", "--key-file", "-", device, name],
    { ...withKey(key), okCodes: [0, wrongKey] },
  );
  if (exitCode === 0) return;
  throw new MicrocephError("ENCRYPTION_KEY_WRONG", `the key in the monitors' store does not open ${device}`, {
    data: { path: device },
  });
}

/** Take the mapping away; idempotent. */
export async function luksClose({ run }: LuksDeps, name: string): Promise<void> {
  if (!(await isMapped(name))) return;
  await run("cryptsetup", ["close", name], { deadlineMs: programDeadlineMs });
}

/** Let a second key open the device; idempotent. */
export async function luksAddKey(
  deps: LuksDeps,
  device: string,
  key: string,
  another: string,
): Promise<void> {
  if (await luksOpensWith(deps, device, another)) return;
  checkKey(another);
  await deps.run(
    "cryptsetup",
    ["luksAddKey", "--batch-mode", "--force-password", ...keyDerivation, device],
    // Without a terminal each is read up to the end of its line: no key is ever in a file or an argument.
    { ...withKey(key), input: `${key}\n${another}\n${another}\n`, secrets: [key, another] },
  );
}

/** No longer let this key open the device; idempotent. */
export async function luksRemoveKey(deps: LuksDeps, device: string, key: string): Promise<void> {
  if (!(await luksOpensWith(deps, device, key))) return;
  const remove = ["luksRemoveKey", "--batch-mode", "--key-file", "-", device];
  await deps.run("cryptsetup", remove, withKey(key));
}

/**
 * Make what is on the device unreadable for good, whoever has a key: every key slot and the header go. Afterwards
 * it is an empty disk to whoever looks. The header is known until the last step, so a run that was cut off is made
 * again.
 */
export async function luksErase(deps: LuksDeps, device: string): Promise<void> {
  if (!(await isLuks(deps, device))) return;
  await deps.run("cryptsetup", ["luksErase", "--batch-mode", device], { deadlineMs: programDeadlineMs });
  const bytes = await sizeOfDevice(device);
  await writeZeros(device, bytes, [
    endOfDevice(bytes),
    { offset: headerBytes, length: startOfDevice.length - headerBytes },
  ]);
  await writeZeros(device, bytes, [{ offset: 0, length: headerBytes }]);
}

function withKey(key: string): { input: string; secrets: string[]; deadlineMs: number } {
  checkKey(key);
  return { input: key, secrets: [key], deadlineMs: programDeadlineMs };
}

function checkKey(key: string): void {
  if (!isLuksKey(key)) throw new MicrocephError("STATE_CORRUPT", "the key of an encrypted OSD is damaged");
}

/** Why an encrypted device cannot be made or opened here, as an error. */
export function notSupported(reason: string): MicrocephError {
  return new MicrocephError("ENCRYPTION_UNSUPPORTED", `Encryption is not supported on this node: ${reason}`);
}
