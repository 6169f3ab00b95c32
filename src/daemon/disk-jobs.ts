import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { addDisks } from "../ceph/control/add-disks.ts";
import type { AddRequestDraft } from "../ceph/control/add-request.ts";
import { controlOsd, type OsdAction, rotateOsdKey } from "../ceph/daemons/osd-control.ts";
import { diskOwners } from "../ceph/daemons/osd-make.ts";
import { checkPristine, statDisk, surveyDisks, wipeDisk } from "../ceph/disks/disks.ts";
import { systemRoots } from "../ceph/disks/inventory.ts";
import { patternTest } from "../ceph/disks/match/pattern-test.ts";
import { readTable } from "../ceph/disks/partitions.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import { osdId } from "../ids/ids.ts";
import type { Json } from "../ids/json.ts";
import { runProgram } from "../process/run-program.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";
import { commandsOf, commandsOnceKnown } from "./runtime-of.ts";

/** The job of `disk add` on this node. */
export async function addDisksHere(daemon: Daemon, request: Json, tools: JobTools): Promise<Json> {
  // Taken up again after a crash, this node's parts, and Ceph itself, may be starting still.
  await daemon.settled();
  const { cluster } = daemon;
  if (cluster !== null && tools.memory !== null) {
    await cluster.whenCephAnswers(() => tools.report(0, "waiting for Ceph"), tools.signal);
  }
  if (cluster === null) throw new MicrocephError("NOT_INITIALIZED", "Daemon not yet initialized");
  await commandsOnceKnown(cluster, tools);
  const node = cluster.deps.cephNode;
  const result = await addDisks(
    request as unknown as AddRequestDraft,
    {
      daemons: node.deps,
      ceph: () => commandsOf(cluster),
      newUuid: randomUUID,
      inspect: (path) => statDisk(path),
      survey: async () => surveyDisks(await diskOwners(node.deps)),
      readTable: (path) => readTable(path, { run: runProgram }),
      patternTest: patternTest(),
      host: hostname().split(".")[0] ?? "",
      checkDevice: (path) => checkPristine(path),
      wipe: (path) => wipeDisk(path),
      roots: systemRoots,
      run: runProgram,
      exclusive: (keys, act) => daemon.diskTurns.run(keys, act),
      onUp: () => {
        cluster.upkeep.publishFacts();
        cluster.cephView.refresh();
      },
    },
    tools,
  );
  await daemon.disks.look();
  await cluster.upkeep.settleFacts();
  return result as unknown as Json;
}

/** The jobs of `disk restart`, `disk stop`, `disk start` and `disk rotate-key` on this node. */
export async function controlOsdHere(
  daemon: Daemon,
  action: OsdAction | "rotate-key",
  request: Json,
  tools: JobTools,
): Promise<Json> {
  await daemon.settled();
  const { cluster } = daemon;
  if (cluster === null) throw new MicrocephError("NOT_INITIALIZED", "Daemon not yet initialized");
  const osd = osdId((request as { osd?: unknown } | null)?.osd);
  tools.report(10, `osd.${osd}: ${action}`);
  const { deps } = cluster.deps.cephNode;
  if (action === "rotate-key") {
    // Two changes of one key at a time would each undo the other's half.
    await daemon.diskTurns.run([`key of osd.${osd}`], () => rotateOsdKey(deps, osd));
  } else {
    await controlOsd(deps, osd, action, { signal: tools.signal });
  }
  await cluster.upkeep.settleFacts();
  return { osd };
}
