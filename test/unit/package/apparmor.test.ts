import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { programs } from "../../../src/process/programs.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const profile = readFileSync(join(root, "packaging/deb/microcephd.apparmor"), "utf8");

/** The words of a variable of the profile, whatever lines they are on. */
function variable(name: string): string[] {
  const lines = profile.matchAll(new RegExp(`^@\\{${name}\\} \\+?= (.*)$`, "gm"));
  return [...lines].flatMap(([, words = ""]) => words.split(" ")).sort();
}

describe("the AppArmor profile", () => {
  it("lets the daemon start what the source names, and no more", () => {
    // A snap has no profile of ours; `modprobe` leads to `kmod`.
    const direct = programs.filter((name) => name !== "snapctl");
    expect(variable("microcephd_programs")).toEqual([...direct, "kmod"].sort());
  });

  it("knows of every way to start a program", () => {
    const source = join(root, "src");
    const starts = readdirSync(source, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts") && !name.startsWith("cli/"))
      .map((name) => join(source, name))
      .filter((file) => /from "(?:node:child_process|execa)"/.test(readFileSync(file, "utf8")))
      .map((file) => relative(source, file));
    expect(starts.sort()).toEqual([
      "ceph/command/ceph-process.ts",
      // Processes instead of services, which the package does not ask for.
      "ceph/runner/start-supervisor.ts",
      "process/run-program.ts",
      "state/etcd/etcd-process.ts",
      "version/installed.ts",
    ]);
  });
});
