import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "./run.ts";
import type { Bundled } from "./sbom.ts";

/**
 * The packages with their pinned Node in place. npm installs that of this machine's processor alone; another one is
 * fetched once, and must be what the lock file says.
 */
export function withNode(root: string, packages: readonly Bundled[], platform: string): Bundled[] {
  return packages.map((one) => (one.name === nodePackage(platform) ? located(root, one) : one));
}

export function nodePackage(platform: string): string {
  return `node-linux-${platform}`;
}

function located(root: string, node: Bundled): Bundled {
  if (existsSync(join(root, node.path))) return node;
  const path = join("node_modules/.cache/node", `${node.name}-${node.version}`);
  if (!existsSync(join(root, path))) fetchInto(join(root, path), node);
  return { ...node, path };
}

function fetchInto(folder: string, { name, version, integrity }: Bundled): void {
  const cache = dirname(folder);
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, "fetch-"));
  try {
    const file = run("npm", ["pack", "--silent", `${name}@${version}`, "--pack-destination", work]).trim();
    const archive = join(work, file);
    const got = `sha512-${createHash("sha512").update(readFileSync(archive)).digest("base64")}`;
    if (got !== integrity) throw new Error(`${name} ${version} is not the one in package-lock.json`);
    run("tar", ["-x", "-z", "-f", archive, "-C", work]);
    renameSync(join(work, "package"), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
