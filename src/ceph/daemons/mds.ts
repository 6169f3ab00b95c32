import type { Handle } from "../../ids/ids.ts";
import { mdsCapabilities } from "../config/keyring.ts";
import type { DaemonDeps } from "./deps.ts";
import { prepareKeyedDaemon, removeKeyedDaemon, startKeyedDaemon } from "./keyed-daemon.ts";

/** Entity and capabilities for `authGetOrCreate`. */
export function mdsEntity(handle: Handle): {
  readonly entity: string;
  readonly capabilities: typeof mdsCapabilities;
} {
  return { entity: `mds.${handle}`, capabilities: mdsCapabilities };
}

/** Write data directory and keyring of this node's metadata server. Idempotent. */
export function prepareMds(
  deps: DaemonDeps,
  mds: { readonly handle: Handle; readonly key: string },
): Promise<void> {
  return prepareKeyedDaemon(deps, "mds", mds);
}

export function startMds(deps: DaemonDeps, handle: Handle): Promise<void> {
  return startKeyedDaemon(deps, "mds", handle);
}

export function removeMds(deps: DaemonDeps, handle: Handle): Promise<void> {
  return removeKeyedDaemon(deps, "mds", handle);
}
