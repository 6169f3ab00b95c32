import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "../run.ts";
import type { Archive } from "./archive.ts";

/** Of snapd only the client, and what it calls, unpacked and not installed. */
const toolPackages: readonly string[] = ["snapd", "squashfs-tools", "liblzo2-2"];

/** The folder with `snap` and `mksquashfs`; fetched when it is not there. */
export function packTools(archive: Archive, folder: string): string {
  if (existsSync(join(folder, "usr/bin/snap")) && existsSync(join(folder, "usr/bin/mksquashfs")))
    return folder;
  const work = `${folder}.new`;
  rmSync(work, { recursive: true, force: true });
  archive.fetch(toolPackages);
  const named = new RegExp(`^(?:${toolPackages.join("|")})_`);
  archive.unpack(
    archive.closure(toolPackages).filter((file) => named.test(file)),
    work,
  );
  rmSync(folder, { recursive: true, force: true });
  renameSync(work, folder);
  return folder;
}

/** `snap pack`: what snapd itself would refuse of the tree is refused here. The image is owned by root. */
export function packSnap(tools: string, tree: string, target: string, compression: "lzo" | "xz"): void {
  mkdirSync(dirname(target), { recursive: true });
  const libraries = ["usr/lib", "lib"].flatMap((lib) => {
    const folder = join(tools, lib);
    if (!existsSync(folder)) return [];
    return readdirSync(folder)
      .filter((name) => name.includes("-linux-gnu"))
      .map((name) => join(folder, name));
  });
  const said = ["pack", `--compression=${compression}`, `--filename=${target}.new`, tree];
  run(join(tools, "usr/bin/snap"), said, {
    PATH: `${join(tools, "usr/bin")}:${process.env.PATH ?? ""}`,
    LD_LIBRARY_PATH: libraries.join(":"),
  });
  renameSync(`${target}.new`, target);
}
