import type { FailureDomainReport, Zone, ZoneReply } from "../api/contract/failure-domain.ts";
import type { CallOptions, CephCommands } from "../ceph/command/commands.ts";
import { type CrushChange, estimateMoves, type MovedData } from "../ceph/control/crush-estimate.ts";
import { type CrushState, readCrush } from "../ceph/control/crush-facts.ts";
import { allowedBytes, crushSettings, type DomainWish, parseDomainWish } from "../ceph/plan/crush-wish.ts";
import { planFailureDomain } from "../ceph/plan/failure-domain.ts";
import { planTopology } from "../ceph/plan/topology.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { PeerId } from "../ids/ids.ts";
import { runProgram } from "../process/run-program.ts";
import { namedMembers } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import { freeMoveBytes } from "./cluster/seat-control.ts";
import { resolveNode } from "./resolve-node.ts";

/** How long a consent to move data holds, milliseconds. */
const consentMs = 86_400_000;
/** A consent is a little larger than the estimate: data is written while it is carried out. */
const consentMargin = 1.5;
const consentFloorBytes = 2 ** 30;

/** What a job of this kind was asked for; the API's own schemas have checked it. */
interface PlanRequest {
  readonly level?: DomainWish["level"];
}
interface SetRequest {
  readonly level: DomainWish["level"];
  readonly confirmDowngrade: boolean;
  readonly consent: boolean;
}
interface ZoneJobRequest {
  readonly node: string;
  readonly zone: string | null;
  readonly consent: boolean;
}

/** The job of `cluster failure-domain show` and `plan`: changes nothing. */
export async function planDomain(
  cluster: ClusterRuntime,
  { level }: PlanRequest,
  call: CallOptions,
): Promise<FailureDomainReport> {
  const kept = wishOf(cluster);
  const wish = level === undefined ? kept : { level, downgrade: true };
  return report(cluster, kept, await plan(cluster, wish, call));
}

/** The job of `cluster failure-domain set`: the wish goes into the document, the holder of the lease acts on it. */
export async function setDomain(
  cluster: ClusterRuntime,
  { level, confirmDowngrade, consent }: SetRequest,
  call: CallOptions,
): Promise<FailureDomainReport> {
  const wish: DomainWish = { level, downgrade: confirmDowngrade };
  const planned = await plan(cluster, wish, call);
  if (planned.current === null) {
    throw new MicrocephError(
      "RULE_NOT_OURS",
      `The default CRUSH rule ${planned.state?.defaultRule ?? "(Ceph's own)"} is not ours to change`,
    );
  }
  if (level !== "auto" && !confirmDowngrade && isNarrower(level, planned.current)) {
    throw new MicrocephError(
      "DOWNGRADE_UNCONFIRMED",
      `${level} is a narrower failure domain than ${planned.current}: copies would no longer be on different ${planned.current}s`,
    );
  }
  if (planned.moved !== null) agree(cluster, planned.moved, consent);
  cluster.document.setSetting(crushSettings.wish, JSON.stringify(wish));
  cluster.wake("failure domain");
  return report(cluster, wish, planned);
}

/** The job of `cluster zone set` and `unset`. */
export async function setZone(
  cluster: ClusterRuntime,
  { node, zone, consent }: ZoneJobRequest,
  call: CallOptions,
): Promise<ZoneReply> {
  const { id, name, handle } = resolveNode(node, namedMembers(cluster));
  const ceph = cluster.deps.cephNode.commands;
  const moved = ceph === null ? nothing : await zoneMoves(cluster, ceph, { handle, zone }, call);
  agree(cluster, moved, consent);
  cluster.document.setLabels(id, { zone });
  cluster.wake("zone");
  return { name, zone, moved };
}

/** Zones are known here; where hosts lie now only Ceph can say, and does not have to. */
export async function listZones(cluster: ClusterRuntime, signal: AbortSignal): Promise<Zone[]> {
  const ceph = cluster.deps.cephNode.commands;
  const tree = await ceph?.osdTree({ deadlineMs: 1000, signal }).catch(() => null);
  return namedMembers(cluster).map(({ id, name, handle }): Zone => {
    const bucket = tree?.buckets.find((each) => each.type === "host" && each.name === handle);
    return { name, handle, zone: zoneOf(cluster, id), bucket: bucket?.parent ?? null };
  });
}

/** Throws NOT_FOUND or AMBIGUOUS_NODE before a job is begun. */
export function checkNode(cluster: ClusterRuntime, node: string): void {
  resolveNode(node, namedMembers(cluster));
}

const nothing: MovedData = { copies: 0, bytes: 0, pools: [] };

interface Planned {
  readonly state: CrushState | null;
  readonly current: FailureDomainReport["current"];
  readonly next: { readonly from: string; readonly to: string; readonly reason: string } | null;
  readonly pools: readonly string[];
  readonly moved: MovedData | null;
  readonly reasons: readonly string[];
}

async function plan(cluster: ClusterRuntime, wish: DomainWish, call: CallOptions): Promise<Planned> {
  const ceph = cluster.deps.cephNode.commands;
  if (ceph === null) throw new MicrocephError("NOT_INITIALIZED", "Ceph is not bootstrapped yet");
  const state = await readCrush(ceph, call);
  if (typeof state === "string") {
    const reasons = [`${state} up: nothing can be planned yet`];
    return { state: null, current: null, next: null, pools: [], moved: null, reasons };
  }
  const { defaultRule, pools, osds, nearfullRatio } = state;
  const planned = planFailureDomain(
    { defaultRule, pools, osds, wish, stableMs: Number.POSITIVE_INFINITY },
    { settleMs: 0, nearfullRatio },
  );
  const moved =
    planned.next === null
      ? null
      : await estimate(cluster, ceph, { moves: [], domain: planned.next.to }, call);
  return {
    ...{ state, current: planned.current, next: planned.next, reasons: planned.reasons, moved },
    pools: planned.next?.pools ?? [],
  };
}

function report(cluster: ClusterRuntime, wish: DomainWish, planned: Planned): FailureDomainReport {
  const { current, state, next, moved, pools, reasons } = planned;
  return {
    current,
    defaultRule: state?.defaultRule ?? null,
    wish: wish.level,
    next:
      next === null || moved === null
        ? null
        : ({ ...next, pools, moved } as NonNullable<FailureDomainReport["next"]>),
    allowedBytes: allowed(cluster),
    reasons: [...reasons],
  };
}

/** What is to move when a host goes to a zone, with whatever else is due. */
async function zoneMoves(
  cluster: ClusterRuntime,
  ceph: CephCommands,
  { handle, zone }: { readonly handle: string; readonly zone: string | null },
  call: CallOptions,
): Promise<MovedData> {
  const tree = await ceph.osdTree(call);
  const zones = new Map(namedMembers(cluster).map((member) => [member.handle, zoneOf(cluster, member.id)]));
  zones.set(handle, zone);
  const { moves } = planTopology(
    { buckets: tree.buckets, zones, formerHosts: new Set(), stableMs: Number.POSITIVE_INFINITY },
    0,
  );
  return moves.length === 0 ? nothing : estimate(cluster, ceph, { moves, domain: null }, call);
}

function estimate(
  cluster: ClusterRuntime,
  ceph: CephCommands,
  change: CrushChange,
  call: CallOptions,
): Promise<MovedData> {
  return estimateMoves({ ceph, run: runProgram, folder: cluster.deps.cephNode.deps.paths.run }, change, call);
}

/** Throws CONSENT_NEEDED when more would move than may without being asked; a consent is kept for a day. */
function agree(cluster: ClusterRuntime, moved: MovedData, consent: boolean): void {
  if (moved.bytes <= allowed(cluster)) return;
  if (!consent) {
    throw new MicrocephError(
      "CONSENT_NEEDED",
      `About ${moved.bytes} bytes in ${moved.copies} copies of placement groups would move`,
      { data: { bytes: moved.bytes, copies: moved.copies } },
    );
  }
  const bytes = Math.ceil(moved.bytes * consentMargin) + consentFloorBytes;
  const until = new Date(cluster.deps.now() + consentMs).toISOString();
  cluster.document.setSetting(crushSettings.consent, JSON.stringify({ bytes, until }));
}

function allowed(cluster: ClusterRuntime): number {
  const consent = cluster.document.view().settings[crushSettings.consent];
  return allowedBytes(freeMoveBytes, consent, cluster.deps.now());
}

function wishOf(cluster: ClusterRuntime): DomainWish {
  return parseDomainWish(cluster.document.view().settings[crushSettings.wish]);
}

function isNarrower(level: string, than: string): boolean {
  const levels = ["osd", "host", "rack"];
  return levels.indexOf(level) < levels.indexOf(than);
}

function zoneOf(cluster: ClusterRuntime, peer: PeerId): string | null {
  return cluster.document.view().labels[peer]?.zone ?? null;
}
