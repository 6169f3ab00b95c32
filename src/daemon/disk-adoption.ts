import { randomBytes } from "node:crypto";
import type { AdoptedDisk } from "../api/contract/disks.ts";
import type { CallOptions } from "../ceph/command/commands.ts";
import { makeCephKey, osdCapabilities } from "../ceph/config/keyring.ts";
import { purgedOsds } from "../ceph/control/osd-removal.ts";
import { startOsd, waitOsdUp } from "../ceph/daemons/osd.ts";
import { adoptOsd, type FoundOsd, findOsds } from "../ceph/daemons/osd-adopt.ts";
import { diskOwners } from "../ceph/daemons/osd-make.ts";
import type { OsdAux } from "../ceph/daemons/osd-parts.ts";
import { type BlockDevice, listBlockDevices } from "../ceph/disks/inventory.ts";
import { allOurs, readTable } from "../ceph/disks/partitions.ts";
import { isMicrocephError, MicrocephError, messageOf } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import { runProgram } from "../process/run-program.ts";
import { fsidOf } from "./cluster/cluster-facts.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";
import { commandsOf, commandsOnceKnown, runtimeOf } from "./runtime-of.ts";

/** Long enough for the monitors to find each other again after a host died. */
const callMs = 60_000;
const upMs = 120_000;

/**
 * The job of `disk adopt` on this node: OSDs of this cluster that lie on its disks, and that it knows nothing of
 * because it was installed anew or got the disks from another host, run here again. Their disks are only read.
 * Idempotent: what is done is found done by the next run.
 */
export async function adoptDisks(daemon: Daemon, request: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const { dryRun, withoutMonitors = false } = request as {
    readonly dryRun: boolean;
    readonly withoutMonitors?: boolean;
  };
  const cluster = runtimeOf(daemon);
  if (withoutMonitors) refuseWhileAnswered(cluster);
  const ceph = withoutMonitors ? null : await commandsOnceKnown(cluster, tools);
  const { deps } = cluster.deps.cephNode;
  const call: CallOptions = { deadlineMs: callMs, signal: tools.signal };
  tools.report(5, "looking for OSDs on the disks of this node");
  const fsid = fsidOf(cluster.journal.entries());
  if (fsid === null) throw new MicrocephError("NOT_INITIALIZED", "Ceph is not bootstrapped yet");
  const [dump, owners, devices] = await Promise.all([
    ceph?.osdDump(call),
    diskOwners(deps),
    listBlockDevices(),
  ]);
  const found = await findOsds(deps, {
    devices: devices.filter(({ path }) => !owners.has(path)),
    registered: dump?.osds.filter(({ destroyed }) => !destroyed) ?? null,
    fsid,
  });
  const purged = purgedOsds(cluster.journal.entries());
  const report: AdoptedDisk[] = [];
  for (const one of found) {
    const { osd, uuid } = one;
    const line = { osd, path: one.main.device.stablePath };
    tools.report(10 + Math.floor((80 * report.length) / found.length), `osd.${osd} on ${line.path}`);
    const runs = dump?.osds.find(({ id }) => id === osd)?.up ?? false;
    try {
      if (runs) throw new MicrocephError("DISK_IN_USE", `osd.${osd} runs on another node`);
      if (purged.has(uuid)) throw new MicrocephError("REMOVAL_TOO_LATE", `osd.${osd} was removed`);
      if (!dryRun) {
        const key = `disk ${one.main.device.partOf?.disk ?? one.main.device.name}`;
        await daemon.diskTurns.run([key], () => adopt(cluster, one, { devices, withoutMonitors }, tools));
      }
      report.push({ ...line, report: dryRun ? "Found" : "Success", error: "" });
    } catch (error) {
      if (tools.signal.aborted) throw error;
      const code = isMicrocephError(error) ? ` [${error.code}]` : "";
      report.push({ ...line, report: "Failure", error: `${messageOf(error)}${code}` });
    }
  }
  await daemon.disks.look();
  await cluster.upkeep.settleFacts();
  cluster.cephView.refresh();
  return { report: report as unknown as Json };
}

async function adopt(
  cluster: ClusterRuntime,
  found: FoundOsd,
  { devices, withoutMonitors }: { devices: readonly BlockDevice[]; withoutMonitors: boolean },
  tools: JobTools,
): Promise<void> {
  const { deps } = cluster.deps.cephNode;
  const { osd, uuid } = found;
  const call: CallOptions = { deadlineMs: callMs, signal: tools.signal };
  // Monitors that are made of what OSDs have learn their keys from them, too.
  const key = withoutMonitors
    ? makeCephKey(randomBytes, Date.now())
    : await commandsOf(cluster).authGetOrCreate(`osd.${osd}`, osdCapabilities, call);
  await adoptOsd(deps, found, { key, partitionOf: (device) => ownPartition(device, devices) });
  // It was to go with its former host; with its disk here it stays.
  if (cluster.document.view().removals[uuid] !== undefined) {
    cluster.document.setRemoval(uuid, null);
    cluster.wake("disk adopted");
  }
  await startOsd(deps, osd);
  if (withoutMonitors) return;
  await waitOsdUp(deps, osd, { deadlineMs: upMs, signal: tools.signal });
}

/** Where monitors answer, they say what is theirs. Throws RECOVERY_REFUSED. */
function refuseWhileAnswered({ cephView }: ClusterRuntime): void {
  if (!cephView.answers) return;
  throw new MicrocephError("RECOVERY_REFUSED", "the monitors answer: adopt without --without-monitors");
}

/** A partition that was made for an OSD: where it lies, so that it goes with the OSD. */
async function ownPartition(
  { partOf }: BlockDevice,
  devices: readonly BlockDevice[],
): Promise<OsdAux["partition"]> {
  const disk = devices.find(({ name }) => name === partOf?.disk);
  if (partOf === null || disk === undefined) return null;
  const table = await readTable(disk.path, { run: runProgram });
  const partition = table?.partitions.find(({ number }) => number === partOf.number);
  if (table === undefined || partition === undefined || !allOurs(table)) return null;
  return { carrier: disk.stablePath, uuid: partition.uuid };
}
