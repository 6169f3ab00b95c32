// What Node is started with, once for each program: NAME.cjs runs NAME.js with the code cache NAME.cache.
import { readFileSync } from "node:fs";
import { compileProgram, type Run } from "./program.ts";

function cacheOf(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    // Without it the program starts more slowly.
    return undefined;
  }
}

const base = import.meta.filename.slice(0, -".cjs".length);
const file = `${base}.js`;
// The text is ASCII: latin1 spares the decoding.
const { script } = compileProgram(readFileSync(file, "latin1"), file, cacheOf(`${base}.cache`));
(script.runInThisContext() as Run)(require, file, import.meta.dirname);
