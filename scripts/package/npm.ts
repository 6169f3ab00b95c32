import { chmodSync, cpSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { programs } from "./programs.ts";
import { run } from "./run.ts";
import { type Bundled, licenceTexts } from "./sbom.ts";

export interface NpmOptions {
  readonly root: string;
  /** An empty folder of the caller's, where the package is put together. */
  readonly work: string;
  /** The file that is made. */
  readonly target: string;
  readonly version: string;
  readonly packages: readonly Bundled[];
  /** The list of them, as it goes into the package. */
  readonly bom: string;
}

/** What of the checkout's package.json is so in the package, too. */
const own = z.object({
  name: z.string(),
  description: z.string(),
  license: z.string(),
  engines: z.record(z.string(), z.string()),
  bin: z.record(z.string(), z.string()),
  optionalDependencies: z.record(z.string(), z.string()),
});

/** A version of Debian's as one of npm's (SemVer 2.0): what comes before a release goes after a hyphen. */
export function npmVersion(version: string): string {
  const [release = "", before] = version.split("~");
  return before === undefined ? release : `${release}-${before}`;
}

/** Its package.json: the programs are bundled, so that of all dependencies the pinned Node alone is left. */
export function npmManifest(checkout: string, version: string): string {
  const { optionalDependencies, ...rest } = own.parse(JSON.parse(checkout));
  const manifest = {
    ...rest,
    version: npmVersion(version),
    type: "module",
    os: ["linux"],
    optionalDependencies,
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/** Files that are the same in the package as in the checkout. */
const files = [
  ...programs,
  ...["LICENSE", "README.md", "CHANGELOG.md"].map((path) => ({ path, mode: 0o644 })),
];

/** Build the package for `npm install --global`. The same sources give the same bytes. */
export function buildNpm(options: NpmOptions): void {
  const { root, work, target, version, packages, bom } = options;
  for (const { path, mode } of files) {
    mkdirSync(dirname(join(work, path)), { recursive: true });
    cpSync(join(root, path), join(work, path));
    chmodSync(join(work, path), mode);
  }
  const put = (name: string, text: string): void => writeFileSync(join(work, name), text, { mode: 0o644 });
  put("package.json", npmManifest(readFileSync(join(root, "package.json"), "utf8"), version));
  put("THIRD-PARTY-LICENSES", licenceTexts(root, packages));
  put("sbom.cdx.json", bom);
  const made = run("npm", [
    "pack",
    "--silent",
    "--ignore-scripts",
    work,
    "--pack-destination",
    dirname(target),
  ]);
  renameSync(join(dirname(target), made.trim()), target);
}
