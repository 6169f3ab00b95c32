// Build the snap from this checkout, of the packages of the machine's own distribution, into dist/packages:
//   package-snap.ts [--lint]
// What it is of, is cached in dist/snap: the packages' files, the staged tree, the tools.
import { readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { run } from "./package/run.ts";
import { Archive } from "./package/snap/archive.ts";
import { lintProject, lintTree } from "./package/snap/lint.ts";
import { packSnap, packTools } from "./package/snap/pack.ts";
import { parseProject } from "./package/snap/project.ts";
import { hookFiles, snapTree, stage } from "./package/snap/stage.ts";
import { buildVersion } from "./package/version.ts";

const root = join(import.meta.dirname, "..");
const work = join(root, "dist", "snap");

function refuse(faults: readonly string[]): void {
  if (faults.length === 0) return;
  for (const fault of faults) console.error(`Error: snapcraft.yaml: ${fault} [USAGE]`);
  process.exit(2);
}

const project = parseProject(readFileSync(join(root, "snap", "snapcraft.yaml"), "utf8"));
refuse(lintProject(project));
if (process.argv.includes("--lint")) {
  console.log("package: snapcraft.yaml has no fault");
  process.exit(0);
}
const architecture = run("dpkg", ["--print-architecture"]).trim();
if (!(architecture in project.platforms)) {
  console.error(`Error: there is no snap for ${architecture} [MISSING_PROGRAM]`);
  process.exit(3);
}
const { version, changed } = buildVersion(root);
if (changed)
  console.error(
    "package: the checkout has changes that are not committed; they are in the snap all the same",
  );

const startedAt = performance.now();
const seconds = (): string => ((performance.now() - startedAt) / 1000).toFixed(1);
run(process.execPath, [join(root, "scripts", "build.ts"), "--quiet"]);
const archive = new Archive(join(work, "archive"));
archive.update();
const tree = join(work, "tree");
stage(archive, { root, tree, project, version, architecture });
refuse(lintTree(project, snapTree(tree), { architecture, hookFiles: hookFiles(root) }));
console.log(`package: staged in ${seconds()} s`);
const target = join(root, "dist", "packages", `${project.name}_${version}_${architecture}.snap`);
packSnap(packTools(archive, join(work, "tools")), tree, target, project.compression);
const mib = Math.round(statSync(target).size / 2 ** 20);
console.log(`package: ${basename(target)}, ${mib} MiB, after ${seconds()} s`);
