// Build what is given to others, from this checkout, into dist/packages:
//   package.ts [--all]     --all: Debian packages for every processor, not only for this machine's
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { buildDeb } from "./package/deb.ts";
import { withNode } from "./package/node.ts";
import { buildNpm, npmVersion } from "./package/npm.ts";
import { run } from "./package/run.ts";
import { bundledPackages, sbom } from "./package/sbom.ts";
import { buildVersion } from "./package/version.ts";

const root = join(import.meta.dirname, "..");
const target = join(root, "dist", "packages");
/** Debian's word for a processor by Node's. */
const architectures: ReadonlyMap<string, string> = new Map([
  ["x64", "amd64"],
  ["arm64", "arm64"],
]);

const [option, ...others] = process.argv.slice(2);
if ((option !== undefined && option !== "--all") || others.length > 0) {
  console.error("Error: package takes --all, or nothing [USAGE]");
  process.exit(2);
}
const platforms = [...architectures.keys()].filter((name) => option === "--all" || name === process.arch);
if (!architectures.has(process.arch)) {
  console.error(`Error: there is no package for ${process.arch} [MISSING_PROGRAM]`);
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
const at = new Date(epoch * 1000).toISOString();
const work = mkdtempSync(join(tmpdir(), "microceph-package-"));
const made: string[] = [];
const inFolder = (name: string): string => {
  mkdirSync(join(work, name));
  return join(work, name);
};
const begin = (name: string): string => {
  console.log(`package: ${name}`);
  made.push(join(target, name));
  return join(target, name);
};
try {
  for (const platform of platforms) {
    const architecture = architectures.get(platform) ?? platform;
    const packages = withNode(root, bundledPackages(root, platform), platform);
    const bom = sbom(packages, { version, at });
    const what = { root, version, packages, bom };
    if (platform === process.arch) {
      const npm = begin(`microceph-mesh-${npmVersion(version)}.tgz`);
      buildNpm({ ...what, work: inFolder("npm"), target: npm });
    }
    const deb = begin(`microceph-mesh_${version}_${architecture}.deb`);
    buildDeb({ ...what, work: inFolder(architecture), target: deb, architecture, platform, epoch });
    writeFileSync(begin(`microceph-mesh_${version}_${architecture}.cdx.json`), bom);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
const sums = made.map(
  (file) => `${createHash("sha256").update(readFileSync(file)).digest("hex")}  ${basename(file)}\n`,
);
writeFileSync(join(target, "SHA256SUMS"), sums.join(""));
console.log(`package: ${target} holds ${made.map((file) => basename(file)).join(", ")}, SHA256SUMS`);
