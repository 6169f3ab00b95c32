import type { disableGatewayRequest, enableGatewayRequest, GatewayReport } from "../api/contract/gateways.ts";
import type { Shape } from "../api/contract/shape.ts";
import { daemonBody, kinds } from "../ceph/control/decisions.ts";
import { portTaken } from "../ceph/control/gateway.ts";
import { gatewayService, gatewayWish } from "../ceph/control/gateway-planner.ts";
import { placedDaemons } from "../ceph/control/placed-daemons.ts";
import type { GatewayWish } from "../ceph/plan/gateways.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import { hostPort } from "../ids/host-port.ts";
import type { PeerId } from "../ids/ids.ts";
import type { Json } from "../ids/json.ts";
import { namedMembers } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";
import { resolveNode } from "./resolve-node.ts";
import { runtimeOf } from "./runtime-of.ts";

const defaultPort = 80;
/** Milliseconds that a job waits; what is wanted stays so, and is followed later. */
const placingMs = 300_000;

/** Say what is wanted. Throws NOT_FOUND, AMBIGUOUS_NODE. @returns what the job waits for */
export function wantGateways(daemon: Daemon, asked: Shape<typeof enableGatewayRequest>): Json {
  const cluster = runtimeOf(daemon);
  const before = wishOf(cluster) ?? { port: defaultPort, targets: [], count: 0 };
  const named = asked.targets.map((node) => resolveNode(node, namedMembers(cluster)).id);
  // As in MicroCeph: without a word of where, here.
  const more = named.length === 0 && asked.count === undefined && before.count === 0 ? [cluster.self] : named;
  const wish: GatewayWish = {
    port: asked.port ?? before.port,
    targets: [...new Set([...before.targets, ...more])].sort(),
    count: asked.count ?? before.count,
  };
  return put(cluster, wish);
}

/** Throws NOT_FOUND for a member, or this one, that was not asked for by name. */
export function unwantGateways(daemon: Daemon, asked: Shape<typeof disableGatewayRequest>): Json {
  const cluster = runtimeOf(daemon);
  const before = wishOf(cluster);
  if (before === null) throw new MicrocephError("NOT_FOUND", "no S3 gateway is wanted");
  if (asked.all) return put(cluster, null);
  const named = asked.targets.map((node) => resolveNode(node, namedMembers(cluster)));
  const gone = named.length === 0 ? [{ id: cluster.self, name: daemon.settings.name }] : named;
  const stranger = gone.find(({ id }) => !before.targets.includes(id));
  if (stranger !== undefined) {
    const hint =
      before.count > 0
        ? `${before.count} are wanted wherever they fit: \`microceph disable rgw --all\`, or \`enable rgw --count\``
        : `it was asked for on ${namesOf(cluster, before.targets).join(", ")}`;
    throw new MicrocephError("NOT_FOUND", `no gateway was asked for on ${stranger.name}; ${hint}`);
  }
  const targets = before.targets.filter((peer) => gone.every(({ id }) => id !== peer));
  const isLeft = targets.length > 0 || before.count > 0;
  return put(cluster, isLeft ? { ...before, targets } : null);
}

function put(cluster: ClusterRuntime, wish: GatewayWish | null): Json {
  const body: Json = wish === null ? null : { ...wish, targets: [...wish.targets] };
  cluster.document.setService(gatewayService, body);
  cluster.wake("gateways");
  // What was refused before is no answer to this.
  return { after: cluster.journal.head()?.revision ?? 0 };
}

/** The wish without members that are none any more. */
function wishOf(cluster: ClusterRuntime): GatewayWish | null {
  const wish = gatewayWish(cluster.document.view().services);
  if (wish === null) return null;
  const members = cluster.journal.members();
  return { ...wish, targets: wish.targets.filter((peer) => members.has(peer)) };
}

function namesOf(cluster: ClusterRuntime, peers: readonly PeerId[]): string[] {
  return namedMembers(cluster)
    .filter(({ id }) => peers.includes(id))
    .map(({ name }) => name)
    .sort();
}

/** What is wanted, and where it is. */
export function gatewayReport(cluster: ClusterRuntime): GatewayReport {
  const wish = wishOf(cluster);
  const placed = placedDaemons(cluster.journal.entries()).filter(({ type }) => type === "rgw");
  const gateways = namedMembers(cluster).flatMap(({ id, name, handle }) => {
    const one = placed.find((daemon) => daemon.handle === handle);
    const isTarget = wish?.targets.includes(id) ?? false;
    if (one === undefined && !isTarget) return [];
    const address = cluster.publicAddress(id);
    const port = one?.port ?? wish?.port ?? defaultPort;
    const state = one === undefined ? "waiting" : one.open ? "being placed" : "placed";
    return [
      { node: name, url: address === null ? null : `http://${hostPort(address, port)}`, state } as const,
    ];
  });
  gateways.sort((a, b) => (a.node < b.node ? -1 : 1));
  return {
    wanted: wish && { port: wish.port, count: wish.count, targets: namesOf(cluster, wish.targets) },
    gateways,
  };
}

/** Whether all that is wanted is there, and nothing else; what is wanted of members that are away is for later. */
function isSettled(cluster: ClusterRuntime): boolean {
  const wish = wishOf(cluster);
  const placed = placedDaemons(cluster.journal.entries()).filter(({ type }) => type === "rgw");
  const members = namedMembers(cluster);
  const here = placed.filter((one) => members.some(({ handle }) => handle === one.handle));
  const isAlive = (peer: PeerId): boolean =>
    peer === cluster.self || cluster.presence.stateOf(peer) === "alive";
  if (wish === null) return here.length === 0;
  const targets = members.filter(({ id }) => wish.targets.includes(id));
  const serves = (handle: string | null): boolean =>
    here.some((one) => one.handle === handle && !one.open && one.port === wish.port);
  if (!targets.every(({ id, handle }) => serves(handle) || !isAlive(id))) return false;
  const alive = members.filter(({ id }) => isAlive(id)).length;
  const wanted = Math.max(wish.count, targets.length);
  const others = here.filter(({ handle }) => targets.every((target) => target.handle !== handle));
  const served = members.filter(({ handle }) => serves(handle)).length;
  return served >= Math.min(wanted, alive) && others.length <= Math.max(0, wanted - targets.length);
}

/** The job of `enable rgw` and `disable rgw`: waits until what is wanted is so. Throws PORT_IN_USE, DEADLINE_EXCEEDED. */
export async function followGateways(daemon: Daemon, asked: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const cluster = runtimeOf(daemon);
  const { after } = asked as { after: number };
  const end = performance.now() + placingMs;
  while (!isSettled(cluster)) {
    const refused = refusalSince(cluster, after);
    if (refused !== null) {
      throw new MicrocephError(
        "PORT_IN_USE",
        `${refused}; free it, or choose another: microceph enable rgw --port PORT`,
      );
    }
    if (performance.now() > end) {
      const open = gatewayReport(cluster).gateways.filter(({ state }) => state !== "placed");
      const names = open.map(({ node }) => node).join(", ") || "members that are away";
      throw new MicrocephError(
        "DEADLINE_EXCEEDED",
        `gateways still wait, on ${names}; it goes on: microceph mesh explain rgw`,
      );
    }
    tools.report(20, progressOf(cluster));
    await daemon.events.next(tools.signal, 500);
  }
  return gatewayReport(cluster) as unknown as Json;
}

/** Why a gateway could not be placed since that revision; null when none was refused. */
function refusalSince(cluster: ClusterRuntime, after: number): string | null {
  for (const { kind, state, openedNumber, body, reason } of cluster.journal.entries()) {
    if (kind !== kinds.daemon || state !== "abandoned" || openedNumber.revision <= after) continue;
    const asked = daemonBody.parse(body);
    if (asked.type === "rgw" && reason === portTaken(asked.handle, asked.port)) return reason;
  }
  return null;
}

function progressOf(cluster: ClusterRuntime): string {
  const { wanted, gateways } = gatewayReport(cluster);
  if (wanted === null) return "taking gateways off";
  const open = gateways.filter(({ state }) => state === "being placed").map(({ node }) => node);
  return open.length === 0 ? "deciding where gateways go" : `a gateway starts on ${open.join(", ")}`;
}
