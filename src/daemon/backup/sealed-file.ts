import { createCipheriv, createDecipheriv, randomBytes, scrypt } from "node:crypto";
import { z } from "zod";
import { MicrocephError } from "../../errors/microceph-error.ts";

/**
 * A backup at rest: a line that says what it is, a line of JSON that anybody may read, and what only the passphrase
 * opens: AES-256-GCM under a key by scrypt (RFC 7914), with both lines as additional data, so that neither can be
 * changed.
 */
const magic = "MICROCEPH-BACKUP 1";
/** Memory-hard on purpose: 128 MiB and about half a second for each guess. */
const cost = { N: 2 ** 17, r: 8, p: 1 } as const;
/** What a reader takes; the least is for tests. */
const acceptedN = [2 ** 14, 2 ** 16, 2 ** 17, 2 ** 18] as const;
const maxMemory = 512 * 1024 * 1024;
const tagBytes = 16;
const maxLineBytes = 64 * 1024;
export const shortestPassphrase = 8;

const headerSchema = z.looseObject({
  kdf: z.literal("scrypt"),
  // What somebody wrote into the file must not take all memory.
  N: z.union(acceptedN.map((n) => z.literal(n))),
  r: z.literal(8),
  p: z.literal(1),
  salt: z.base64().max(64),
  cipher: z.literal("aes-256-gcm"),
  iv: z.base64().max(32),
  about: z.record(z.string(), z.unknown()),
});

const refuse = (why: string): MicrocephError => new MicrocephError("BACKUP_REFUSED", why);

/** Throws USAGE for a passphrase that is too short. */
export async function seal(
  content: Uint8Array,
  passphrase: string,
  about: Readonly<Record<string, unknown>>,
  N: (typeof acceptedN)[number] = cost.N,
): Promise<Buffer> {
  if (passphrase.length < shortestPassphrase) {
    throw new MicrocephError("USAGE", `a passphrase has at least ${shortestPassphrase} characters`);
  }
  const salt = randomBytes(16);
  const iv = randomBytes(12);
  const header = {
    ...{ kdf: "scrypt", ...cost, N, salt: salt.toString("base64") },
    ...{ cipher: "aes-256-gcm", iv: iv.toString("base64"), about },
  };
  const head = Buffer.from(`${magic}\n${JSON.stringify(header)}\n`);
  const cipher = createCipheriv("aes-256-gcm", await keyOf(passphrase, salt, N), iv);
  cipher.setAAD(head);
  return Buffer.concat([head, cipher.update(content), cipher.final(), cipher.getAuthTag()]);
}

/** Throws BACKUP_REFUSED for what is no backup, was changed, or has another passphrase. */
export async function unseal(file: Buffer, passphrase: string): Promise<Buffer> {
  const first = file.indexOf(0x0a);
  if (first < 0 || file.toString("latin1", 0, first) !== magic)
    throw refuse("this is no backup of a cluster");
  const second = file.indexOf(0x0a, first + 1);
  if (second < 0 || second > maxLineBytes || file.length < second + 1 + tagBytes) {
    throw refuse("the backup is cut short");
  }
  const header = headerSchema.safeParse(parsed(file.toString("utf8", first + 1, second))).data;
  if (header === undefined) throw refuse("the backup was made by a version that this one cannot read");
  const key = await keyOf(passphrase, Buffer.from(header.salt, "base64"), header.N);
  const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(header.iv, "base64"), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(file.subarray(0, second + 1));
  decipher.setAuthTag(file.subarray(file.length - tagBytes));
  try {
    return Buffer.concat([
      decipher.update(file.subarray(second + 1, file.length - tagBytes)),
      decipher.final(),
    ]);
  } catch {
    throw refuse("the passphrase is another one, or the backup was changed");
  }
}

function keyOf(passphrase: string, salt: Buffer, N: number): Promise<Buffer> {
  const { r, p } = cost;
  return new Promise((resolve, reject) => {
    scrypt(passphrase.normalize("NFKC"), salt, 32, { N, r, p, maxmem: maxMemory }, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
