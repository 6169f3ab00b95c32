import type { CephCommands } from "../ceph/command/commands.ts";
import { osdId } from "../ids/ids.ts";
import type { Daemon } from "./daemon.ts";

/**
 * Whether all data stays served without these OSDs. A manager that has just taken over does not know the placement
 * groups yet: it is asked again until it does, or the deadline, in milliseconds, is over.
 */
export async function areSpare(
  daemon: Pick<Daemon, "events">,
  ceph: CephCommands,
  osds: readonly number[],
  call: { readonly deadlineMs: number; readonly signal: AbortSignal },
): Promise<boolean> {
  const end = performance.now() + call.deadlineMs;
  for (;;) {
    const spare = await ceph.okToStop(osds.map(osdId), call);
    if (spare !== null || performance.now() > end) return spare === true;
    await daemon.events.next(call.signal, 1_000);
  }
}
