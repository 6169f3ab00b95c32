import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

const lockfile = z.object({
  packages: z.record(
    z.string(),
    z.looseObject({
      version: z.string().optional(),
      license: z.string().optional(),
      integrity: z.string().optional(),
      dev: z.boolean().optional(),
      devOptional: z.boolean().optional(),
    }),
  ),
});

/** A package that is in the bundles. */
export interface Bundled {
  readonly name: string;
  readonly version: string;
  /** SPDX expression. */
  readonly license: string;
  /** Of the registry's archive, as npm notes it: `sha512-…`. */
  readonly integrity: string | null;
  /** Below the root of the checkout. */
  readonly path: string;
}

/** Everything that is not for development alone, one line per name and version; the other platforms' Node left out. */
export function bundledPackages(root: string, platform: string): Bundled[] {
  const { packages } = lockfile.parse(JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")));
  const found = new Map<string, Bundled>();
  for (const [path, { version, license = "", integrity = null, dev, devOptional }] of Object.entries(
    packages,
  )) {
    if (path === "" || dev || devOptional || version === undefined) continue;
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    if (name.startsWith("node-linux-") && name !== `node-linux-${platform}`) continue;
    found.set(`${name}@${version}`, { name, version, license, integrity, path });
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** CycloneDX 1.5 (https://cyclonedx.org/docs/1.5/json/); the same for the same packages. */
export function sbom(
  packages: readonly Bundled[],
  product: { readonly version: string; readonly at: string },
): string {
  const components = packages.map(({ name, version, license, integrity }) => ({
    type: "library",
    "bom-ref": `pkg:npm/${name}@${version}`,
    ...{ name, version, purl: `pkg:npm/${name.replace("@", "%40")}@${version}` },
    ...(license === "" ? {} : { licenses: [{ expression: license }] }),
    ...(integrity?.startsWith("sha512-")
      ? { hashes: [{ alg: "SHA-512", content: Buffer.from(integrity.slice(7), "base64").toString("hex") }] }
      : {}),
  }));
  const body = {
    ...{ bomFormat: "CycloneDX", specVersion: "1.5", version: 1 },
    metadata: {
      timestamp: product.at,
      component: {
        ...{ type: "application", "bom-ref": "microceph-mesh", name: "microceph-mesh" },
        ...{ version: product.version, licenses: [{ license: { id: "Apache-2.0" } }] },
      },
    },
    components,
  };
  // The number of a document follows from what it says, so that two builds are the same.
  const hex = createHash("sha256").update(JSON.stringify(body)).digest("hex");
  const uuid = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  return `${JSON.stringify({ ...body, serialNumber: `urn:uuid:${uuid}` }, null, 2)}\n`;
}

/** The licences of all of them, each text once. Throws where a package has none. */
export function licenceTexts(root: string, packages: readonly Bundled[]): string {
  const byText = new Map<string, string[]>();
  for (const { name, version, license, path } of packages) {
    const folder = join(root, path);
    const files = readdirSync(folder)
      .filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
      .sort();
    const own = files.map((file) => readFileSync(join(folder, file), "utf8").trim()).join("\n\n");
    if (own === "" && license === "") throw new Error(`${name} ${version} names no licence`);
    const text = own === "" ? `(No text in the package; its description says ${license}.)` : own;
    byText.set(text, [...(byText.get(text) ?? []), `${name} ${version} (${license || "see below"})`]);
  }
  return [...byText]
    .map(([text, names]) => `${names.join("\n")}\n${"-".repeat(72)}\n${text}\n`)
    .join(`\n${"=".repeat(72)}\n\n`);
}
