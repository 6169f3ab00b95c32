import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { lintProject, lintTree, type SnapTree } from "../../../scripts/package/snap/lint.ts";
import { metaYaml, parseProject, type SnapProject } from "../../../scripts/package/snap/project.ts";

const folder = join(import.meta.dirname, "..", "..", "..", "snap");
const text = readFileSync(join(folder, "snapcraft.yaml"), "utf8");
const project = parseProject(text);
const hookFiles = readdirSync(join(folder, "hooks"));
const everything: SnapTree = { isProgram: () => true, isFolder: () => true };

/** The project with one thing changed, as text, so that the parser sees it too. */
function changed(from: string, to: string): SnapProject {
  expect(text).toContain(from);
  return parseProject(text.replace(from, to));
}

describe("snapcraft.yaml", () => {
  it("has no fault, and every hook is a program", () => {
    expect(lintProject(project)).toEqual([]);
    expect(lintTree(project, everything, { architecture: "amd64", hookFiles })).toEqual([]);
    for (const hook of hookFiles)
      expect(statSync(join(folder, "hooks", hook)).mode & 0o111, hook).toBe(0o111);
  });

  it.each([
    ["summary: Ceph that", `summary: ${"long ".repeat(20)}Ceph that`, "characters; 78 are shown"],
    ["- block-devices", "- block-device", "app daemon: snapd has no interface block-device"],
    [
      "interface: kernel-module-load",
      "interface: kernel-modules",
      "plug load-rbd: snapd has no interface kernel-modules",
    ],
    ["  arm64:\n", "  arm65:\n", "there is no processor arm65"],
    ["base: core24", "base: core25", "there is no base core25"],
    ["adopt-info: microceph-mesh", "adopt-info: nothing", "adopt-info names no part: nothing"],
    ["- $SNAP_COMMON/state/conf", "- /etc/ceph", "slot ceph-conf: /etc/ceph is not below"],
    ["bind: $SNAP_COMMON/state/conf", "bind: /var/lib/ceph", "layout /etc/ceph: /var/lib/ceph is not below"],
    ["bind: $SNAP_COMMON/state/conf", "bind: $SNAP_COMMON/../conf", "is not below $SNAP"],
    ["  /etc/ceph:", "  /run/ceph:", "layout /run/ceph: snapd allows none in /run"],
    ["  /etc/ceph:", "  /usr/share/ceph/conf:", "lies in layout /usr/share/ceph"],
    ["  /etc/ceph:", "  /ceph:", "would be a new folder of the root"],
    ["  pre-refresh:\n", "  before-refresh:\n", "snapd runs no hook before-refresh"],
    [
      "command: usr/bin/rados\n",
      "command: usr/bin/rados\n    stop-mode: sigterm\n",
      "app rados is no service, and has stop-mode",
    ],
    ["- block-devices", "- dm-crypt", "app daemon names dm-crypt twice"],
  ])("is refused with %j changed", (from, to, fault) => {
    expect(lintProject(changed(from, to)).join("\n")).toContain(fault);
  });

  it.each([
    ["summary: Ceph that clusters itself\n", ""],
    ["summary: Ceph", "sumary: Ceph"],
    ["daemon: simple", "daemon: simpel"],
    ["stop-mode: sigterm", "stop-mode: term"],
    ["refresh-mode: restart", "refresh-mode: never"],
    ["name: microceph\n", "name: MicroCeph\n"],
    ["grade: devel", "grade: devel\ngrade: stable"],
  ])("is not read with %j changed", (from, to) => {
    expect(() => changed(from, to)).toThrow();
  });
});

describe("the folder that is packed", () => {
  it("has every program, hook and layout that the project names", () => {
    const lacks = (missing: string): string[] => {
      const there = (path: string): boolean => path !== missing;
      const tree = { isProgram: there, isFolder: there };
      return lintTree(project, tree, { architecture: "amd64", hookFiles });
    };
    expect(lacks("bin/microcephd-service")).toEqual([
      "app daemon: there is no program bin/microcephd-service",
    ]);
    expect(lacks("meta/hooks/remove")).toEqual(["hook remove may not be executed"]);
    expect(lacks("usr/lib/x86_64-linux-gnu/ceph")).toHaveLength(1);
    const without = hookFiles.filter((hook) => hook !== "remove");
    expect(lintTree(project, everything, { architecture: "amd64", hookFiles: without })).toEqual([
      "hook remove has no file in snap/hooks",
    ]);
    expect(
      lintTree(project, everything, { architecture: "amd64", hookFiles: [...hookFiles, "begin"] }),
    ).toEqual(["snapd runs no hook begin"]);
  });
});

describe("meta/snap.yaml", () => {
  it("says what snapcraft.yaml says, for one processor, and nothing of how it is built", () => {
    const meta = parse(metaYaml(project, { version: "1.2.3", architecture: "arm64" })) as Record<
      string,
      unknown
    >;
    expect(meta).toMatchObject({
      name: "microceph",
      version: "1.2.3",
      architectures: ["arm64"],
      base: "core24",
    });
    expect(Object.keys(meta.apps as object)).toEqual(Object.keys(project.apps));
    expect(Object.keys(meta.layout as object)).toContain("/usr/lib/aarch64-linux-gnu/ceph");
    expect(JSON.stringify(meta)).not.toContain("CRAFT");
    for (const key of ["parts", "platforms", "adopt-info", "compression"])
      expect(meta).not.toHaveProperty(key);
    expect(() => metaYaml(project, { version: "1", architecture: "mips" })).toThrow("no processor mips");
  });
});
