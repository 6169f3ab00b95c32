// Bundle the two programs into dist/. Each start of a bundled program is two to three times faster than from
// sources (a bundle of CommonJS for the short-lived CLI, of ES modules for the daemon).
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
import { type BuildOptions, build } from "esbuild";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");
const quiet = process.argv.includes("--quiet");

const shared: BuildOptions = {
  absWorkingDir: root,
  bundle: true,
  platform: "node",
  target: "node26",
  sourcemap: true,
  minifySyntax: true,
  // Without comments the text is ASCII: V8 keeps one byte for each character, and a third fewer of them.
  minifyWhitespace: true,
  lineLimit: 160,
  legalComments: "none",
  logLevel: "warning",
};

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
  await Promise.all([
    build({
      ...shared,
      entryPoints: ["src/cli/main.ts"],
      outfile: join(work, "microceph.cjs"),
      format: "cjs",
      banner: { js: 'const importMetaUrl = require("node:url").pathToFileURL(__filename).href;' },
      define: {
        "import.meta.url": "importMetaUrl",
        "import.meta.dirname": "__dirname",
        "import.meta.filename": "__filename",
      },
    }),
    build({
      ...shared,
      entryPoints: ["src/daemon/main.ts"],
      outfile: join(work, "microcephd.mjs"),
      format: "esm",
      // CommonJS packages inside an ES module expect these.
      banner: {
        js: [
          'import { createRequire as bundleCreateRequire } from "node:module";',
          "const require = bundleCreateRequire(import.meta.url);",
          "const __filename = import.meta.filename;",
          "const __dirname = import.meta.dirname;",
        ].join("\n"),
      },
    }),
  ]);
  for (const asset of assets()) copyFileSync(asset, join(work, basename(asset)));
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
