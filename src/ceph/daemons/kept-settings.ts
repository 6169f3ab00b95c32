import type { z } from "zod";
import { MicrocephError } from "../../errors/microceph-error.ts";
import { readFileIfPresent } from "../../files/atomic-file.ts";

/** What a daemon was told, as it is kept beside its key; null when it was told nothing. Throws STATE_CORRUPT. */
export async function readKept<T>(path: string, schema: z.ZodType<T>): Promise<T | null> {
  const text = await readFileIfPresent(path);
  if (text === undefined) return null;
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw new MicrocephError("STATE_CORRUPT", `${path} cannot be read`, { cause: error });
  }
}
