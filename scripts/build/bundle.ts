import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type BuildOptions, build, type Metafile, type Plugin } from "esbuild";

const root = join(import.meta.dirname, "..", "..");

const shared: BuildOptions = {
  absWorkingDir: root,
  bundle: true,
  platform: "node",
  target: "node26",
  format: "cjs",
  define: { "import.meta.dirname": "__dirname", "import.meta.filename": "__filename" },
  minifySyntax: true,
  // Without comments the text is ASCII: V8 keeps one byte for each character, and a third fewer of them.
  minifyWhitespace: true,
  lineLimit: 160,
  legalComments: "none",
  logLevel: "warning",
};

/**
 * Modules of Node's that load when they are first used. They were a sixth of what the CLI took over an empty Node
 * program; commander imports one of them and never needs it.
 */
const loadedLate: Plugin = {
  name: "loaded-late",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:(child_process|fs\/promises)$/ }, ({ path }) => ({
      path,
      namespace: "loaded-late",
    }));
    onLoad({ filter: /.*/, namespace: "loaded-late" }, ({ path }) => {
      const names = Object.keys(createRequire(import.meta.url)(path));
      const getters = names.map((name) => `get ${name}() { return load().${name}; },`);
      return {
        contents: `const load = () => process.getBuiltinModule("${path}");\nmodule.exports = {\n${getters.join("\n")}\n};`,
        loader: "js",
      };
    });
  },
};

/** zod brings its messages in fifty languages, a third of a megabyte: ours are English. */
const inEnglish: Plugin = {
  name: "in-english",
  setup({ onLoad }) {
    onLoad({ filter: /[/\\]zod[/\\]v4[/\\]locales[/\\]index\.js$/ }, ({ path }) => ({
      contents: 'export { default as en } from "./en.js";',
      resolveDir: dirname(path),
    }));
  },
};

/** Bundle a program as the text of one function, which src/start runs. */
export async function bundleProgram(
  entry: string,
  outfile: string,
  { lateModules = false }: { readonly lateModules?: boolean } = {},
): Promise<Metafile> {
  const blank = "0".repeat(64);
  const { metafile } = await build({
    ...shared,
    entryPoints: [entry],
    outfile,
    sourcemap: true,
    metafile: true,
    plugins: [inEnglish, ...(lateModules ? [loadedLate] : [])],
    banner: { js: `//${blank}\n(function (require, __filename, __dirname) {` },
    footer: { js: "})" },
  });
  const text = readFileSync(outfile, "latin1");
  const id = createHash("sha256").update(text, "latin1").digest("hex");
  // Whoever starts the program reads it as latin1.
  if (/[^\0-\x7f]/.test(text) || !text.startsWith(`//${blank}\n`)) throw new Error(`${outfile} is not ASCII`);
  writeFileSync(outfile, text.replace(blank, id));
  return metafile;
}

/** Bundle what starts a program. */
export async function bundleStart(outfile: string): Promise<void> {
  await build({ ...shared, entryPoints: ["src/start/main.ts"], outfile });
}
