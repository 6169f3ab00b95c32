import { describe, expect, test } from "vitest";
import { cacheHead, compileProgram, type Run } from "../../../src/start/program.ts";

const id = "0123456789abcdef".repeat(4);
const program = `//${id}\n(function (require, file, folder) { return [file, folder, "first"]; })`;
/** Of the same length, so V8 alone would not tell them apart. */
const other = program.replace(id, id.replace("0", "f")).replace("first", "other");

function cacheOf(text: string, head = cacheHead(text)): Buffer {
  const { script } = compileProgram(text, "program.js");
  return Buffer.concat([Buffer.from(head, "latin1"), script.createCachedData()]);
}

let compiled = 0;
function result(text: string, cache?: Buffer): unknown {
  // V8 knows a text again that it has compiled under the same name.
  compiled += 1;
  const { script, cached } = compileProgram(text, `/lib/${compiled}/program.js`, cache);
  const run = script.runInThisContext() as (...args: Parameters<Run>) => unknown;
  return { cached, gives: run(require, "/lib/program.js", "/lib") };
}

describe("a program's code cache", () => {
  test("is used for the program that it was made of", () => {
    expect(result(program, cacheOf(program))).toEqual({
      cached: true,
      gives: ["/lib/program.js", "/lib", "first"],
    });
  });

  test.each([
    ["missing", undefined],
    ["of another program of the same length", cacheOf(program)],
    ["of another Node", cacheOf(other, cacheHead(other).replace(process.version, "v25.0.0"))],
    ["of another processor", cacheOf(other, cacheHead(other).replace(` ${process.arch} `, " s390x "))],
    ["empty", Buffer.alloc(0)],
    ["cut off in its head", cacheOf(other).subarray(0, 40)],
    ["cut off in its data", cacheOf(other).subarray(0, 200)],
    ["a head alone", Buffer.from(cacheHead(other), "latin1")],
    ["no cache of V8's", Buffer.from(cacheHead(other) + "x".repeat(400), "latin1")],
  ])("is left alone when it is %s", (_what, cache) => {
    expect(result(other, cache)).toEqual({ cached: false, gives: ["/lib/program.js", "/lib", "other"] });
  });

  test("would be taken for another program's by V8 itself", () => {
    expect(result(other, cacheOf(program, cacheHead(other)))).toMatchObject({
      cached: true,
      gives: ["/lib/program.js", "/lib", "first"],
    });
  });

  test("has a head of one length, which V8 wants aligned", () => {
    expect(cacheHead(program).length).toBe(128);
  });
});
