import { isMicrocephError, MicrocephError, messageOf } from "../../errors/microceph-error.ts";

/** Primary result codes of SQLite (https://www.sqlite.org/rescode.html). */
const sqliteCorrupt = 11;
const sqliteFull = 13;
const sqliteNotADatabase = 26;

function primaryCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === "number" ? code & 0xff : undefined;
}

/** What SQLite or the file system threw, as an error with a code: STATE_CORRUPT, DISK_FULL, or unchanged. */
export function storeError(error: unknown, path: string): unknown {
  if (isMicrocephError(error)) return error;
  const code = primaryCode(error);
  const text = messageOf(error);
  if (code === sqliteCorrupt || code === sqliteNotADatabase) return corrupt(path, text, error);
  const system = (error as { code?: unknown } | null)?.code;
  if (code === sqliteFull || system === "ENOSPC" || system === "EDQUOT") {
    return new MicrocephError("DISK_FULL", `no room to write ${path}`, { data: { path }, cause: error });
  }
  return error;
}

/** The error that says which file of the state is damaged, and how. */
export function corrupt(path: string, detail: string, cause?: unknown): MicrocephError {
  return new MicrocephError("STATE_CORRUPT", `${path} is damaged: ${detail}`, {
    data: { path },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Run a synchronous piece of work on the store and give its errors their codes. */
export function withStoreErrors<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw storeError(error, path);
  }
}
