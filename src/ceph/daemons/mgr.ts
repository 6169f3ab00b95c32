import { isMicrocephError } from "../../errors/microceph-error.ts";
import type { Handle } from "../../ids/ids.ts";
import { mgrCapabilities } from "../config/keyring.ts";
import { type DaemonDeps, unitName } from "./deps.ts";
import { prepareKeyedDaemon, removeKeyedDaemon, startKeyedDaemon } from "./keyed-daemon.ts";
import { goAsUsual, goBehind } from "./priority.ts";
import { waitUntil } from "./wait-until.ts";

/** Milliseconds in which the supervisor has started the program, or else something is wrong with it. */
const runsMs = 1_000;

/** Entity and capabilities for `authGetOrCreate`. */
export function mgrEntity(handle: Handle): {
  readonly entity: string;
  readonly capabilities: typeof mgrCapabilities;
} {
  return { entity: `mgr.${handle}`, capabilities: mgrCapabilities };
}

/** Write data directory and keyring of this node's manager. Idempotent. */
export function prepareMgr(
  deps: DaemonDeps,
  mgr: { readonly handle: Handle; readonly key: string },
): Promise<void> {
  return prepareKeyedDaemon(deps, "mgr", mgr);
}

/**
 * Start it, or adopt the running one. A manager takes a second of processor time to start, while monitors and OSDs are
 * waited for: they go first until `endMgrStart`.
 */
export async function startMgr(deps: DaemonDeps, handle: Handle): Promise<void> {
  await startKeyedDaemon(deps, "mgr", handle);
  try {
    const look = async (): Promise<number | undefined> => (await mgrPid(deps, handle)) ?? undefined;
    await goBehind(await waitUntil(`mgr.${handle} to run`, look, { deadlineMs: runsMs, intervalMs: 10 }));
  } catch (error) {
    if (!isMicrocephError(error, "DEADLINE_EXCEEDED")) throw error;
  }
}

/** Nothing is being built any more: a manager goes beside the others. Idempotent. */
export async function endMgrStart(deps: DaemonDeps, handle: Handle): Promise<void> {
  const pid = await mgrPid(deps, handle);
  if (pid !== null) await goAsUsual(pid);
}

async function mgrPid({ runner }: DaemonDeps, handle: Handle): Promise<number | null> {
  return (await runner.status(unitName("mgr", handle)))?.pid ?? null;
}

export function removeMgr(deps: DaemonDeps, handle: Handle): Promise<void> {
  return removeKeyedDaemon(deps, "mgr", handle);
}
