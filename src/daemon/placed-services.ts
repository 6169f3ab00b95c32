import type {
  certificateRequest,
  disableServiceRequest,
  enableGatewayRequest,
  enableIngressRequest,
  enableMirrorRequest,
  PlacedReport,
} from "../api/contract/placed-services.ts";
import type { Shape } from "../api/contract/shape.ts";
import { keepCertificate, parseCertificate } from "../ceph/control/certificates.ts";
import { type CertificatePair, daemonBody, kinds } from "../ceph/control/decisions.ts";
import { exportsOf, refuseHiddenClients } from "../ceph/control/nfs-exports.ts";
import { type PlacedDaemon, placedDaemons, settingsOf } from "../ceph/control/placed-daemons.ts";
import { type PlacedService, type Wish, wishFor } from "../ceph/control/placed-wish.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import { hostPort } from "../ids/host-port.ts";
import type { PeerId } from "../ids/ids.ts";
import type { Json } from "../ids/json.ts";
import { assertNobodyAnswers } from "./address-use.ts";
import { isAlive, type NamedMember, namedMembers } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import type { Daemon } from "./daemon.ts";
import { addressIn } from "./interface-facts.ts";
import type { JobTools } from "./jobs.ts";
import { resolveNode } from "./resolve-node.ts";
import { commandsOf, runtimeOf } from "./runtime-of.ts";

const defaultPort = 80;
const defaultTlsPort = 443;
const defaultNfsPort = 2049;
const secretMs = 20_000;
/** How many stand ready for the common address when nothing else is said. */
const defaultIngress = 2;
/** Milliseconds that a job waits; what is wanted stays so, and is followed later. */
const placingMs = 300_000;

/**
 * Want S3 gateways. With a certificate they speak TLS, and, as in MicroCeph, only that unless a port is given. Throws
 * NOT_FOUND, AMBIGUOUS_NODE, USAGE. @returns what the job waits for
 */
export async function wantGateways(
  daemon: Daemon,
  asked: Shape<typeof enableGatewayRequest>,
  signal: AbortSignal,
): Promise<Json> {
  const cluster = runtimeOf(daemon);
  const before = wishOf(cluster, "rgw") ?? { port: defaultPort, targets: [], count: 0 };
  const targets = targetsOf(cluster, asked, before);
  const pair = givenPair(asked);
  const tlsPort = asked.ssl_port ?? before.tls?.port ?? defaultTlsPort;
  if (pair === null && before.tls === undefined && asked.ssl_port !== undefined) {
    throw new MicrocephError("USAGE", "a port for TLS needs a certificate");
  }
  const port = asked.port ?? (pair === null ? before.port : null);
  const ports = [port, pair === null && before.tls === undefined ? null : tlsPort];
  refuseSamePorts(ports, ingressPorts(wishOf(cluster, "ingress")));
  if (port === tlsPort && ports[1] !== null) {
    throw new MicrocephError("USAGE", `port ${port} cannot be with and without TLS`);
  }
  // Kept before it is wanted: whoever places a gateway reads it.
  const digest =
    pair === null
      ? before.tls?.certificate
      : await keepCertificate(commandsOf(cluster), parseCertificate(pair, daemon.now()), {
          deadlineMs: secretMs,
          signal,
        });
  return putWish(cluster, "rgw", {
    port,
    targets,
    count: asked.count ?? before.count,
    ...zoneOf(asked.zone, before.zone),
    ...(digest === undefined ? {} : { tls: { port: tlsPort, certificate: digest } }),
  });
}

/** A certificate and its key as they were given, unread; null where none was. Throws USAGE for one alone. */
export function givenPair({
  ssl_certificate: certificate,
  ssl_private_key: key,
}: Pick<Shape<typeof enableGatewayRequest>, "ssl_certificate" | "ssl_private_key">): CertificatePair | null {
  if ((certificate === undefined) !== (key === undefined)) {
    throw new MicrocephError("USAGE", "a certificate and its private key go together");
  }
  return certificate === undefined || key === undefined ? null : { certificate, key };
}

/** Have all gateways show another certificate. Throws NOT_FOUND where none is wanted, USAGE. */
export async function setCertificate(
  daemon: Daemon,
  asked: Shape<typeof certificateRequest>,
  signal: AbortSignal,
): Promise<Json> {
  const before = wishOf(runtimeOf(daemon), "rgw");
  if (before === null) throw new MicrocephError("NOT_FOUND", "no rgw is wanted");
  const { ssl_certificate, ssl_private_key } = asked;
  const port = before.port === null ? {} : { port: before.port };
  return wantGateways(
    daemon,
    { targets: [], count: before.count, ...port, ssl_certificate, ssl_private_key },
    signal,
  );
}

/**
 * Want one address before the gateways. Throws NOT_FOUND, USAGE, ADDRESS_IN_USE, NFS_CLIENTS_HIDDEN. @returns what the
 * job waits for
 */
export async function wantIngress(
  daemon: Daemon,
  asked: Shape<typeof enableIngressRequest>,
  signal: AbortSignal,
): Promise<Json> {
  const cluster = runtimeOf(daemon);
  const before = wishOf(cluster, "ingress");
  const [vip = "", bits = ""] = asked.vip.split("/");
  const prefix = Number(bits);
  const named = asked.targets.map((node) => resolveNode(node, namedMembers(cluster)).id);
  const targets = [...new Set([...(before?.targets ?? []), ...named])].sort();
  const port = asked.port ?? before?.port ?? defaultPort;
  const tlsPort = asked.ssl_port ?? before?.tlsPort ?? defaultTlsPort;
  const gateways = wishOf(cluster, "rgw");
  const { fronts, nfsPort } = frontsOf(asked, before);
  if (nfsPort !== undefined) refuseHiddenClients(exportsOf(cluster.document.view().services));
  const ports = ingressPorts({ port, tlsPort, nfsPort });
  const others = [gateways?.port, gateways?.tls?.port, wishOf(cluster, "nfs")?.port];
  refuseSamePorts(
    others.map((one) => one ?? null),
    ports,
  );
  if (nfsPort === port || nfsPort === tlsPort) {
    throw new MicrocephError("USAGE", `port ${nfsPort} cannot be for S3 and for NFS`);
  }
  if (port === tlsPort) throw new MicrocephError("USAGE", `port ${port} cannot be with and without TLS`);
  const members = namedMembers(cluster);
  const owner = members.find(({ id }) => cluster.addressesOf(id).includes(vip));
  if (owner !== undefined) {
    throw new MicrocephError("ADDRESS_IN_USE", `${vip} is an address of ${owner.name} itself`);
  }
  const near = members.filter(({ id }) => addressIn(cluster.addressesOf(id), asked.vip) !== null);
  if (near.length === 0)
    throw new MicrocephError("USAGE", `no member has an address in the network of ${asked.vip}`);
  // Who has it already by our own doing is no stranger.
  if (before?.vip !== vip) await assertNobodyAnswers(vip, signal);
  const count = asked.count ?? before?.count ?? (targets.length > 0 ? 0 : defaultIngress);
  const zone = zoneOf(asked.zone, before?.zone);
  const of = { ...(fronts === undefined ? {} : { fronts }), ...(nfsPort === undefined ? {} : { nfsPort }) };
  return putWish(cluster, "ingress", { vip, prefix, port, tlsPort, targets, count, ...zone, ...of });
}

/** Whose address it is to be, as the document has it. */
function frontsOf(
  asked: Pick<Shape<typeof enableIngressRequest>, "services" | "nfs_port">,
  before: Wish<"ingress"> | null,
): Pick<Wish<"ingress">, "fronts" | "nfsPort"> {
  const { services, nfs_port } = asked;
  const nfsPort = nfs_port ?? before?.nfsPort ?? defaultNfsPort;
  if (services === undefined) {
    const isOf = before?.nfsPort !== undefined;
    return { fronts: before?.fronts, nfsPort: isOf ? nfsPort : undefined };
  }
  return {
    fronts: (["rgw", "dashboard"] as const).filter((one) => services.includes(one)),
    nfsPort: services.includes("nfs") ? nfsPort : undefined,
  };
}

/** Want daemons that copy the images of other sites to here, or folders to there. Throws NOT_FOUND, AMBIGUOUS_NODE. */
export function wantMirrors(
  daemon: Daemon,
  service: "rbd-mirror" | "cephfs-mirror",
  asked: Shape<typeof enableMirrorRequest>,
): Json {
  const cluster = runtimeOf(daemon);
  const before = wishOf(cluster, service) ?? { targets: [], count: 0 };
  const count = asked.count ?? before.count;
  return putWish(cluster, service, {
    targets: targetsOf(cluster, asked, before),
    count,
    ...zoneOf(asked.zone, before.zone),
  });
}

/** Those named now and before; as in MicroCeph, without a word of where, here. */
export function targetsOf(
  cluster: ClusterRuntime,
  asked: { readonly targets: readonly string[]; readonly count?: number | undefined },
  before: { readonly targets: readonly PeerId[]; readonly count: number },
): PeerId[] {
  const named = asked.targets.map((node) => resolveNode(node, namedMembers(cluster)).id);
  const here = named.length === 0 && asked.count === undefined && before.count === 0 ? [cluster.self] : [];
  return [...new Set([...before.targets, ...named, ...here])].sort();
}

/** The zone in which those are that nobody names: as before when nothing is said, "*" for anywhere. */
export function zoneOf(asked: string | undefined, before: string | undefined): { zone?: string } {
  const zone = asked ?? before;
  return zone === undefined || zone === "*" ? {} : { zone };
}

export function ingressPorts(wish: Pick<Wish<"ingress">, "port" | "tlsPort" | "nfsPort"> | null): number[] {
  return wish === null ? [] : [wish.port, wish.tlsPort ?? defaultTlsPort, wish.nfsPort ?? []].flat();
}

/** Both may run on one host, and gateways listen on all of its addresses. */
export function refuseSamePorts(gateways: readonly (number | null)[], ingress: readonly number[]): void {
  const port = gateways.find((one) => one !== null && ingress.includes(one));
  if (port === undefined) return;
  throw new MicrocephError(
    "USAGE",
    `gateways and ingress cannot both listen on port ${port}: give one of them another (--port, --ssl-port; NFS: --bind-port, --nfs-port)`,
  );
}

/** Throws NOT_FOUND for a member, or this one, that was not asked for by name. */
export function unwant(
  daemon: Daemon,
  service: PlacedService,
  asked: Shape<typeof disableServiceRequest>,
): Json {
  const cluster = runtimeOf(daemon);
  const before = wishOf(cluster, service);
  if (before === null) throw new MicrocephError("NOT_FOUND", `no ${service} is wanted`);
  if (asked.all) return putWish(cluster, service, null);
  const named = asked.targets.map((node) => resolveNode(node, namedMembers(cluster)));
  const gone = named.length === 0 ? [{ id: cluster.self, name: daemon.settings.name }] : named;
  const stranger = gone.find(({ id }) => !before.targets.includes(id));
  if (stranger !== undefined) {
    const hint =
      before.count > 0
        ? `${before.count} are wanted wherever they fit: \`microceph disable ${service} --all\`, or \`enable ${service} --count\``
        : `it was asked for on ${namesOf(cluster, before.targets).join(", ")}`;
    throw new MicrocephError("NOT_FOUND", `no ${service} was asked for on ${stranger.name}; ${hint}`);
  }
  const targets = before.targets.filter((peer) => gone.every(({ id }) => id !== peer));
  const isLeft = targets.length > 0 || before.count > 0;
  return putWish(cluster, service, isLeft ? { ...before, targets } : null);
}

export function putWish<Service extends PlacedService>(
  cluster: ClusterRuntime,
  service: Service,
  wish: Wish<Service> | null,
): Json {
  cluster.document.setService(service, wish as Json);
  cluster.wake(service);
  // What was refused before is no answer to this.
  return { service, after: cluster.journal.head()?.revision ?? 0 };
}

/** The wish without members that are none any more. */
export function wishOf<Service extends PlacedService>(
  cluster: ClusterRuntime,
  service: Service,
): Wish<Service> | null {
  const wish = wishFor(service, cluster.document.view().services);
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

function placedOn(
  cluster: ClusterRuntime,
  service: PlacedService,
): [NamedMember, PlacedDaemon | undefined][] {
  const placed = placedDaemons(cluster.journal.entries()).filter(({ type }) => type === service);
  return namedMembers(cluster)
    .map((member): [NamedMember, PlacedDaemon | undefined] => [
      member,
      placed.find(({ handle }) => handle === member.handle),
    ])
    .sort(([a], [b]) => (a.name < b.name ? -1 : 1));
}

/** What is wanted of a service, and where it is. */
export function placedReport(cluster: ClusterRuntime, service: PlacedService): PlacedReport {
  const wish = wishOf(cluster, service);
  const vip = service === "ingress" ? wishOf(cluster, "ingress") : null;
  const nodes = placedOn(cluster, service).flatMap(([{ id, name }, one]) => {
    if (one === undefined && !wish?.targets.includes(id)) return [];
    const address = vip?.vip ?? cluster.publicAddress(id);
    const state = one === undefined ? "waiting" : one.open ? "being placed" : "placed";
    const isForNfs = vip?.nfsPort !== undefined && vip.fronts?.includes("rgw") === false;
    const url =
      address === null || service === "rbd-mirror" || service === "cephfs-mirror"
        ? null
        : wish !== null && "cluster" in wish
          ? `nfs://${hostPort(wish.bind ?? address, one?.port ?? wish.port)}`
          : isForNfs
            ? `nfs://${hostPort(address, vip?.nfsPort ?? defaultNfsPort)}`
            : urlAt(cluster, address, one ?? null, vip);
    return [{ node: name, url, state } as const];
  });
  return {
    wanted: wish && {
      ...{ port: "port" in wish ? wish.port : null, count: wish.count },
      targets: namesOf(cluster, wish.targets),
      tls_port: tlsPortOf(cluster, wish),
      nfs_port: vip?.nfsPort ?? null,
      vip: vip === null ? null : `${vip.vip}/${vip.prefix}`,
    },
    nodes,
  };
}

/** Where TLS is spoken; null: nowhere. An ingress passes on what its gateways speak. */
function tlsPortOf(cluster: ClusterRuntime, wish: Wish<PlacedService>): number | null {
  const gateways = wishOf(cluster, "rgw");
  if (!("port" in wish)) return null;
  if (!("vip" in wish)) return "tls" in wish ? (wish.tls?.port ?? null) : null;
  return gateways?.tls === undefined ? null : (wish.tlsPort ?? defaultTlsPort);
}

/** With TLS, if it is spoken there. */
function urlAt(
  cluster: ClusterRuntime,
  address: string,
  placed: PlacedDaemon | null,
  ingress: Wish<"ingress"> | null,
): string {
  const wish = ingress ?? wishOf(cluster, "rgw");
  const isGateway = ingress === null && placed !== null;
  const tlsPort = isGateway ? placed.tlsPort : wish === null ? null : tlsPortOf(cluster, wish);
  if (tlsPort !== null) return `https://${hostPort(address, tlsPort)}`;
  return `http://${hostPort(address, (isGateway ? placed.port : wish?.port) ?? defaultPort)}`;
}

/** Where S3 is reached: at the common address, if there is one, or at each gateway. */
export function endpoints(cluster: ClusterRuntime): string[] {
  const ready = (service: PlacedService): string[] =>
    placedReport(cluster, service).nodes.flatMap(({ url, state }) =>
      url?.startsWith("http") && state === "placed" ? [url] : [],
    );
  return [...new Set([...ready("ingress"), ...ready("rgw")])];
}

/** Whether all that is wanted is there, and nothing else; what is wanted of members that are away is for later. */
function isSettled(cluster: ClusterRuntime, service: PlacedService): boolean {
  const wish = wishOf(cluster, service);
  const hosts = placedOn(cluster, service);
  const placed = hosts.filter(([, one]) => one !== undefined);
  if (wish === null) return placed.length === 0;
  const isTarget = ({ id }: NamedMember): boolean => wish.targets.includes(id);
  const zones = cluster.document.view().labels;
  const serves = (one: PlacedDaemon | undefined): boolean =>
    one !== undefined && !one.open && one.settings === settingsOf(wish);
  if (hosts.some(([member, one]) => isTarget(member) && member.alive && !serves(one))) return false;
  const able = hosts.filter(
    ([member]) =>
      member.alive &&
      (isTarget(member) || wish.zone === undefined || zones[member.id]?.zone === wish.zone) &&
      (!("vip" in wish) || addressIn(cluster.addressesOf(member.id), `${wish.vip}/${wish.prefix}`) !== null),
  );
  const targets = hosts.filter(([member]) => isTarget(member)).length;
  const wanted = Math.max(wish.count, targets);
  const others = placed.filter(([member]) => !isTarget(member)).length;
  const serving = hosts.filter(([, one]) => serves(one)).length;
  return serving >= Math.min(wanted, able.length) && others <= Math.max(0, wanted - targets);
}

/**
 * The job of `enable` and `disable`: waits until what is wanted is so. Throws SERVICE_REFUSED when it cannot be placed
 * somewhere, DEADLINE_EXCEEDED.
 */
export async function followService(daemon: Daemon, asked: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const cluster = runtimeOf(daemon);
  const { service, after } = asked as { service: PlacedService; after: number };
  const end = performance.now() + placingMs;
  while (!isSettled(cluster, service)) {
    const refused = refusalSince(cluster, service, after);
    if (refused !== null) {
      throw new MicrocephError("SERVICE_REFUSED", `${service}: ${refused}`, { data: { service } });
    }
    if (performance.now() > end) {
      const open = placedReport(cluster, service).nodes.filter(({ state }) => state !== "placed");
      const names = open.map(({ node }) => node).join(", ") || "members that are away";
      throw new MicrocephError(
        "DEADLINE_EXCEEDED",
        `${service} still waits, on ${names}; it goes on: microceph mesh explain ${service}`,
      );
    }
    tools.report(20, progressOf(cluster, service));
    await daemon.events.next(tools.signal, 500);
  }
  return placedReport(cluster, service) as unknown as Json;
}

/** Why it could not be placed on a member that is there, since that revision; null when nothing was refused. */
function refusalSince(cluster: ClusterRuntime, service: PlacedService, after: number): string | null {
  for (const { kind, state, openedNumber, body, reason, agent } of cluster.journal.entries()) {
    if (kind !== kinds.daemon || state !== "abandoned" || openedNumber.revision <= after) continue;
    const isThere = agent !== null && isAlive(cluster, agent);
    if (daemonBody.parse(body).type === service && isThere) return reason;
  }
  return null;
}

function progressOf(cluster: ClusterRuntime, service: PlacedService): string {
  const { wanted, nodes } = placedReport(cluster, service);
  if (wanted === null) return "taking it off";
  if (service === "rgw" && cluster.cephView.health?.osds.up === 0) {
    return "there is no OSD yet, and a gateway needs one: microceph disk add";
  }
  const open = nodes.filter(({ state }) => state === "being placed").map(({ node }) => node);
  return open.length === 0 ? "deciding where it goes" : `it starts on ${open.join(", ")}`;
}
