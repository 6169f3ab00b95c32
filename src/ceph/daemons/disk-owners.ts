import { realpath } from "node:fs/promises";
import type { LocalOsd } from "./osd.ts";

/** What an OSD that is being made is to be made of. */
interface PlannedParts {
  readonly source: { readonly kind: string; readonly path?: string };
  readonly wal?: { readonly path: string } | null | undefined;
  readonly db?: { readonly path: string } | null | undefined;
}

/** Who of a node's OSDs, finished or being made, has a device: by its real path, `osd.3`. */
export async function ownersOf(
  osds: readonly LocalOsd[],
  plans: readonly PlannedParts[],
): Promise<Map<string, string>> {
  const owners = new Map<string, string>();
  const own = async (path: string | null | undefined, owner: string): Promise<void> => {
    if (path) owners.set(await realDevice(path), owner);
  };
  for (const { source, wal, db } of plans) {
    if (source.kind === "device") await own(source.path, "being made an OSD");
    await own(wal?.path, "being made the WAL of an OSD");
    await own(db?.path, "being made the DB of an OSD");
  }
  for (const { osd, path, kind, wal, db } of osds) {
    if (kind === "device") await own(path, `osd.${osd}`);
    await own(wal, `the WAL of osd.${osd}`);
    await own(db, `the DB of osd.${osd}`);
  }
  return owners;
}

/** Where a path leads now; of a device that is gone the path itself. */
export function realDevice(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}
