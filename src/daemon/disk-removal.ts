import { z } from "zod";
import type { CallOptions, CephCommands, OsdDumpEntry } from "../ceph/command/commands.ts";
import { purgedOsds } from "../ceph/control/osd-removal.ts";
import { isMicrocephError, MicrocephError } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import { isAlive } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";
import { checkSpare, type SpareConsent } from "./removal-check.ts";
import { commandsOf, runtimeOf } from "./runtime-of.ts";

export interface DiskRemovalRequest extends SpareConsent {
  readonly osd: number;
  readonly bypass: boolean;
}

const bypassHint = "--bypass-safety-checks removes it, and what only it has is lost";

/** Long enough for the monitors to find each other again after a host died. */
const callMs = 60_000;

/** `wished`: whether the wish has been said; a run that was cut off before says it again. */
const memorySchema = z.object({
  uuid: z.uuid(),
  mode: z.enum(["drain", "fewer-copies", "now"]),
  wished: z.boolean(),
});

/**
 * The job of `disk remove`, on whichever member: checks that the others can do without the OSD, wishes it away,
 * and waits until it is out of Ceph and its host, where that is alive, has cleaned up. The wish is carried out by
 * the holder of the lease, whatever becomes of this job.
 */
export async function removeDisk(daemon: Daemon, request: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const asked = request as unknown as DiskRemovalRequest;
  const cluster = runtimeOf(daemon);
  let memory = memorySchema.safeParse(tools.memory).data;
  if (memory === undefined) {
    tools.report(1, "checking that the others can do without it");
    const call: CallOptions = { deadlineMs: callMs, signal: tools.signal };
    const ceph = commandsOf(cluster);
    const { uuid, destroyed } = await entryOf(ceph, asked.osd, call);
    // One that was destroyed holds nothing any more.
    const { osd, bypass } = asked;
    const who = { osds: [osd], name: `osd.${osd}`, how: bypassHint };
    const mode = destroyed || bypass ? "now" : await checkSpare(cluster, ceph, who, asked, call);
    memory = { uuid, mode, wished: false };
    tools.remember({ ...memory });
  }
  const { uuid, mode } = memory;
  if (!memory.wished) {
    cluster.document.setRemoval(uuid, { osd: asked.osd, mode });
    tools.remember({ uuid, mode, wished: true });
    cluster.wake("disk removal");
  }
  const progress = new DrainProgress();
  for (;;) {
    const cluster = runtimeOf(daemon);
    const { nodes, removals } = cluster.document.view();
    const owner = [...cluster.journal.members().keys()].find((peer) =>
      nodes[peer]?.osds.some((one) => one.uuid === uuid),
    );
    if (purgedOsds(cluster.journal.entries()).has(uuid)) {
      if (owner === undefined) return { osd: asked.osd, uuid, cleaned: true };
      // Its host cleans up when it comes back.
      if (!isAlive(cluster, owner)) return { osd: asked.osd, uuid, cleaned: false };
      tools.report(98, "its disk is emptied");
    } else if (removals[uuid] === undefined && (await isThere(cluster, uuid, tools.signal))) {
      throw new MicrocephError("CANCELLED", `the removal of osd.${asked.osd} was called off`);
    } else {
      await progress.look(cluster, asked.osd, tools);
    }
    await daemon.events.next(tools.signal, 1_000);
  }
}

/** Whether Ceph has it: the end of the wish may be heard of before that of the decision. */
export async function isThere(cluster: ClusterRuntime, uuid: string, signal: AbortSignal): Promise<boolean> {
  const dump = await commandsOf(cluster).osdDump({ deadlineMs: callMs, signal });
  return dump.osds.some((one) => one.uuid === uuid);
}

/** Call a removal off: the OSD gets its data back. Throws REMOVAL_TOO_LATE once it is out of Ceph. */
export async function cancelDiskRemoval(daemon: Daemon, osd: number): Promise<{ osd: number }> {
  const cluster = runtimeOf(daemon);
  const { removals } = cluster.document.view();
  const wishes = Object.entries(removals).filter(([, wish]) => wish.osd === osd);
  const purged = purgedOsds(cluster.journal.entries());
  const open = wishes.filter(([uuid]) => !purged.has(uuid));
  if (open.length === 0) {
    throw new MicrocephError("REMOVAL_TOO_LATE", `osd.${osd} is not being removed, or is removed already`);
  }
  for (const [uuid] of open) cluster.document.setRemoval(uuid, null);
  cluster.wake("disk removal called off");
  return { osd };
}

/** Data that is still on it, from Ceph's own figures; what is not known is not said. */
class DrainProgress {
  #first: { readonly kib: number; readonly at: number } | null = null;
  #looked = 0;

  async look(cluster: ClusterRuntime, osd: number, tools: JobTools): Promise<void> {
    const now = performance.now();
    if (now - this.#looked < 2_000) return;
    this.#looked = now;
    const usage = await commandsOf(cluster)
      .osdDf({ deadlineMs: 5_000, signal: tools.signal })
      .catch((error: unknown) => {
        if (isMicrocephError(error)) return [];
        throw error;
      });
    const own = usage.find(({ id }) => id === osd);
    if (own === undefined) return;
    this.#first ??= { kib: own.usedKiB, at: now };
    const moved = this.#first.kib - own.usedKiB;
    const seconds = (now - this.#first.at) / 1000;
    const left = moved > 1024 && seconds > 5 ? Math.round(own.usedKiB / (moved / seconds)) : null;
    const estimate = left === null ? "" : `, about ${left} s to go`;
    const share = this.#first.kib === 0 ? 0 : Math.max(0, moved / this.#first.kib);
    const text = `its data moves to the others: ${own.pgs} placement groups, ${Math.round(own.usedKiB / 1024)} MiB left${estimate}`;
    tools.report(5 + Math.round(share * 85), text);
  }
}

/** Throws NOT_FOUND. */
export async function entryOf(ceph: CephCommands, osd: number, call: CallOptions): Promise<OsdDumpEntry> {
  const found = (await ceph.osdDump(call)).osds.find(({ id }) => id === osd);
  if (found === undefined) throw new MicrocephError("NOT_FOUND", `there is no osd.${osd}`, { data: { osd } });
  return found;
}
