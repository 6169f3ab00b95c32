import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { cephPaths } from "../ceph/config/ceph-paths.ts";
import { listLocalOsds } from "../ceph/daemons/osd.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import { readFileIfPresent, syncDirectory, writeFileAtomic } from "../files/atomic-file.ts";
import { nodeKeyFile } from "../mesh/identity/node-identity.ts";
import { restoredFolder } from "../state/etcd/snapshot.ts";
import type { Daemon } from "./daemon.ts";
import { meshStatusOf } from "./mesh-status.ts";

/** Left by the daemon that decided on the reset, until everything is gone. */
const markerFile = "reset.json";
const marker = z.object({ at: z.string().regex(/^[0-9TZ:.-]{1,40}$/) });

/** Throws RESET_REFUSED while this node is of use to a cluster, or has OSDs that nobody said are to be kept. */
export async function checkReset(
  daemon: Daemon,
  { keepDisks }: { readonly keepDisks: boolean },
): Promise<void> {
  const refuse = (why: string): never => {
    throw new MicrocephError("RESET_REFUSED", why);
  };
  const { self, members, cluster, lease } = meshStatusOf(daemon);
  if (self.state === "fresh") refuse("this node is fresh already");
  if (self.state === "claimed") refuse("this node is claimed: `microceph mesh release` frees it");
  if (self.state === "member") {
    const others = members.filter(({ id }) => id !== self.id);
    const there = others.find(({ presence }) => presence === "alive" || presence === "suspect");
    if (there !== undefined) {
      refuse(`${there.name} of the cluster ${cluster?.name} is there: \`microceph cluster leave\` leaves it`);
    }
    if (others.length > 0 && lease.quorum === "ok") {
      refuse(`the cluster ${cluster?.name} works and counts on this node`);
    }
  }
  const osds = await listLocalOsds({ paths: cephPaths(daemon.settings.stateDir) });
  if (osds.length > 0 && !keepDisks) {
    const names = osds.map(({ osd }) => `osd.${osd}`).join(", ");
    refuse(`this node has ${names}; --keep-disks forgets them here and leaves their data as it is`);
  }
}

/** From here on the reset is completed at the next start, whatever happens. */
export async function markReset(stateDir: string, now: number): Promise<void> {
  await writeFileAtomic(
    join(stateDir, markerFile),
    `${JSON.stringify({ at: new Date(now).toISOString() })}\n`,
  );
}

/**
 * Complete a reset that was decided on, before anything of the node is read: its identity and all that it knew go.
 * Directories of OSDs are set aside, with the files of loop OSDs in them; devices are not touched. Idempotent.
 * @returns whether there was one
 */
export async function finishReset(stateDir: string): Promise<boolean> {
  const path = join(stateDir, markerFile);
  const text = await readFileIfPresent(path);
  if (text === undefined) return false;
  const { at } = marker.parse(JSON.parse(text));
  const paths = cephPaths(stateDir);
  const osds = join(paths.data, "osd");
  const kept = join(stateDir, "kept", at.replaceAll(":", ""));
  if ((await readdir(osds).catch(() => [])).length > 0) {
    await mkdir(kept, { recursive: true, mode: 0o700 });
    await rename(osds, join(kept, "osd"));
    await syncDirectory(kept);
  }
  const etcd = join(stateDir, "etcd");
  const { conf, data, run, supervisors, rebuild } = paths;
  for (const folder of [etcd, restoredFolder(etcd), conf, data, run, supervisors, rebuild]) {
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
  for (const name of ["state.db", "state.db-wal", "state.db-shm", nodeKeyFile]) {
    await rm(join(stateDir, name), { force: true });
  }
  await syncDirectory(stateDir);
  await rm(path, { force: true });
  return true;
}
