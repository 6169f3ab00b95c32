import { isMicrocephError, MicrocephError, messageOf } from "../../errors/microceph-error.ts";

/** Do it; where it fails because the file system is full, in our own writing or in a program's, throw DISK_FULL. */
export async function orDiskFull<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const ours = (error as NodeJS.ErrnoException).code === "ENOSPC";
    const theirs =
      isMicrocephError(error, "PROGRAM_FAILED") && /No space left on device/i.test(messageOf(error));
    if (!ours && !theirs) throw error;
    throw new MicrocephError("DISK_FULL", `the state directory has no room for ${what}`, { cause: error });
  }
}
