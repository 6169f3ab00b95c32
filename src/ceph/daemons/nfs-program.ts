import { readFile } from "node:fs/promises";
import type { Handle } from "../../ids/ids.ts";
import { type DaemonDeps, unitName } from "./deps.ts";

const programMs = 20_000;

export interface NfsProgram {
  /** `nfs-ganesha 4.3` */
  readonly installed: string;
  /** The running one was started before what is installed was put there. */
  readonly replaced: boolean;
}

/** What this node has of nfs-ganesha, and whether its gateway runs that; null where none runs, or it is not installed. */
export async function nfsProgram(
  deps: Pick<DaemonDeps, "run" | "runner">,
  handle: Handle,
): Promise<NfsProgram | null> {
  const pid = (await deps.runner.status(unitName("nfs", handle)))?.pid ?? null;
  if (pid === null) return null;
  const [said, maps] = await Promise.all([
    deps.run("ganesha.nfsd", ["-v"], { deadlineMs: programMs }).catch(() => null),
    readFile(`/proc/${pid}/maps`, "utf8").catch(() => null),
  ]);
  if (said === null || maps === null) return null;
  const version = /\bV(\d\S*)/.exec(said.stdout)?.[1] ?? "";
  return { installed: `nfs-ganesha ${version}`.trim(), replaced: runsReplacedFiles(maps) };
}

/** Whether a process has loaded a file of ganesha's, or of Ceph's libraries, that is not there any more (proc(5)). */
export function runsReplacedFiles(maps: string): boolean {
  return /\/(?:ganesha\.nfsd|lib(?:ganesha|fsal|ntirpc|ceph|rados)[^/\n]*) \(deleted\)$/m.test(maps);
}
