import { z } from "zod";
import type { CallOptions, CephCommands } from "../command/commands.ts";
import type { CountedDaemon } from "../plan/service-daemons.ts";

const dumpSchema = z.object({
  active_name: z.string().default(""),
  standbys: z.array(z.object({ name: z.string() })).default([]),
});

/** Names of the managers; null while none is active. */
export async function managers(
  ceph: CephCommands,
  call: CallOptions,
): Promise<{ readonly active: string | null; readonly standbys: readonly string[] }> {
  const { active_name, standbys } = dumpSchema.parse(await ceph.run(["mgr", "dump"], call));
  return { active: active_name || null, standbys: standbys.map(({ name }) => name) };
}

/** What is active on a host is handed over to one that stands by; where there is none, nothing is done. */
export async function failOver(
  ceph: CephCommands,
  type: CountedDaemon,
  handle: string,
  call: CallOptions,
): Promise<void> {
  if (type === "mgr") {
    const { active, standbys } = await managers(ceph, call);
    if (active === handle && standbys.length > 0) await ceph.run(["mgr", "fail", handle], call);
    return;
  }
  const { active, standby } = await ceph.mdsStat(call);
  if (active.includes(handle) && standby.some((name) => name !== handle)) {
    await ceph.run(["mds", "fail", handle], call);
  }
}
