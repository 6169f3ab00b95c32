import { cp, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isMicrocephError, messageOf } from "../../errors/microceph-error.ts";
import { readFileIfPresent, syncDirectory, writeFileAtomic } from "../../files/atomic-file.ts";
import type { Fsid, Handle, OsdId } from "../../ids/ids.ts";
import type { MonitorAddress } from "../command/commands.ts";
import { adminCapabilities, monCapabilities, renderKeyring } from "../config/keyring.ts";
import { addressVector } from "../config/monitor-address.ts";
import { type DaemonDeps, ensureCephFolders } from "./deps.ts";
import { orDiskFull } from "./disk-full.ts";
import { injectMonMap, monMarker, setMonAside } from "./mon.ts";
import { listLocalOsds, startOsd, stopOsd } from "./osd.ts";
import { isUnlocked } from "./osd-encryption.ts";
import { encryptedDevices, osdParts } from "./osd-parts.ts";
import { runBound } from "./run-bound.ts";

/** Milliseconds: maps are read one by one, and a full OSD has thousands. */
const collectMs = 1_800_000;
const rebuildMs = 1_800_000;

/** What the OSDs of a host gave to a new store. */
export interface Collected {
  readonly osds: readonly OsdId[];
  /** Those that gave nothing, each with the reason. */
  readonly left: readonly string[];
}

/**
 * Put the cluster's maps that this node's OSDs have, and their keys, into a monitor store that is being made anew
 * (Ceph's documentation, "Recovery using OSDs"). Each OSD is stopped meanwhile, and its data is only read. The store
 * may be empty, or come from another host. Run again it adds what is missing.
 */
export async function collectOsdMaps(
  deps: DaemonDeps,
  store: string,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<Collected> {
  const osds: OsdId[] = [];
  const left: string[] = [];
  await mkdir(store, { recursive: true, mode: 0o700 });
  for (const { osd, uuid, stopped } of await listLocalOsds(deps)) {
    const devices = encryptedDevices(await osdParts(deps, osd));
    if (devices.length > 0 && !(await isUnlocked({ osd, uuid, devices }))) {
      left.push(`osd.${osd}: it is encrypted, and its key was with the monitors`);
      continue;
    }
    await stopOsd(deps, osd);
    try {
      await orDiskFull("the monitors' new store", () =>
        runBound(
          deps,
          "ceph-objectstore-tool",
          [
            ...["--data-path", deps.paths.dataDir("osd", osd), "--no-mon-config"],
            ...["--op", "update-mon-db", "--mon-store-path", store],
          ],
          {
            deadlineMs: collectMs,
            env: { CEPH_CONF: deps.paths.cephConf },
            ...(signal ? { signal } : {}),
          },
        ),
      );
      osds.push(osd);
    } catch (error) {
      signal?.throwIfAborted();
      // Not this OSD's fault: the others would fail as well, and what they know may be what is needed.
      if (isMicrocephError(error, "DISK_FULL")) throw error;
      left.push(`osd.${osd}: ${messageOf(error).slice(-300)}`);
    } finally {
      if (!stopped) await startOsd(deps, osd);
    }
  }
  return { osds, left };
}

export interface RebuiltMon {
  readonly handle: Handle;
  readonly fsid: Fsid;
  /** What the OSDs of all hosts gave. It is used up. */
  readonly store: string;
  readonly monKey: string;
  readonly adminKey: string;
  /** The only monitor's own addresses. */
  readonly addresses: readonly MonitorAddress[];
  /** Names what it is made for: made again for the same it is left alone. */
  readonly mark: string;
  readonly signal?: AbortSignal;
}

/**
 * Make of the OSDs' maps a whole store for the only monitor, which must not run. @returns puts it in the place of
 * the former one, which is set aside and not removed
 */
export async function rebuildMon(deps: DaemonDeps, mon: RebuiltMon): Promise<() => Promise<void>> {
  const { paths } = deps;
  const { handle, fsid, store, monKey, adminKey, addresses, signal } = mon;
  await ensureCephFolders(paths);
  const home = paths.dataDir("mon", handle);
  const work = `${home}.new-rebuilt`;
  const inputs = `${work}.in`;
  for (const folder of [work, inputs]) {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { mode: 0o700 });
  }
  const options = { deadlineMs: rebuildMs, secrets: [monKey, adminKey], ...(signal ? { signal } : {}) };
  try {
    const keyring = join(inputs, "keyring");
    const conf = join(inputs, "ceph.conf");
    await writeFile(
      keyring,
      renderKeyring([
        { entity: "mon.", key: monKey, capabilities: monCapabilities },
        { entity: "client.admin", key: adminKey, capabilities: adminCapabilities },
      ]),
      { mode: 0o600 },
    );
    // The tool makes the first monitor map of it; the former ceph.conf names the former monitors.
    await writeFile(conf, `[global]\nfsid = ${fsid}\nmon host = ${addressVector(addresses)}\n`);
    await orDiskFull(`the monitor ${handle}`, async () => {
      await cp(store, work, { recursive: true });
      await runBound(
        deps,
        "ceph-monstore-tool",
        [work, "rebuild", "--", "--keyring", keyring, "--mon-ids", handle],
        { ...options, env: { CEPH_CONF: conf } },
      );
      await injectMonMap(deps, {
        handle,
        home: work,
        monitors: [{ name: handle, addresses }],
        ...(signal ? { signal } : {}),
      });
    });
    await writeFileAtomic(
      join(work, "keyring"),
      renderKeyring([{ entity: "mon.", key: monKey, capabilities: monCapabilities }]),
    );
    await writeFileAtomic(
      join(work, monMarker),
      `${JSON.stringify({ v: 1, fsid, handle, rebuilt: mon.mark })}\n`,
    );
  } finally {
    await rm(inputs, { recursive: true, force: true });
  }
  return async () => {
    await setMonAside(deps, handle);
    await rename(work, home);
    await syncDirectory(dirname(home));
  };
}

/** What the store of this node's monitor was rebuilt for; undefined when it was not. */
export async function rebuiltFor(
  deps: Pick<DaemonDeps, "paths">,
  handle: Handle,
): Promise<string | undefined> {
  const text = await readFileIfPresent(join(deps.paths.dataDir("mon", handle), monMarker));
  return text === undefined ? undefined : /"rebuilt":"([^"]*)"/.exec(text)?.[1];
}
