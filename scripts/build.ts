// Bundle the two programs into dist/, each as three files: NAME.cjs, which Node is started with, the program NAME.js,
// and NAME.cache, what V8 has compiled of it. A start is several times faster than from sources.
//   build.ts [--quiet]
import {
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { bundleProgram, bundleStart } from "./build/bundle.ts";
import { makeCache } from "./build/cache.ts";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");
const quiet = process.argv.includes("--quiet");

/** Files that the bundles read at run time, found beside themselves. */
function assets(): string[] {
  // Automerge's loader for Node reads this file from its own directory.
  const wasm = "node_modules/@automerge/automerge/dist/mjs/wasm_bindgen_output/nodejs/automerge_wasm_bg.wasm";
  return [join(root, wasm), ...globSync(join(root, "src", "ceph", "{runner/*.sh,{command,daemons}/*.py}"))];
}

const startedAt = new Date();
mkdirSync(dist, { recursive: true });
const work = mkdtempSync(join(dist, ".build-"));
try {
  const at = (name: string): string => join(work, name);
  await Promise.all([
    bundleProgram("src/cli/main.ts", at("microceph.js"), { lateModules: true }),
    bundleProgram("src/daemon/main.ts", at("microcephd.js")),
    bundleStart(at("microceph.cjs")),
    bundleStart(at("microcephd.cjs")),
  ]);
  for (const asset of assets()) copyFileSync(asset, at(basename(asset)));
  makeCache(at("microceph.js"), ["--state-dir", at("none"), "status"]);
  makeCache(at("microcephd.js"), ["--help"]);
  // Younger sources than this make the build stale, also those changed while it ran.
  writeFileSync(join(work, ".built"), "");
  utimesSync(join(work, ".built"), startedAt, startedAt);
  // One rename each: a program that starts at this moment finds the old or the new file, never a part.
  const files = globSync("*", { cwd: work });
  for (const file of [...files, ".built"]) renameSync(join(work, file), join(dist, file));
} catch (error) {
  // esbuild has said what is wrong with the sources; anything else is said here.
  if (!(error instanceof Error && "errors" in error)) console.error(error);
  process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}
for (const stale of globSync(".build-*", { cwd: dist })) {
  // Left by a build that was killed; one that still runs holds the lock of setup.sh.
  if (existsSync(join(dist, stale))) rmSync(join(dist, stale), { recursive: true, force: true });
}
if (!quiet && process.exitCode === undefined)
  console.log(`built dist/ in ${((Date.now() - startedAt.getTime()) / 1000).toFixed(1)} s`);
