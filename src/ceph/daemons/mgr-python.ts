import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { readFileIfPresent, writeFileAtomic } from "../../files/atomic-file.ts";
import type { Handle } from "../../ids/ids.ts";
import { pythonFinds } from "../../process/program-environment.ts";
import type { DaemonDeps } from "./deps.ts";

/** Have the manager's Python find our bcrypt first (mgr-bcrypt.py says why). Idempotent. @returns its environment */
export async function prepareMgrPython(
  deps: Pick<DaemonDeps, "paths">,
  handle: Handle,
): Promise<Readonly<Record<string, string>>> {
  const folder = join(deps.paths.dataDir("mgr", handle), "python");
  const module = join(folder, "bcrypt.py");
  const text = await readFile(join(import.meta.dirname, "mgr-bcrypt.py"), "utf8");
  if ((await readFileIfPresent(module)) !== text) {
    await mkdir(folder, { recursive: true, mode: 0o755 });
    await writeFileAtomic(module, text, 0o644);
  }
  return pythonFinds(folder);
}
