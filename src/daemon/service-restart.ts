import { rgwCapabilities } from "../ceph/config/keyring.ts";
import { unitName } from "../ceph/daemons/deps.ts";
import { answersOnSocket, entityOf, prepareKeyedDaemon } from "../ceph/daemons/keyed-daemon.ts";
import { waitMonInQuorum } from "../ceph/daemons/mon.ts";
import { waitRgwServing } from "../ceph/daemons/rgw.ts";
import { waitUntil } from "../ceph/daemons/wait-until.ts";
import type { RollingType } from "../ceph/plan/rolling.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";
import { commandsOf, runtimeOf } from "./runtime-of.ts";

export type RestartedService = Exclude<RollingType, "osd">;

const callMs = 30_000;
const servingMs = 120_000;

/** Throws NOT_FOUND where this node has no such daemon. */
export async function checkRestart(daemon: Daemon, service: RestartedService): Promise<void> {
  const { cephNode } = runtimeOf(daemon).deps;
  const unit = unitName(service, cephNode.handle);
  if ((await cephNode.deps.runner.status(unit)) === undefined) {
    throw new MicrocephError("NOT_FOUND", `${unit} is not on this node`, { data: { service } });
  }
}

/** The job that restarts one of this node's daemons, with the program that is installed now, and waits for it. */
export async function restartService(daemon: Daemon, request: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const cluster = runtimeOf(daemon);
  const { cephNode } = cluster.deps;
  const { handle, deps } = cephNode;
  const { service, rekey = false } = request as { service: RestartedService; rekey?: boolean };
  const unit = unitName(service, handle);
  tools.report(10, `${unit} is restarted`);
  const restart = async (): Promise<void> => {
    if (rekey) {
      // The former key opens nothing from here on; one that is killed now makes its gateway another key again.
      const ceph = commandsOf(cluster);
      const call = { deadlineMs: callMs, signal: tools.signal };
      await ceph.authRemove(entityOf("rgw", handle), call);
      const key = await ceph.authGetOrCreate(entityOf("rgw", handle), rgwCapabilities, call);
      await prepareKeyedDaemon(deps, "rgw", { handle, key });
    }
    if (service === "nfs") {
      await cephNode.nfs.restart((text) => tools.report(50, text), tools.signal);
      return;
    }
    await deps.runner.restart(unit);
    const wait = { deadlineMs: servingMs, signal: tools.signal };
    if (service === "mon") await waitMonInQuorum(deps, handle, wait);
    else if (service === "rgw") await waitRgwServing(deps, handle, wait);
    // It serves nobody: images wait for it, wherever one of the others does not copy them meanwhile.
    else if (service !== "rbd-mirror") {
      const look = async (): Promise<true | undefined> =>
        (await answersOnSocket(deps, service, handle)) ? true : undefined;
      await waitUntil(`${unit} to answer`, look, wait);
    }
  };
  await (service === "mon" ? cephNode.inOrder(restart) : restart());
  await cluster.upkeep.settleFacts();
  return { service };
}
