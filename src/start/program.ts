import { constants, Script } from "node:vm";

/**
 * A program of ours is the text of one function, after a comment that holds the SHA-256 of the rest. What V8 compiled
 * of it lies in a file beside it, its code cache. V8 refuses a cache of another V8, of other options and of a text of
 * another length. The head of the file says what V8 does not look at: the text itself, Node's version, the processor.
 */
export type Run = (require: NodeJS.Require, file: string, folder: string) => void;

/** Bytes before the data of V8's, which wants them aligned. */
const headLength = 128;
const idEnd = "//".length + 64;

/** What the cache of this program begins with. */
export function cacheHead(text: string): string {
  return `${process.version} ${process.arch} ${text.slice(2, idEnd)}`.padEnd(headLength);
}

/** Compile a program; `cache` is the content of its file, if there is one. Whatever is wrong with it is no error. */
export function compileProgram(
  text: string,
  file: string,
  cache?: Buffer,
): { readonly script: Script; readonly cached: boolean } {
  const fits = cache !== undefined && cache.toString("latin1", 0, headLength) === cacheHead(text);
  const script = new Script(text, {
    filename: file,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    ...(fits ? { cachedData: cache.subarray(headLength) } : {}),
  });
  return { script, cached: fits && script.cachedDataRejected === false };
}
