import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { CephCommands } from "../../../../src/ceph/command/commands.ts";
import {
  keepCertificate,
  parseCertificate,
  readCertificate,
} from "../../../../src/ceph/control/certificates.ts";

const folder = mkdtempSync(join(tmpdir(), "certificate-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function made(name: string, days = 30): { certificate: string; key: string } {
  const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
  const subject = ["-subj", "/CN=s3.example", "-days", `${days}`, "-keyout", key, "-out", certificate];
  execFileSync(
    "openssl",
    ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", ...subject],
    {
      stdio: "ignore",
    },
  );
  return { certificate: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") };
}

const one = made("one");
const two = made("two");
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const now = Date.now();

describe("a gateway's certificate", () => {
  it("is taken as PEM, or as base64 of it", () => {
    expect(parseCertificate(one, now)).toEqual(one);
    expect(parseCertificate({ certificate: base64(one.certificate), key: base64(one.key) }, now)).toEqual(
      one,
    );
  });

  it.each<[string, { certificate: string; key: string }, number, string]>([
    ["another's key", { certificate: one.certificate, key: two.key }, now, "not that of the certificate"],
    ["no PEM", { certificate: "hello", key: one.key }, now, "neither PEM nor base64"],
    [
      "a key that is none",
      { certificate: one.certificate, key: one.certificate },
      now,
      "private key cannot be read",
    ],
    ["a certificate that is none", { certificate: one.key, key: one.key }, now, "certificate cannot be read"],
    ["one that has run out", one, now + 31 * 86_400_000, "has run out"],
  ])("is refused: %s", (_what, pair, at, says) => {
    expect(() => parseCertificate(pair, at)).toThrow(says);
  });

  it("is kept under its digest, and found there again", async () => {
    const kept = new Map<string, string>();
    const ceph = {
      setSecret: async (name: string, value: string) => void kept.set(name, value),
      // What can be read as JSON is not handed out as text.
      secret: async (name: string) => {
        const text = kept.get(name);
        try {
          return text === undefined || typeof JSON.parse(text) === "string" ? text : undefined;
        } catch {
          return text;
        }
      },
    } as unknown as CephCommands;
    const call = { deadlineMs: 1000 };
    const digest = await keepCertificate(ceph, one, call);
    expect(await keepCertificate(ceph, two, call)).not.toBe(digest);
    expect(await readCertificate(ceph, digest, call)).toEqual(one);
    expect(await readCertificate(ceph, "0".repeat(64), call)).toBeUndefined();
  });
});
