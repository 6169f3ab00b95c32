// Build what is given to others, from this checkout, into dist/packages:
//   package.ts
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { buildDeb } from "./package/deb.ts";
import { buildNpm, npmVersion } from "./package/npm.ts";
import { run } from "./package/run.ts";
import { bundledPackages, sbom } from "./package/sbom.ts";
import { buildVersion } from "./package/version.ts";

const root = join(import.meta.dirname, "..");
const target = join(root, "dist", "packages");
const architectures: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

const platform = process.arch;
const architecture = architectures[platform];
if (architecture === undefined) {
  console.error(`Error: there is no package for ${platform} [MISSING_PROGRAM]`);
  process.exit(3);
}
const { version, epoch, changed } = buildVersion(root);
if (changed) {
  console.error(
    "package: the checkout has changes that are not committed; they are in the package all the same",
  );
}

run(process.execPath, [join(root, "scripts", "build.ts"), "--quiet"]);
rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
const packages = bundledPackages(root, platform);
const at = new Date(epoch * 1000).toISOString();
const bomText = sbom(packages, { version, at });
const deb = join(target, `microceph-mesh_${version}_${architecture}.deb`);
const npm = join(target, `microceph-mesh-${npmVersion(version)}.tgz`);
const work = mkdtempSync(join(tmpdir(), "microceph-package-"));
const inFolder = (name: string): string => {
  mkdirSync(join(work, name));
  return join(work, name);
};
try {
  console.log(`package: ${basename(deb)}, ${basename(npm)}`);
  const what = { root, version, packages, bom: bomText };
  buildNpm({ ...what, work: inFolder("npm"), target: npm });
  buildDeb({ ...what, work: inFolder("deb"), target: deb, architecture, platform, epoch });
} finally {
  rmSync(work, { recursive: true, force: true });
}
const bom = join(target, `microceph-mesh_${version}.cdx.json`);
writeFileSync(bom, bomText);
const made = [deb, npm, bom];
const sums = made.map(
  (file) => `${createHash("sha256").update(readFileSync(file)).digest("hex")}  ${basename(file)}\n`,
);
writeFileSync(join(target, "SHA256SUMS"), sums.join(""));
console.log(`package: ${target} holds ${made.map((file) => basename(file)).join(", ")}, SHA256SUMS`);
