import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BuildOptions, build, type Metafile } from "esbuild";

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

/** Bundle a program as the text of one function, which src/start runs. */
export async function bundleProgram(entry: string, outfile: string): Promise<Metafile> {
  const blank = "0".repeat(64);
  const { metafile } = await build({
    ...shared,
    entryPoints: [entry],
    outfile,
    sourcemap: true,
    metafile: true,
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
