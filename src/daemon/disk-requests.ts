import { type DiskRequest, pathsOf } from "../api/contract/disk-request.ts";
import { parseDiskSpecs } from "../api/contract/disk-spec.ts";
import type { NodeInventory } from "../api/contract/disks.ts";
import { notInitialized } from "../api/not-initialized.ts";
import type { AddRequestDraft, AuxRequest } from "../ceph/control/add-request.ts";
import { parseMatch } from "../ceph/disks/match/parse.ts";
import { parseSize } from "../ceph/disks/match/size.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import { configuredDisks, inventories } from "./cluster/cluster-report.ts";
import type { Daemon } from "./daemon.ts";
import { osdJobs } from "./job-kinds.ts";
import type { JobRecord } from "./jobs.ts";

/** The request of a job of `disk add`. Throws USAGE for an expression or a size that cannot be read. */
export function addRequestOf(request: DiskRequest): Json {
  const paths = pathsOf(request);
  const specs = paths.length === 0 ? [] : parseDiskSpecs(paths);
  if (request.osd_match) parseMatch(request.osd_match);
  const draft: AddRequestDraft = {
    specs: specs.map((spec, n) =>
      spec.kind === "loop"
        ? { kind: "loop", spec: paths[n] ?? "", bytes: spec.sizeBytes, count: spec.count }
        : { kind: "device", spec: paths[n] ?? "", path: spec.path },
    ),
    allAvailable: request.all_available ?? false,
    osdMatch: request.osd_match || null,
    wipe: request.wipe ?? false,
    encrypt: request.encrypt ?? false,
    wal: auxOf(
      "wal",
      request.waldev,
      request.wal_match,
      request.wal_size,
      request.walwipe,
      request.walencrypt,
    ),
    db: auxOf("db", request.dbdev, request.db_match, request.db_size, request.dbwipe, request.dbencrypt),
    dryRun: request.dry_run ?? false,
  };
  return draft as unknown as Json;
}

function auxOf(
  kind: "wal" | "db",
  device: string | null | undefined,
  match: string | undefined,
  size: string | undefined,
  wipe = false,
  encrypt = false,
): AuxRequest | null {
  if (device) return { from: { kind: "device", path: device }, wipe, encrypt };
  if (!match) return null;
  parseMatch(match);
  const bytes = parseSize(size ?? "");
  if (bytes === undefined) throw new MicrocephError("USAGE", `invalid --${kind}-size: ${size}`);
  if (bytes <= 0) throw new MicrocephError("USAGE", `--${kind}-size must be greater than 0`);
  return { from: { kind: "match", expression: match, bytes: Math.ceil(bytes) }, wipe, encrypt };
}

/** The members' disks: this node's as they are now, the others' as each last said. */
export async function diskInventory(daemon: Daemon): Promise<NodeInventory[]> {
  const { cluster } = daemon;
  if (cluster === null) throw notInitialized();
  await daemon.disks.look();
  const own = cluster.document.view().labels[cluster.self]?.name ?? daemon.settings.name;
  const asOf = new Date(daemon.now()).toISOString();
  return [
    { location: own, asOf, disks: daemon.disks.all },
    ...inventories(cluster).filter(({ location }) => location !== own),
  ];
}

/** Begin to restart, stop or start one OSD of this node, or to change its key. Throws NOT_FOUND, naming the node that has it. */
export async function startOsdJob(
  daemon: Daemon,
  action: keyof typeof osdJobs,
  osd: number,
): Promise<JobRecord> {
  const { cluster } = daemon;
  if (cluster === null) throw notInitialized();
  const own = await cluster.deps.cephNode.osds();
  if (!own.some((one) => one.osd === osd)) {
    const location = configuredDisks(cluster).find((one) => one.osd === osd)?.location;
    throw new MicrocephError(
      "NOT_FOUND",
      location === undefined ? `there is no osd.${osd}` : `osd.${osd} is on ${location}, not on this node`,
      { data: { osd, location: location ?? null } },
    );
  }
  return daemon.jobs.start(osdJobs[action], { osd });
}
