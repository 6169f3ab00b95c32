import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { MicrocephError } from "../../errors/microceph-error.ts";
import type { runProgram } from "../../process/run-program.ts";
import { type DiskRoots, listBlockDevices } from "./inventory.ts";

const programMs = 30_000;

/**
 * A loop device with this file behind it: the one that there is, else the one of this path if it is free, else
 * another. Loop devices are gone after a boot; their files are not. Its path now. Throws PROGRAM_FAILED.
 */
export async function attachLoop(
  { path, file }: { readonly path: string; readonly file: string },
  deps: { readonly roots: DiskRoots; readonly run: typeof runProgram },
): Promise<string> {
  const { roots, run } = deps;
  const behind = async (device: string): Promise<string> => {
    const text = await readFile(join(roots.sys, basename(device), "loop/backing_file"), "utf8").catch(
      () => "",
    );
    return text.trim();
  };
  const present = await behind(path);
  if (present === file) return path;
  const other = (await listBlockDevices(roots)).find(({ backingFile }) => backingFile === file);
  if (other !== undefined) return other.path;
  if (present === "") {
    const { exitCode } = await run("losetup", [path, file], { deadlineMs: programMs, okCodes: [0, 1] });
    // Another may have taken it in between.
    if (exitCode === 0) return path;
  }
  const { stdout } = await run("losetup", ["--find", "--show", file], { deadlineMs: programMs });
  if (!/^\/dev\/loop[0-9]+$/.test(stdout.trim())) {
    throw new MicrocephError("PROGRAM_FAILED", `losetup did not say which device ${file} is on now`);
  }
  return stdout.trim();
}
