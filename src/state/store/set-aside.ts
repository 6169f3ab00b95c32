import { closeSync, constants, existsSync, fsyncSync, openSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { isMicrocephError } from "../../errors/microceph-error.ts";
import { companionSuffixes, LocalStore } from "./local-store.ts";

/** A store that is open, and what had to be moved out of its way. */
export interface OpenedStore {
  readonly store: LocalStore;
  /** Set when the file was damaged: where it is now, and what was wrong with it. */
  readonly setAside: { readonly path: string; readonly reason: string } | null;
}

/**
 * Open the store; a damaged file is moved to `<path>.corrupt-<time>` and a new one begun. Nothing is deleted.
 * Throws what LocalStore.open throws for any other reason (DISK_FULL, STATE_TOO_NEW, EACCES).
 */
export function openOrSetAside(path: string, now: () => Date = () => new Date()): OpenedStore {
  try {
    return { store: LocalStore.open(path), setAside: null };
  } catch (error) {
    if (!isMicrocephError(error, "STATE_CORRUPT")) throw error;
    const aside = setAside(path, now());
    return { store: LocalStore.open(path), setAside: { path: aside, reason: error.message } };
  }
}

function setAside(path: string, at: Date): string {
  const stamp = at.toISOString().replaceAll(/[-:]/g, "");
  let aside = `${path}.corrupt-${stamp}`;
  for (let n = 2; existsSync(aside); n += 1) aside = `${path}.corrupt-${stamp}-${n}`;
  // The database first: an older state without its log could look whole. A log that a crash leaves behind
  // here meets an empty database, and SQLite drops it (pagerOpenWalIfPresent).
  renameSync(path, aside);
  for (const suffix of companionSuffixes) {
    if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
  }
  const directory = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
  return aside;
}
