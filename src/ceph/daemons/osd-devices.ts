import { readlink, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { MicrocephError } from "../../errors/microceph-error.ts";
import { readFileIfPresent, syncDirectory } from "../../files/atomic-file.ts";
import type { OsdId } from "../../ids/ids.ts";
import { systemRoots } from "../disks/inventory.ts";
import { attachLoop } from "../disks/loop-device.ts";
import { partitionPath, tellKernel } from "../disks/partitions.ts";
import type { DaemonDeps } from "./deps.ts";
import { type EncryptedOsd, isUnlocked, unlock } from "./osd-encryption.ts";
import { encryptedDevices, type OsdAux, osdParts } from "./osd-parts.ts";

/**
 * Make the devices of an OSD be there as they were when it was made: loop devices, which a boot forgets, are
 * attached again, and the OSD is led to where they are now; what is encrypted is unlocked with the key that the
 * monitors keep. Throws CEPH_UNREACHABLE while they do not answer.
 */
export async function bringDevices(deps: DaemonDeps, osd: OsdId, uuid: string): Promise<void> {
  const parts = await osdParts(deps, osd);
  const devices = encryptedDevices(parts);
  if (devices.length > 0) return unlockOsd(deps, { osd, uuid, devices });
  const home = deps.paths.dataDir("osd", osd);
  const tools = { roots: systemRoots, run: deps.run };
  if (parts.backingFile !== null) {
    const path = await readlink(join(home, "block"));
    await relink(join(home, "block"), await attachLoop({ path, file: parts.backingFile }, tools));
  }
  for (const kind of ["wal", "db"] as const) {
    const aux: OsdAux | null = parts[kind];
    if (aux === null || aux.backingFile === null) continue;
    const carrier = aux.partition?.carrier ?? aux.path;
    const device = await attachLoop({ path: carrier, file: aux.backingFile }, tools);
    if (aux.partition === null) {
      await relink(join(home, `block.${kind}`), device);
    } else {
      // The kernel looks for no partitions on a loop device by itself.
      await tellKernel(device, tools);
      await relink(join(home, `block.${kind}`), await partitionPath(device, aux.partition.uuid, tools));
    }
  }
}

/** An encrypted OSD is made of devices that keep their names over a boot; its mappings are made anew. */
async function unlockOsd(deps: DaemonDeps, target: EncryptedOsd): Promise<void> {
  if (await isUnlocked(target)) return;
  const keys = deps.keys();
  if (keys === null) {
    throw new MicrocephError(
      "NOT_INITIALIZED",
      `osd.${target.osd} is locked, and this node knows no cluster`,
    );
  }
  await unlock(deps, keys, target);
}

async function relink(link: string, target: string): Promise<void> {
  if ((await readlink(link).catch(() => undefined)) === target) return;
  await rm(`${link}.new`, { force: true });
  await symlink(target, `${link}.new`);
  await rename(`${link}.new`, link);
  await syncDirectory(join(link, ".."));
}

/** The last that a daemon said of what is wrong, from the end of its supervisor's log; null when nothing stands out. */
export async function lastComplaint(deps: Pick<DaemonDeps, "paths">, unit: string): Promise<string | null> {
  const log = await readFileIfPresent(join(deps.paths.supervisors, unit, "log"));
  return log === undefined ? null : complaintIn(log.slice(-logTail));
}

const logTail = 64 * 1024;

/** Ceph's lines are `TIME THREAD LEVEL TEXT`; its own last word on a start that fails begins with `** ERROR`. */
export function complaintIn(log: string): string | null {
  const said = log.split("\n").flatMap((line) => {
    const text =
      /^\S+ [0-9a-f]+ +-1 +(.*)$/.exec(line)?.[1] ??
      /^(ceph-osd: .*)$/.exec(line)?.[1] ??
      /: (FAILED ceph_(?:assert|abort).*)$/.exec(line)?.[1];
    return text === undefined || /NOTE:|Falling back|set uid:gid|Caught signal/.test(text) ? [] : [text];
  });
  const telling = said.findLast((text) => /\*\* ERROR|error|fail|No such|denied|abort|full/i.test(text));
  const shown = (telling ?? said.at(-1))
    ?.replace(/\*+/g, "")
    .replace(/[^\x20-\x7e]/g, " ")
    .trim();
  return shown ? shown.slice(0, 300) : null;
}
