import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { CephCommands } from "../command/commands.ts";
import {
  type KeyringEntry,
  keyedCapabilities,
  keyOf,
  nfsCapabilities,
  osdCapabilities,
  renderKeyring,
} from "../config/keyring.ts";
import { entityOf, keptKey, keyedDaemons } from "../daemons/keyed-daemon.ts";
import { nfsKey } from "../daemons/nfs.ts";
import { nfsPool } from "../daemons/nfs-config.ts";
import { listLocalOsds } from "../daemons/osd.ts";
import type { CephNode } from "./ceph-node.ts";

const callMs = 30_000;

/**
 * Tell monitors that have forgotten them the keys of the daemons on this node. Of an OSD only where Ceph has it in its
 * map under this uuid. Idempotent. @returns the daemons
 */
export async function importOwnKeys(node: CephNode, ceph: CephCommands): Promise<string[]> {
  const { deps, handle } = node;
  const call = { deadlineMs: callMs };
  const entries: KeyringEntry[] = [];
  for (const type of keyedDaemons) {
    const key = await keptKey(deps, type, handle);
    if (key !== undefined) {
      entries.push({ entity: entityOf(type, handle), key, capabilities: keyedCapabilities[type] });
    }
  }
  const nfs = await nfsKey(deps, handle);
  if (nfs !== undefined) entries.push({ ...nfs, capabilities: nfsCapabilities(nfsPool) });
  const registered = new Map((await ceph.osdDump(call)).osds.map(({ id, uuid }) => [id, uuid]));
  for (const { osd, uuid } of await listLocalOsds(deps)) {
    if (registered.get(osd) !== uuid) continue;
    const text = await readFile(join(deps.paths.dataDir("osd", osd), "keyring"), "utf8").catch(() => "");
    const key = keyOf(text, `osd.${osd}`);
    if (key !== undefined) entries.push({ entity: `osd.${osd}`, key, capabilities: osdCapabilities });
  }
  if (entries.length > 0) await ceph.runWithInput(["auth", "import"], renderKeyring(entries), call);
  return entries.map(({ entity }) => entity);
}
