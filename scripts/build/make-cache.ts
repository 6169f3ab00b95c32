// Write the code cache of a program: what V8 has compiled of it by the end of one run.
//   make-cache.ts PROGRAM CACHE [ARG…]
// Node is given --predictable: the same program gives the same bytes.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { cacheHead, compileProgram, type Run } from "../../src/start/program.ts";

const [program = "", cache = "", ...args] = process.argv.slice(2);
const text = readFileSync(program, "latin1");
// The name gets into the cache, where nothing may tell who built it; whoever uses the cache gives another one.
const name = "program.js";
const { script } = compileProgram(text, name);
process.argv = [process.execPath, name, ...args];
process.on("exit", () => {
  writeFileSync(cache, Buffer.concat([Buffer.from(cacheHead(text), "latin1"), script.createCachedData()]));
  // The run itself may well have failed.
  process.exitCode = 0;
});
(script.runInThisContext() as Run)(createRequire(program), name, dirname(program));
