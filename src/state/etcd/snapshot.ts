import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isMicrocephError } from "../../errors/microceph-error.ts";
import { syncDirectory } from "../../files/atomic-file.ts";
import { exists } from "../../files/exists.ts";
import type { Handle } from "../../ids/ids.ts";
import { type RunOptions, runProgram } from "../../process/run-program.ts";
import { clientSocketName, dataFolder, peerUrlOf } from "./etcd-arguments.ts";
import { LeftOver } from "./left-over.ts";

const snapshotMs = 120_000;
const api = { ETCDCTL_API: "3" };

/** The whole database of the etcd that runs in this directory, with a checksum, as `etcdctl snapshot save` writes it. */
export async function saveSnapshot(dir: string, signal?: AbortSignal): Promise<Buffer> {
  const file = join(dir, `snapshot-${randomUUID().slice(0, 8)}`);
  try {
    await runProgram("etcdctl", ["--endpoints", `unix://${clientSocketName}`, "snapshot", "save", file], {
      ...{ deadlineMs: snapshotMs, cwd: dir, env: api },
      ...(signal ? { signal } : {}),
    });
    return await readFile(file);
  } finally {
    await rm(file, { force: true });
    await rm(`${file}.part`, { force: true });
  }
}

/** Where restored data waits until it is put in the place of the directory. */
export const restoredFolder = (dir: string): string => `${dir}.restored`;

/**
 * Make of a snapshot the data of an etcd of one member, beside this directory; `placeRestored` puts it in its place.
 * Keys keep their revisions. Throws PROGRAM_FAILED when its checksum does not fit.
 */
export async function restoreSnapshot(
  dir: string,
  member: { readonly name: Handle; readonly token: string; readonly snapshot: Buffer },
): Promise<void> {
  const { name, token, snapshot } = member;
  const work = restoredFolder(dir);
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true, mode: 0o700 });
  const file = join(work, "snapshot");
  await writeFile(file, snapshot, { mode: 0o600 });
  const args = [
    ...["snapshot", "restore", file, "--data-dir", join(work, dataFolder), "--name", name],
    ...["--initial-cluster", `${name}=${peerUrlOf(name)}`, "--initial-advertise-peer-urls", peerUrlOf(name)],
    ...["--initial-cluster-token", token],
  ];
  const options: RunOptions = { deadlineMs: snapshotMs, cwd: work, env: api };
  try {
    // Of etcd 3.6 only this one can restore; before 3.5 there was only the other.
    await runProgram("etcdutl", args, options);
  } catch (error) {
    if (!isMicrocephError(error, "MISSING_PROGRAM")) throw error;
    await runProgram("etcdctl", args, options);
  }
  await rm(file, { force: true });
  // It has held a member's data: should that be gone one day, it is a loss and no first start.
  await new LeftOver(work).recordStarted();
  // The tool does not promise to have synced what it wrote.
  await runProgram("sync", ["--file-system", work], { deadlineMs: snapshotMs });
}

/** Idempotent: without restored data the directory is left as it is. */
export async function placeRestored(dir: string): Promise<void> {
  const work = restoredFolder(dir);
  if (!(await exists(work))) return;
  await rm(dir, { recursive: true, force: true });
  await rename(work, dir);
  await syncDirectory(dirname(dir));
}
