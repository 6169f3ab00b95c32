import type { countedRequest, PlacedReport } from "../api/contract/placed-services.ts";
import type { Shape } from "../api/contract/shape.ts";
import { decidedMonitors } from "../ceph/control/ceph-planner.ts";
import { countedWish } from "../ceph/control/counted-wish.ts";
import { kinds, monitorOutBody } from "../ceph/control/decisions.ts";
import { type PlacedDaemon, placedDaemons } from "../ceph/control/placed-daemons.ts";
import { seatTarget } from "../ceph/plan/seats.ts";
import type { CountedDaemon } from "../ceph/plan/service-daemons.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { PeerId } from "../ids/ids.ts";
import type { Json } from "../ids/json.ts";
import type { Entry } from "../state/journal/types.ts";
import { type NamedMember, namedMembers } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import { daemonLimit, leavingOf, seatWishOf } from "./cluster/seat-control.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";
import { resolveNode } from "./resolve-node.ts";
import { runtimeOf } from "./runtime-of.ts";

/** Milliseconds that a job waits; what is wanted stays so, and is followed later. */
const placingMs = 300_000;
const namedBody = monitorOutBody.pick({ handle: true });
const words = { mon: "monitor", mgr: "manager", mds: "metadata server" } as const;

/** What may be wanted, or not, on members by name, and is placed by number for the rest. */
export type NamedDaemon = CountedDaemon | "mon";

/** What a job waits for. */
interface Asked {
  readonly service: NamedDaemon;
  readonly peers: readonly PeerId[];
  readonly isWanted: boolean;
}

/** Whether that is what the job of a counted daemon waits for. */
export function isCounted(asked: Json): boolean {
  const { service } = asked as { readonly service?: unknown };
  return typeof service === "string" && service in words;
}

/**
 * Want one on those members; without a word of where, here. Throws NOT_FOUND, AMBIGUOUS_NODE, and TOO_MANY_MONITORS for
 * more monitors by name than there are to be.
 */
export function wantCounted(daemon: Daemon, type: NamedDaemon, asked: Shape<typeof countedRequest>): Json {
  const cluster = runtimeOf(daemon);
  const peers = named(cluster, asked.targets).map(({ id }) => id);
  const { targets, off } = wishOf(cluster, type);
  const wanted = new Set([...targets, ...peers]);
  const seats = type === "mon" ? seatsByName(cluster) : Number.POSITIVE_INFINITY;
  if (wanted.size > seats) {
    const names = namedMembers(cluster).flatMap(({ id, name }) => (wanted.has(id) ? [name] : []));
    throw new MicrocephError(
      "TOO_MANY_MONITORS",
      `monitors would be wanted on ${names.sort().join(", ")}; with so many members there are to be ${seats}`,
      { data: { seats } },
    );
  }
  put(cluster, type, [...wanted], without(off, peers));
  return { service: type, peers, isWanted: true };
}

/**
 * Want none there. Throws NOT_FOUND for a member that has none, DAEMON_NEEDED when nobody else runs one, or could have
 * the monitor.
 */
export function unwantCounted(daemon: Daemon, type: NamedDaemon, asked: Shape<typeof countedRequest>): Json {
  const cluster = runtimeOf(daemon);
  const members = named(cluster, asked.targets);
  const peers = members.map(({ id }) => id);
  const { targets, off } = wishOf(cluster, type);
  const running = placedOn(cluster, type);
  const stranger = members.find(({ id, handle }) => !targets.includes(id) && !running.has(handle));
  if (stranger !== undefined) {
    throw new MicrocephError("NOT_FOUND", `${stranger.name} has no ${words[type]}, and none is wanted there`);
  }
  const gone = [...off, ...peers];
  const names = members.map(({ name }) => name).join(", ");
  if (type === "mon") checkMonitorsWithout(cluster, gone, names);
  else {
    const left = namedMembers(cluster).filter(
      ({ id, handle, alive }) => !gone.includes(id) && alive && running.get(handle)?.open === false,
    );
    if (left.length === 0) {
      throw new MicrocephError("DAEMON_NEEDED", `no ${words[type]} but that of ${names} would be left`, {
        data: { type },
      });
    }
  }
  put(cluster, type, without(targets, peers), gone);
  return { service: type, peers, isWanted: false };
}

/** Throws DAEMON_NEEDED unless there are members enough to have all monitors that there are to be. */
function checkMonitorsWithout(cluster: ClusterRuntime, gone: readonly PeerId[], names: string): void {
  const { labels } = cluster.document.view();
  const staying = stayingMembers(cluster);
  const able = staying.filter(
    ({ id, alive }) => alive && !gone.includes(id) && seatWishOf(labels[id]?.seats) !== "away",
  );
  const seats = seatsByName(cluster);
  if (able.length >= seats) return;
  throw new MicrocephError(
    "DAEMON_NEEDED",
    `${seats} monitors are needed, and without ${names} only ${able.length} members are there that could have one`,
    { data: { type: "mon" } },
  );
}

/** How many monitors there are to be. Throws DAEMON_NEEDED for one: it is not moved for a wish that stays. */
function seatsByName(cluster: ClusterRuntime): number {
  const seats = seatTarget(stayingMembers(cluster).length);
  if (seats > 1) return seats;
  throw new MicrocephError(
    "DAEMON_NEEDED",
    "with one or two members there is one monitor, which is needed; it can be moved: microceph cluster migrate",
    { data: { type: "mon" } },
  );
}

function stayingMembers(cluster: ClusterRuntime): NamedMember[] {
  const { labels } = cluster.document.view();
  return namedMembers(cluster).filter(({ id }) => leavingOf(labels[id]?.leaving) === null);
}

function named(cluster: ClusterRuntime, targets: readonly string[]): NamedMember[] {
  const members = namedMembers(cluster);
  if (targets.length === 0) return members.filter(({ id }) => id === cluster.self);
  return targets.map((node) => resolveNode(node, members));
}

const without = (peers: readonly PeerId[], gone: readonly PeerId[]): PeerId[] =>
  peers.filter((peer) => !gone.includes(peer));

function put(cluster: ClusterRuntime, type: NamedDaemon, targets: PeerId[], off: PeerId[]): void {
  const sorted = (peers: PeerId[]): PeerId[] => [...new Set(peers)].sort();
  const isNothing = targets.length === 0 && off.length === 0;
  cluster.document.setService(type, isNothing ? null : { targets: sorted(targets), off: sorted(off) });
  cluster.wake(type);
}

/** The wish without members that are none any more. */
function wishOf(
  cluster: ClusterRuntime,
  type: NamedDaemon,
): { readonly targets: PeerId[]; readonly off: PeerId[] } {
  const { targets, off } = countedWish(type, cluster.document.view().services);
  const members = cluster.journal.members();
  const present = (peers: readonly PeerId[]): PeerId[] => peers.filter((peer) => members.has(peer));
  return { targets: present(targets), off: present(off) };
}

/** By handle. */
function placedOn(
  cluster: ClusterRuntime,
  type: NamedDaemon,
): ReadonlyMap<string, Pick<PlacedDaemon, "open">> {
  if (type === "mon") return monitorsOn(cluster.journal.entries());
  const placed = placedDaemons(cluster.journal.entries()).filter((one) => one.type === type);
  return new Map(placed.map((one) => [one.handle, one]));
}

function monitorsOn(entries: readonly Entry[]): ReadonlyMap<string, Pick<PlacedDaemon, "open">> {
  const monitors = new Map<string, { readonly open: boolean }>();
  for (const { kind, state, body } of entries) {
    const handle = kind === kinds.monitor && state === "open" ? namedBody.safeParse(body).data?.handle : null;
    if (handle != null) monitors.set(handle, { open: true });
  }
  for (const handle of decidedMonitors(entries)) monitors.set(handle, { open: false });
  return monitors;
}

/** Where they are, and where they are wanted by name. */
export function countedReport(cluster: ClusterRuntime, type: NamedDaemon): PlacedReport {
  const { targets } = wishOf(cluster, type);
  const placed = placedOn(cluster, type);
  const members = namedMembers(cluster).sort((a, b) => (a.name < b.name ? -1 : 1));
  const nodes = members.flatMap(({ id, name, handle }) => {
    const one = placed.get(handle);
    if (one === undefined && !targets.includes(id)) return [];
    const state = one === undefined ? "waiting" : one.open ? "being placed" : "placed";
    return [{ node: name, url: null, state } as const];
  });
  const names = members.filter(({ id }) => targets.includes(id)).map(({ name }) => name);
  const count = type === "mon" ? seatTarget(stayingMembers(cluster).length) : daemonLimit;
  return { wanted: { port: null, tls_port: null, nfs_port: null, targets: names, count, vip: null }, nodes };
}

/** The job of `enable` and `disable`: waits until it is so on members that are there. Throws DEADLINE_EXCEEDED. */
export async function followCounted(daemon: Daemon, request: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const cluster = runtimeOf(daemon);
  const { service, peers, isWanted } = request as unknown as Asked;
  const end = performance.now() + placingMs;
  /** A monitor that was named is there, and the one that gives way has not gone yet. */
  const isDoubled = (): boolean => {
    const seats = seatTarget(stayingMembers(cluster).length);
    return service === "mon" && Math.max(placedOn(cluster, service).size, cluster.voters().length) > seats;
  };
  const left = (): NamedMember[] => {
    const placed = placedOn(cluster, service);
    return namedMembers(cluster).filter(({ id, handle, alive }) => {
      if (!peers.includes(id) || !alive) return false;
      if (isWanted) return placed.get(handle)?.open !== false;
      // The vote goes after the monitor.
      return placed.has(handle) || (service === "mon" && cluster.voters().includes(id));
    });
  };
  for (let open = left(); open.length > 0 || isDoubled(); open = left()) {
    const names = open.map(({ name }) => name).join(", ");
    const doing =
      open.length === 0
        ? "another gives its monitor up"
        : isWanted
          ? `it starts on ${names}`
          : `taking it off ${names}`;
    if (performance.now() > end) {
      throw new MicrocephError("DEADLINE_EXCEEDED", `${service} still waits: ${doing}; it goes on`);
    }
    tools.report(20, doing);
    await daemon.events.next(tools.signal, 500);
  }
  return countedReport(cluster, service) as unknown as Json;
}
