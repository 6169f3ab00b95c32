import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { MicrocephError } from "../../errors/microceph-error.ts";
import type { CallOptions, CephCommands } from "../command/commands.ts";
import { type CertificatePair, certificatePair } from "./decisions.ts";

/** Certificates of gateways are kept in the monitors' key store, each under its digest. */
const nameOf = (digest: string): string => `microceph/rgw-certificate/${digest}`;

/** Keep it for the gateways. @returns its digest */
export async function keepCertificate(
  ceph: CephCommands,
  pair: CertificatePair,
  call: CallOptions,
): Promise<string> {
  const digest = createHash("sha256").update(`${pair.certificate}\n${pair.key}`).digest("hex");
  // Not as JSON, which `ceph` would hand out as what it says itself.
  await ceph.setSecret(nameOf(digest), Buffer.from(JSON.stringify(pair)).toString("base64"), call);
  return digest;
}

/** Undefined when it is not there. */
export async function readCertificate(
  ceph: CephCommands,
  digest: string,
  call: CallOptions,
): Promise<CertificatePair | undefined> {
  const text = await ceph.secret(nameOf(digest), call);
  return text === undefined
    ? undefined
    : certificatePair.parse(JSON.parse(Buffer.from(text, "base64").toString("utf8")));
}

/**
 * A certificate (the first of its chain counts) and the key that it is of, from PEM, or from base64 of it as MicroCeph
 * has them. Throws USAGE for what is none, has run out, or does not belong together.
 */
export function parseCertificate(
  given: { readonly certificate: string; readonly key: string },
  now: number,
): CertificatePair {
  const certificate = pemOf(given.certificate, "certificate");
  const key = pemOf(given.key, "private key");
  const chain = read(() => new X509Certificate(certificate), "certificate");
  const secret = read(() => createPrivateKey(key), "private key");
  if (!chain.checkPrivateKey(secret)) {
    throw new MicrocephError("USAGE", "the private key is not that of the certificate");
  }
  if (Date.parse(chain.validTo) <= now) {
    throw new MicrocephError("USAGE", `the certificate has run out on ${chain.validTo}`);
  }
  return { certificate, key };
}

function pemOf(text: string, what: string): string {
  const pem = text.includes("-----BEGIN") ? text : Buffer.from(text, "base64").toString("utf8");
  if (!pem.includes("-----BEGIN"))
    throw new MicrocephError("USAGE", `the ${what} is neither PEM nor base64 of it`);
  return pem.endsWith("\n") ? pem : `${pem}\n`;
}

function read<T>(parse: () => T, what: string): T {
  try {
    return parse();
  } catch (error) {
    throw new MicrocephError("USAGE", `the ${what} cannot be read`, { cause: error });
  }
}
