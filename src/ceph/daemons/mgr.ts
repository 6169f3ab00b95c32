import type { Handle } from "../../ids/ids.ts";
import { mgrCapabilities } from "../config/keyring.ts";
import type { DaemonDeps } from "./deps.ts";
import { prepareKeyedDaemon, removeKeyedDaemon, startKeyedDaemon } from "./keyed-daemon.ts";

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

export function startMgr(deps: DaemonDeps, handle: Handle): Promise<void> {
  return startKeyedDaemon(deps, "mgr", handle);
}

export function removeMgr(deps: DaemonDeps, handle: Handle): Promise<void> {
  return removeKeyedDaemon(deps, "mgr", handle);
}
