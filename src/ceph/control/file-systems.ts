import { z } from "zod";
import type { CephCommands } from "../command/commands.ts";

const callMs = 30_000;

const dump = z.object({
  pools: z.array(
    z.object({
      pool: z.int(),
      pool_name: z.string(),
      application_metadata: z.record(z.string(), z.record(z.string(), z.string())).optional(),
    }),
  ),
});
const listed = z.array(z.object({ name: z.string() }));

/** A file system as its pools name it. */
export interface FileSystem {
  readonly name: string;
  readonly metadata: string;
  /** The first is where new files go unless told otherwise. */
  readonly data: readonly [string, ...string[]];
}

/** What `osd dump` says of file systems: each pool of one carries its name. */
export function fileSystemsOf(answer: unknown): FileSystem[] {
  const pools = dump
    .parse(answer)
    .pools.toSorted((a, b) => a.pool - b.pool)
    .map(({ pool_name: pool, application_metadata: uses }) => ({ pool, ...uses?.cephfs }))
    .map(({ pool, ...use }) => ({ pool, use: use as { metadata?: string; data?: string } }));
  return pools.flatMap(({ pool: metadata, use }): FileSystem[] => {
    const name = use.metadata;
    const [first, ...more] = pools.flatMap((one) => (one.use.data === name ? [one.pool] : []));
    return name === undefined || first === undefined ? [] : [{ name, metadata, data: [first, ...more] }];
  });
}

/**
 * Make the file systems known again after the loss of the monitors: their metadata is in the pools, only the map of
 * them is gone (Ceph's documentation, "Recovering the file system after catastrophic Monitor store loss").
 * Idempotent. @returns their names
 */
export async function restoreFileSystems(ceph: CephCommands, signal: AbortSignal): Promise<string[]> {
  const call = { deadlineMs: callMs, signal };
  const wanted = fileSystemsOf(await ceph.run(["osd", "dump"], call));
  if (wanted.length === 0) return [];
  const present = new Set(listed.parse(await ceph.run(["fs", "ls"], call)).map(({ name }) => name));
  for (const { name, metadata, data } of wanted) {
    const [first, ...more] = data;
    if (!present.has(name)) {
      await ceph.run(["fs", "new", name, metadata, first, "--force", "--recover"], call);
    }
    for (const pool of more) await ceph.run(["fs", "add_data_pool", name, pool], call);
    await ceph.run(["fs", "set", name, "joinable", "true"], call);
  }
  return wanted.map(({ name }) => name);
}
