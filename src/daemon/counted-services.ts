import type { countedRequest, PlacedReport } from "../api/contract/placed-services.ts";
import type { Shape } from "../api/contract/shape.ts";
import { countedWish } from "../ceph/control/counted-wish.ts";
import { type PlacedDaemon, placedDaemons } from "../ceph/control/placed-daemons.ts";
import type { CountedDaemon } from "../ceph/plan/service-daemons.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { PeerId } from "../ids/ids.ts";
import type { Json } from "../ids/json.ts";
import { type NamedMember, namedMembers } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import { daemonLimit } from "./cluster/seat-control.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";
import { resolveNode } from "./resolve-node.ts";
import { runtimeOf } from "./runtime-of.ts";

/** Milliseconds that a job waits; what is wanted stays so, and is followed later. */
const placingMs = 300_000;
const words = { mgr: "manager", mds: "metadata server" } as const;

/** What a job waits for. */
interface Asked {
  readonly service: CountedDaemon;
  readonly peers: readonly PeerId[];
  readonly isWanted: boolean;
}

/** Whether that is what the job of a counted daemon waits for. */
export function isCounted(asked: Json): boolean {
  const { service } = asked as { readonly service?: unknown };
  return service === "mgr" || service === "mds";
}

/** Want a manager or metadata server on those members; without a word of where, here. Throws NOT_FOUND, AMBIGUOUS_NODE. */
export function wantCounted(daemon: Daemon, type: CountedDaemon, asked: Shape<typeof countedRequest>): Json {
  const cluster = runtimeOf(daemon);
  const peers = named(cluster, asked.targets).map(({ id }) => id);
  const { targets, off } = wishOf(cluster, type);
  put(cluster, type, [...targets, ...peers], without(off, peers));
  return { service: type, peers, isWanted: true };
}

/** Want none there. Throws DAEMON_NEEDED when nobody else runs one, NOT_FOUND for a member that has none. */
export function unwantCounted(
  daemon: Daemon,
  type: CountedDaemon,
  asked: Shape<typeof countedRequest>,
): Json {
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
  const left = namedMembers(cluster).filter(
    ({ id, handle, alive }) => !gone.includes(id) && alive && running.get(handle)?.open === false,
  );
  if (left.length === 0) {
    const names = members.map(({ name }) => name).join(", ");
    throw new MicrocephError("DAEMON_NEEDED", `no ${words[type]} but that of ${names} would be left`, {
      data: { type },
    });
  }
  put(cluster, type, without(targets, peers), gone);
  return { service: type, peers, isWanted: false };
}

function named(cluster: ClusterRuntime, targets: readonly string[]): NamedMember[] {
  const members = namedMembers(cluster);
  if (targets.length === 0) return members.filter(({ id }) => id === cluster.self);
  return targets.map((node) => resolveNode(node, members));
}

const without = (peers: readonly PeerId[], gone: readonly PeerId[]): PeerId[] =>
  peers.filter((peer) => !gone.includes(peer));

function put(cluster: ClusterRuntime, type: CountedDaemon, targets: PeerId[], off: PeerId[]): void {
  const sorted = (peers: PeerId[]): PeerId[] => [...new Set(peers)].sort();
  const isNothing = targets.length === 0 && off.length === 0;
  cluster.document.setService(type, isNothing ? null : { targets: sorted(targets), off: sorted(off) });
  cluster.wake(type);
}

/** The wish without members that are none any more. */
function wishOf(
  cluster: ClusterRuntime,
  type: CountedDaemon,
): { readonly targets: PeerId[]; readonly off: PeerId[] } {
  const { targets, off } = countedWish(type, cluster.document.view().services);
  const members = cluster.journal.members();
  const present = (peers: readonly PeerId[]): PeerId[] => peers.filter((peer) => members.has(peer));
  return { targets: present(targets), off: present(off) };
}

function placedOn(cluster: ClusterRuntime, type: CountedDaemon): Map<string, PlacedDaemon> {
  const placed = placedDaemons(cluster.journal.entries()).filter((one) => one.type === type);
  return new Map(placed.map((one) => [one.handle, one]));
}

/** Where they are, and where they are wanted by name. */
export function countedReport(cluster: ClusterRuntime, type: CountedDaemon): PlacedReport {
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
  return { wanted: { port: null, tls_port: null, targets: names, count: daemonLimit, vip: null }, nodes };
}

/** The job of `enable` and `disable`: waits until it is so on members that are there. Throws DEADLINE_EXCEEDED. */
export async function followCounted(daemon: Daemon, request: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const cluster = runtimeOf(daemon);
  const { service, peers, isWanted } = request as unknown as Asked;
  const end = performance.now() + placingMs;
  const left = (): NamedMember[] => {
    const placed = placedOn(cluster, service);
    return namedMembers(cluster).filter(({ id, handle, alive }) => {
      if (!peers.includes(id) || !alive) return false;
      return isWanted ? placed.get(handle)?.open !== false : placed.has(handle);
    });
  };
  for (let open = left(); open.length > 0; open = left()) {
    const names = open.map(({ name }) => name).join(", ");
    if (performance.now() > end) {
      throw new MicrocephError("DEADLINE_EXCEEDED", `${service} still waits, on ${names}; it goes on`);
    }
    tools.report(20, isWanted ? `it starts on ${names}` : `taking it off ${names}`);
    await daemon.events.next(tools.signal, 500);
  }
  return countedReport(cluster, service) as unknown as Json;
}
