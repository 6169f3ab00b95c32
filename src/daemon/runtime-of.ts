import { notInitialized } from "../api/not-initialized.ts";
import type { CephCommands } from "../ceph/command/commands.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import type { Daemon } from "./daemon.ts";

/** What runs on a member. Throws NOT_INITIALIZED on a node that is none. */
export function runtimeOf(daemon: Daemon): ClusterRuntime {
  if (daemon.cluster === null) throw notInitialized();
  return daemon.cluster;
}

/** Throws NOT_INITIALIZED while this node knows no Ceph. */
export function commandsOf(cluster: ClusterRuntime): CephCommands {
  const { commands } = cluster.deps.cephNode;
  if (commands === null) throw new MicrocephError("NOT_INITIALIZED", "Ceph is not bootstrapped yet");
  return commands;
}
