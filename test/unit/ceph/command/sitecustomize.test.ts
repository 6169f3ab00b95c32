import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { pythonFinds } from "../../../../src/process/program-environment.ts";

const source = join(import.meta.dirname, "../../../../src/ceph/command");

/** As far as it is used: descriptions of fixed words and others, and a search that says what it was given. */
const argparse = `
class CephPrefix:
    def __init__(self, prefix): self.prefix = prefix
class CephString:
    pass
class argdesc:
    def __init__(self, word):
        self.t = CephPrefix if word else CephString
        self.instance = CephPrefix(word) if word else CephString()
def describe(words): return {"sig": [argdesc(word) for word in words]}
def validate_command(descriptions, args, verbose=False):
    return sorted(descriptions) + (["verbose"] if verbose else [])
`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "argparse-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function python(script: string): Promise<unknown> {
  const found = pythonFinds(source);
  const env = { PATH: process.env.PATH, ...found, PYTHONPATH: `${found.PYTHONPATH}:${folder}` };
  const { stdout, stderr } = await promisify(execFile)("python3", ["-c", script], { env });
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

describe("a Python that is started ahead", () => {
  const start = (script: string, input: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const env = { PATH: process.env.PATH, ...pythonFinds(source), MICROCEPH_CEPH_AHEAD: "1" };
      const child = spawn("python3", ["-c", script], { env, stdio: ["pipe", "pipe", "inherit"] });
      const said: string[] = [];
      child.stdout.setEncoding("utf8").on("data", (text: string) => said.push(text));
      child.on("error", reject).on("close", (code) => resolve(`${said.join("")}${code}`));
      child.stdin.end(input);
    });
  const script =
    "import os, sys; print(sys.stdin.readline().strip(), os.environ.get('MICROCEPH_CEPH_AHEAD'))";

  it("goes on after one line, and reads the next ones as if it had just started", async () => {
    expect(await start(script, "\nosd stat\n")).toBe("osd stat None\n0");
  });

  it("ends when nobody is left to need it", async () => {
    expect(await start(script, "")).toBe("0");
  });
});

describe("the search for a command's description", () => {
  const script = (call: string): string => `
import json
from ceph_argparse import describe, validate_command
all = {"stat": describe(["osd", "stat"]), "rm": describe(["osd", "pool", "rm", None]),
  "rmsnap": describe(["osd", "pool", "rmsnap", None]), "set": describe(["osd", "pool", "set", None, None]),
  "words": describe([None])}
print(json.dumps(validate_command(${call})))`;

  it.each([
    ['all, ["osd", "stat"]', ["stat"]],
    ['all, ["osd", "pool", "rm", "a"]', ["rm"]],
    ['all, ("osd", "pool", "set", "a", "b"), True', ["set", "verbose"]],
    ['all, ["osd", "st"]', ["rm", "rmsnap", "set", "stat", "words"]],
    ["all, []", ["rm", "rmsnap", "set", "stat", "words"]],
    ['{"stat": {"sig": ["osd", "stat"]}}, ["osd", "stat"], verbose=False', ["stat"]],
  ])("is among those that begin with its words, or among all: %s", async (call, given) => {
    await writeFile(join(folder, "ceph_argparse.py"), argparse);
    expect(await python(script(call))).toEqual(given);
  });

  it("is of no concern to a Python without Ceph, or with a Ceph that searches in another way", async () => {
    expect(await python("print(1)")).toBe(1);
    await writeFile(join(folder, "ceph_argparse.py"), "def search(): return 2\n");
    expect(await python("import ceph_argparse; print(ceph_argparse.search())")).toBe(2);
  });
});
