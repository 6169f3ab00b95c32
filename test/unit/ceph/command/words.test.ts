import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import {
  checkWords,
  parseOutput,
  quoteWords,
  refusalIn,
  refusedError,
} from "../../../../src/ceph/command/words.ts";

describe("the words of a command", () => {
  it.each([
    [["osd", "pool", "create", "p-1", "8"], "osd pool create p-1 8"],
    [["config", "set", "global", "k", ""], "config set global k ''"],
    [["auth", "get-or-create", "client.x", "mon", "allow r"], "auth get-or-create client.x mon 'allow r'"],
    [["a", "it's"], `a 'it'"'"'s'`],
    [["a", '"; $(x) \\ #'], `a '"; $(x) \\ #'`],
  ])("%j become %s", (words, line) => {
    expect(quoteWords(words)).toBe(line);
    // sh reads these quotes as Python's shlex does.
    const read = execFileSync("sh", ["-c", `printf '%s\\n' ${line}`], { encoding: "utf8" });
    expect(read.split("\n").slice(0, -1)).toEqual(words);
  });

  it.each([
    [[]],
    [[""]],
    [["osd", "find\nmon remove n1"]],
    [["osd", "find\r1"]],
    [["osd", "a\0b"]],
    [["osd", "a\u2028b"]],
    [["-h"]],
    [["osd", "pool", "create", "--format=xml"]],
    [["osd", "pool", "create", "-c/etc/other.conf"]],
  ])("%j are refused", (words) => {
    expect(() => checkWords(words)).toThrowError(expect.objectContaining({ code: "USAGE" }));
  });

  it("may end with the flags of the monitors", () => {
    checkWords(["osd", "pool", "set", "p", "size", "1", "--yes-i-really-mean-it"]);
  });
});

describe("what ceph writes", () => {
  it.each([
    ["", undefined],
    ["pool 'p1' already exists\n", undefined],
    ["Error ENOENT: osd.99 does not exist\n", { errno: "ENOENT", message: "osd.99 does not exist" }],
    [
      "no valid command found\nError EINVAL: invalid command\n",
      { errno: "EINVAL", message: "invalid command" },
    ],
    ["Error EPERM: one\ntwo\n", { errno: "EPERM", message: "one\ntwo" }],
    ["Error ETIMEDOUT: \n", { errno: "ETIMEDOUT", message: "" }],
    ["error handling command target: no pool\n", { errno: "EINVAL", message: "no pool" }],
  ])("%j on standard error is %j", (text, refusal) => {
    expect(refusalIn(text)).toEqual(refusal);
  });

  it("names a refused command without its arguments", () => {
    const error = refusedError(["config-key", "set", "a/key", "secret"], { errno: "EPERM", message: "no" });
    expect(error.message).toBe("Ceph refused `config-key set a/key`: EPERM: no");
    expect(JSON.stringify(error.data)).not.toContain("secret");
  });

  it.each([
    ["", null],
    ["\n\n", null],
    ['\n{"a":1}\n', { a: 1 }],
    ["plain words\n", "plain words"],
  ])("%j is read as %j", (text, value) => {
    expect(parseOutput(text)).toEqual(value);
  });
});
