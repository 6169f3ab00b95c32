import type { CephCommands } from "../command/commands.ts";
import { ourRules } from "../plan/failure-domain.ts";
import { poolDefault } from "./crush-facts.ts";

/** Long enough for a slow machine to start `ceph`, and shorter than what an order may take. */
const settingMs = 60_000;

/** Settings every cluster of ours starts with; a value that is set already is a user's and is kept. */
export async function firstSettings(ceph: CephCommands, signal: AbortSignal): Promise<void> {
  const call = { deadlineMs: settingMs, signal };
  const rule = await ceph.createReplicatedRule(ourRules.osd, "osd", call);
  const current = await poolDefault(ceph, "osd_pool_default_crush_rule", call);
  // -1 is Ceph's "no choice made".
  if (current === -1) await ceph.configSet("global", "osd_pool_default_crush_rule", String(rule), call);
  // All image features on, as MicroCeph sets it.
  if ((await ceph.configGet("global", "rbd_default_features", call)) === undefined) {
    await ceph.configSet("global", "rbd_default_features", "63", call);
  }
}
