import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { open, readdir, readFile, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Sync a directory, so that a name made or renamed in it survives power loss. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/**
 * Replace a file as a whole: write a temporary one beside it, sync it, rename it, sync the directory.
 * A reader sees the old or the new content, also after power loss.
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  mode = 0o600,
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  try {
    const file = await open(temporary, "w", mode);
    try {
      await file.chmod(mode);
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Names that `writeFileAtomic` and the making of a node's key give to files that are not whole yet. */
const temporaryName = /^.+\.[0-9a-f]{12}\.tmp$/;

/**
 * Remove what runs that were killed have left at or below a directory that only this process writes to: they may
 * hold keys. How many files.
 */
export async function removeTemporaries(root: string): Promise<number> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const left = entries.filter((entry) => entry.isFile() && temporaryName.test(entry.name));
  for (const { parentPath, name } of left) await unlink(join(parentPath, name)).catch(() => undefined);
  return left.length;
}

/** The content of a file, or undefined when there is none. */
export async function readFileIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
