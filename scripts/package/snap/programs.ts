// Put our own programs, and the Node that they run on, into the tree of a snap:
//   programs.ts TREE
import { chmodSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { programs } from "../programs.ts";
import { bundledPackages, licenceTexts, sbom } from "../sbom.ts";
import { buildVersion } from "../version.ts";

export function stagePrograms(root: string, tree: string): void {
  const { version, epoch } = buildVersion(root);
  const packages = bundledPackages(root, process.arch);
  const copy = (from: string, path: string, mode = 0o644): void => {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    cpSync(join(root, from), join(tree, path));
    chmodSync(join(tree, path), mode);
  };
  const lib = "usr/lib/microceph-mesh";
  const doc = "usr/share/doc/microceph-mesh";
  const node = `node_modules/node-linux-${process.arch}/bin/node`;
  for (const { path, mode } of [...programs, { path: node, mode: 0o755 }]) copy(path, join(lib, path), mode);
  copy("LICENSE", join(doc, "copyright"));
  copy("CHANGELOG.md", join(doc, "CHANGELOG.md"));
  writeFileSync(join(tree, doc, "THIRD-PARTY-LICENSES"), licenceTexts(root, packages));
  const at = new Date(epoch * 1000).toISOString();
  writeFileSync(join(tree, doc, "sbom.cdx.json"), sbom(packages, { version, at }));
}

if (import.meta.main) {
  const [tree] = process.argv.slice(2);
  if (tree === undefined) throw new Error("programs.ts takes the folder of a tree");
  stagePrograms(join(import.meta.dirname, "..", "..", ".."), resolve(tree));
}
