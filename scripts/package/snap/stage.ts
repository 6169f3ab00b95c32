import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { run } from "../run.ts";
import type { Archive } from "./archive.ts";
import type { SnapTree } from "./lint.ts";
import { stagePrograms } from "./programs.ts";
import { metaYaml, type SnapProject } from "./project.ts";

/** What Ubuntu's base snap has, in Debian's words: this and all that it depends on is not staged once more. */
export const basePackages: readonly string[] = [
  ...["base-files", "bash", "coreutils", "dash", "debianutils", "findutils", "grep", "gzip", "hostname"],
  ...["libc-bin", "mount", "sed", "tar", "util-linux"],
];

export interface StageOptions {
  /** The checkout. */
  readonly root: string;
  /** Where the tree is, or comes to be; what is right in it is kept. */
  readonly tree: string;
  readonly project: SnapProject;
  readonly version: string;
  /** Debian's word: amd64, arm64. */
  readonly architecture: string;
}

/** Bring a tree of a snap up to date: the distribution's packages, our programs, hooks and `meta/snap.yaml`. */
export function stage(archive: Archive, options: StageOptions): void {
  const { root, tree, project, version, architecture } = options;
  stagePackages(archive, options);
  for (const path of ["usr/lib/microceph-mesh", "usr/share/doc/microceph-mesh", "meta"]) {
    rmSync(join(tree, path), { recursive: true, force: true });
  }
  stagePrograms(root, tree);
  cpSync(join(root, "snap", "local"), tree, { recursive: true });
  cpSync(join(root, "snap", "hooks"), join(tree, "meta", "hooks"), { recursive: true });
  writeFileSync(join(tree, "meta", "snap.yaml"), metaYaml(project, { version, architecture }));
}

/** The packages of all parts without what the base has; done again only when one of them, or how, has changed. */
function stagePackages(archive: Archive, { root, tree, project }: StageOptions): void {
  const parts = Object.values(project.parts);
  const wanted = parts.flatMap((part) => part["stage-packages"] ?? []);
  const leftOut = parts.flatMap((part) => part.prime ?? []).map((path) => path.slice(1));
  const inBase = new Set(archive.closure(basePackages));
  const files = archive.closure(wanted).filter((file) => !inBase.has(file));
  const python = join(root, "scripts", "package", "snap", "python.sh");
  const how = JSON.stringify([files, leftOut, readFileSync(python, "utf8")]);
  const stamp = createHash("sha256").update(how).digest("hex");
  const stampFile = `${tree}.stamp`;
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;
  rmSync(stampFile, { force: true });
  rmSync(tree, { recursive: true, force: true });
  archive.fetch(wanted);
  archive.unpack(files, tree);
  for (const path of leftOut.flatMap((pattern) => globSync(pattern, { cwd: tree }))) {
    rmSync(join(tree, path), { recursive: true, force: true });
  }
  run("sh", [python, tree]);
  mkdirSync(join(tree, "usr", "share", "microceph"), { recursive: true });
  writeFileSync(join(tree, "usr", "share", "microceph", "packages"), `${files.join("\n")}\n`);
  writeFileSync(stampFile, stamp);
}

export function hookFiles(root: string): string[] {
  return readdirSync(join(root, "snap", "hooks")).sort();
}

export function snapTree(folder: string): SnapTree {
  const kind = (path: string) => statSync(join(folder, path), { throwIfNoEntry: false });
  return {
    isFolder: (path) => kind(path)?.isDirectory() === true,
    isProgram: (path) => {
      if (kind(path)?.isFile() !== true) return false;
      try {
        accessSync(join(folder, path), constants.X_OK);
        return true;
      } catch {
        return false;
      }
    },
  };
}
