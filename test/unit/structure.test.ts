import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const source = resolve(import.meta.dirname, "../../src");

/** Which rooms a room may import, values and types; "types:" marks rooms of which only types may be. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  ids: [],
  errors: [],
  files: [],
  process: ["errors"],
  start: [],
  version: [],
  discovery: ["errors", "ids"],
  mesh: ["errors", "files", "ids", "version"],
  state: ["errors", "files", "ids", "process", "types:mesh"],
  ceph: ["errors", "files", "ids", "process", "types:state"],
  api: ["errors", "ids"],
  cli: ["api", "errors", "ids", "version"],
  daemon: ["api", "ceph", "discovery", "errors", "files", "ids", "mesh", "process", "state", "version"],
};

/** Modules that a pure core must not touch: time, files, network and processes are handed in. */
const impure = /^node:(fs|net|dgram|http|child_process|timers|process|worker_threads)/;
const pureFolders = ["ceph/plan", "discovery/core", "ids"];

interface Import {
  readonly file: string;
  readonly from: string;
  readonly typeOnly: boolean;
}

function sourceFiles(): string[] {
  return readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(source, name));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, "utf8");
  const found = text.matchAll(/^(?:import|export)\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"/gm);
  return [...found].map((match) => ({ file, from: match[2] ?? "", typeOnly: match[1] !== undefined }));
}

function roomOf(file: string): string {
  return relative(source, file).split("/")[0] ?? "";
}

const imports = sourceFiles().flatMap(importsOf);
const internal = imports
  .filter(({ from }) => from.startsWith("."))
  .map((entry) => ({ ...entry, target: resolve(dirname(entry.file), entry.from) }));

describe("the structure of src", () => {
  it("has only rooms that the table knows", () => {
    expect([...new Set(sourceFiles().map(roomOf))].filter((room) => !(room in allowed))).toEqual([]);
  });

  it("imports downwards only", () => {
    const wrong = internal.filter(({ file, target, typeOnly }) => {
      const room = roomOf(file);
      const other = roomOf(target);
      // The version is kept in one place, the package's own file.
      if (room === other || target === resolve(source, "../package.json")) return false;
      const may = allowed[room] ?? [];
      return !may.includes(other) && !(typeOnly && may.includes(`types:${other}`));
    });
    expect(wrong.map(({ file, from }) => `${relative(source, file)} imports ${from}`)).toEqual([]);
  });

  it("has no circles", () => {
    const edges = new Map<string, string[]>();
    for (const { file, target, typeOnly } of internal) {
      if (!typeOnly) edges.set(file, [...(edges.get(file) ?? []), target]);
    }
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) {
        circles.push(
          [...path.slice(path.indexOf(file)), file].map((name) => relative(source, name)).join(" -> "),
        );
        return;
      }
      if (done.has(file)) return;
      for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
      done.add(file);
    };
    for (const file of edges.keys()) visit(file, []);
    expect(circles).toEqual([]);
  });

  it("keeps the pure folders pure", () => {
    const wrong = imports.filter(({ file, from }) => {
      const path = relative(source, file);
      return pureFolders.some((folder) => path.startsWith(folder)) && impure.test(from);
    });
    expect(wrong.map(({ file, from }) => `${relative(source, file)} imports ${from}`)).toEqual([]);
  });
});
