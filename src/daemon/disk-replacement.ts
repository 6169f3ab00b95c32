import { z } from "zod";
import type { DiskReport } from "../api/contract/disks.ts";
import type { CallOptions } from "../ceph/command/commands.ts";
import type { AddRequestDraft } from "../ceph/control/add-request.ts";
import { purgedOsds } from "../ceph/control/osd-removal.ts";
import { realDevice } from "../ceph/daemons/disk-owners.ts";
import { listLocalOsds } from "../ceph/daemons/osd.ts";
import { diskOwners } from "../ceph/daemons/osd-make.ts";
import { checkOsdSize } from "../ceph/daemons/osd-size.ts";
import { checkPristine, checkUnused, statDisk } from "../ceph/disks/disks.ts";
import { encryptionSupport, notSupported } from "../ceph/disks/luks.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import type { OsdRemoval } from "../state/document/cluster-document.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import type { Daemon } from "./daemon.ts";
import { addDisksHere } from "./disk-jobs.ts";
import { entryOf, isThere } from "./disk-removal.ts";
import type { JobTools } from "./jobs.ts";
import { commandsOf, runtimeOf } from "./runtime-of.ts";

export interface DiskReplacementRequest {
  readonly osd: number;
  readonly disk: string;
  readonly wipe: boolean;
  readonly encrypt: boolean;
  readonly bypass: boolean;
}

/** Long enough for the monitors to find each other again after a host died. */
const callMs = 60_000;

const memorySchema = z.object({
  /** Of the OSD that goes; null when it was destroyed before. */
  uuid: z.uuid().nullable(),
  /** Whether the wish that it goes has been said. */
  wished: z.boolean(),
  mode: z.enum(["replace", "replace-now"]),
  /** What `disk add` remembers, once the old one is out. */
  add: z.custom<Json>(),
});
type Memory = Readonly<z.infer<typeof memorySchema>>;

/** What a replacement is made of; each part may be done again. */
export interface ReplacementParts {
  check(): Promise<Memory>;
  /** Say that the OSD is to go. */
  wish(uuid: string, mode: Memory["mode"]): void;
  /** Wait until it is out of Ceph and its disk, where it is this node's, emptied. */
  gone(uuid: string): Promise<void>;
  /** Make the new one, as `disk add` does. */
  add(tools: Pick<JobTools, "signal" | "memory" | "remember" | "report">): Promise<Json>;
}

/** One part after the other, each remembered before the next: taken up again after a crash it goes on where it was. */
export async function replaceInTurn(parts: ReplacementParts, tools: JobTools): Promise<Json> {
  let memory = memorySchema.safeParse(tools.memory).data;
  if (memory === undefined) {
    memory = await parts.check();
    tools.remember({ ...memory });
  }
  const { uuid, mode } = memory;
  if (uuid !== null && !memory.wished) {
    parts.wish(uuid, mode);
    tools.remember({ ...memory, wished: true });
  }
  if (uuid !== null) await parts.gone(uuid);
  return parts.add({
    signal: tools.signal,
    memory: memory.add,
    remember: (add) => tools.remember({ uuid, mode, wished: true, add }),
    report: (progress, step) => tools.report(50 + Math.floor(progress / 2), step),
  });
}

/**
 * The job of `disk replace` on the node with the new disk: the OSD goes once all other copies of its data are
 * whole, and the new one takes its number and its weight, so the CRUSH map stays as it is and data is copied once.
 */
export async function replaceDisk(daemon: Daemon, request: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const asked = request as unknown as DiskReplacementRequest;
  const add: AddRequestDraft = {
    specs: [{ kind: "device", spec: asked.disk, path: asked.disk }],
    wipe: asked.wipe,
    encrypt: asked.encrypt,
    replaces: asked.osd,
  };
  const parts: ReplacementParts = {
    check: () => check(runtimeOf(daemon), asked, tools.signal),
    wish: (uuid, mode) => {
      const cluster = runtimeOf(daemon);
      cluster.document.setRemoval(uuid, { osd: asked.osd, mode });
      cluster.wake("disk replacement");
    },
    gone: (uuid) => gone(daemon, asked.osd, uuid, tools),
    add: (addTools) => addDisksHere(daemon, add as unknown as Json, addTools),
  };
  const result = await replaceInTurn(parts, tools);
  const [line] = (result as unknown as DiskReport).report;
  if (line === undefined || line.report === "Failure") {
    const why = line?.error ?? "the disk is not there";
    throw new MicrocephError(
      "PROGRAM_FAILED",
      `osd.${asked.osd} keeps its number and waits for another disk: ${why}`,
      { data: { osd: asked.osd, path: asked.disk } },
    );
  }
  return { osd: asked.osd, path: asked.disk };
}

/** Refuse what cannot be while the old OSD still serves. */
async function check(
  cluster: ClusterRuntime,
  { osd, disk, wipe, encrypt, bypass }: DiskReplacementRequest,
  signal: AbortSignal,
): Promise<Memory> {
  const call: CallOptions = { deadlineMs: callMs, signal };
  const { deps } = cluster.deps.cephNode;
  const ceph = commandsOf(cluster);
  const entry = await entryOf(ceph, osd, call);
  if (encrypt) {
    const support = await encryptionSupport(deps);
    if (!support.supported) throw notSupported(support.reason);
  }
  const { path, bytes } = await statDisk(disk);
  checkOsdSize(bytes, path);
  const owner = (await diskOwners(deps)).get(await realDevice(path));
  if (owner !== undefined && owner !== `osd.${osd}`) {
    throw new MicrocephError("DISK_IN_USE", `${disk} is ${owner} already`, { data: { path } });
  }
  // Its own disk is emptied before it is used again.
  if (owner === undefined) await (wipe ? checkUnused(disk) : checkPristine(disk));
  if (entry.destroyed) return { uuid: null, wished: true, mode: "replace", add: null };
  const used = (await ceph.osdDf(call)).find(({ id }) => id === osd)?.usedKiB ?? 0;
  if (bytes < used * 1024) {
    throw new MicrocephError(
      "DISK_TOO_SMALL",
      `${disk} has ${bytes} bytes, and osd.${osd} holds ${Math.round(used / 1024)} MiB`,
      { data: { path, bytes } },
    );
  }
  const mode: OsdRemoval["mode"] = bypass ? "replace-now" : "replace";
  if (!bypass && entry.up) {
    const thin = (await ceph.pools(call)).filter(({ erasure, size }) => !erasure && size < 3);
    if (thin.length > 0) {
      throw new MicrocephError(
        "OSD_NEEDED",
        `osd.${osd} is needed: of ${thin.map(({ name }) => name).join(", ")} one copy would be left meanwhile (add the new disk and remove the old one instead; --bypass-safety-checks replaces it all the same)`,
        { data: { osd, pools: thin.map(({ name }) => name) } },
      );
    }
  }
  return { uuid: entry.uuid, wished: false, mode, add: null };
}

/** Wait until the old OSD is out of Ceph and its disk, where it is this node's, emptied. */
async function gone(daemon: Daemon, osd: number, uuid: string, tools: JobTools): Promise<void> {
  for (;;) {
    const cluster = runtimeOf(daemon);
    if (purgedOsds(cluster.journal.entries()).has(uuid)) {
      if (!(await listLocalOsds(cluster.deps.cephNode.deps)).some((one) => one.uuid === uuid)) return;
      tools.report(40, `the old disk of osd.${osd} is emptied`);
    } else if (
      cluster.document.view().removals[uuid] === undefined &&
      (await isThere(cluster, uuid, tools.signal))
    ) {
      throw new MicrocephError("CANCELLED", `the replacement of osd.${osd} was called off`);
    } else {
      tools.report(10, `osd.${osd} goes once all other copies of its data are whole`);
    }
    await daemon.events.next(tools.signal, 1_000);
  }
}
