import { notInitialized } from "../api/not-initialized.ts";
import type { CephCommands } from "../ceph/command/commands.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";

/** What runs on a member. Throws NOT_INITIALIZED on a node that is none. */
export function runtimeOf(daemon: Daemon): ClusterRuntime {
  if (daemon.cluster === null) throw notInitialized();
  return daemon.cluster;
}

/** Milliseconds that a job gives a member that has just joined until it is told how to reach Ceph. */
const knownMs = 60_000;

/** A member that has just joined is told of Ceph a moment later. Throws NOT_INITIALIZED when that does not come. */
export async function commandsOnceKnown(
  cluster: ClusterRuntime,
  { report, signal }: Pick<JobTools, "report" | "signal">,
): Promise<CephCommands> {
  const { cephNode, events } = cluster.deps;
  const deadline = AbortSignal.timeout(knownMs);
  while (cephNode.commands === null && !deadline.aborted) {
    report(0, "waiting until this node knows how to reach Ceph");
    await events.next(signal, 1_000);
  }
  return commandsOf(cluster);
}

/** Throws NOT_INITIALIZED while this node knows no Ceph. */
export function commandsOf(cluster: ClusterRuntime): CephCommands {
  const { commands } = cluster.deps.cephNode;
  if (commands === null) throw new MicrocephError("NOT_INITIALIZED", "Ceph is not bootstrapped yet");
  return commands;
}
