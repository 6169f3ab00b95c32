import type { CallOptions } from "../ceph/command/commands.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import { checkNetworks, ownNetworks } from "../mesh/membership/public-network.ts";
import { assertPortFree } from "../process/free-port.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import { foundingWishKey } from "./cluster/genesis.ts";
import type { Daemon } from "./daemon.ts";
import { addressIn, interfaceFacts, reachableAddresses } from "./interface-facts.ts";
import type { JobRunner, JobTools } from "./jobs.ts";

export interface BootstrapRequest {
  readonly name?: string | undefined;
  readonly microcephIp?: string | undefined;
  readonly monIp?: string | undefined;
  readonly publicNetwork?: string | undefined;
  readonly clusterNetwork?: string | undefined;
  readonly availabilityZone?: string | undefined;
  readonly v2Only?: boolean | undefined;
}

/** Refuse at once what a bootstrap could not do. */
export function checkBootstrap(daemon: Daemon, request: BootstrapRequest): void {
  const { state } = daemon.membership.lifecycle;
  if (state !== "fresh") {
    const text = state === "claimed" || state === "founding" ? "is claimed already" : "Database is online";
    throw new MicrocephError("ALREADY_INITIALIZED", `Unable to initialize cluster: ${text}`);
  }
  if (daemon.versions.ceph === "" || daemon.versions.etcd === "") {
    throw new MicrocephError("MISSING_PROGRAM", "ceph-mon or etcd is not installed on this node");
  }
  const interfaces = interfaceFacts(daemon.settings.interfaces);
  const own = reachableAddresses(interfaces);
  for (const address of [request.microcephIp, request.monIp]) {
    if (address !== undefined && !own.includes(address)) {
      throw new MicrocephError("USAGE", `${address} is no address of this node (it has ${own.join(", ")})`);
    }
  }
  const networks = ownNetworks(interfaces);
  for (const list of [request.publicNetwork, request.clusterNetwork]) {
    if (list !== undefined) checkNetworks(list, networks);
  }
  const { monIp, publicNetwork } = request;
  if (monIp !== undefined && publicNetwork !== undefined && addressIn([monIp], publicNetwork) === null) {
    throw new MicrocephError("USAGE", `the monitor's address ${monIp} is not in ${publicNetwork}`);
  }
}

/** The own subnet that an address lies in. */
function networkOf(daemon: Daemon, address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  const networks = ownNetworks(interfaceFacts(daemon.settings.interfaces));
  return networks.find((network) => addressIn([address], network) !== null);
}

/** The job of `cluster bootstrap`: found a cluster of this node alone and wait for its Ceph. */
export async function bootstrapAlone(
  daemon: Daemon,
  request: BootstrapRequest,
  tools: JobTools,
): Promise<Json> {
  // Taken up again after a crash, the founding may have been begun: then its parts are starting already.
  await daemon.settled();
  if (daemon.cluster === null) {
    await assertPortFree(daemon.settings.meshPort);
    tools.report(5, "founding a cluster of this node alone");
    found(daemon, request);
    await daemon.settled();
  }
  const cluster = daemon.cluster as ClusterRuntime | null;
  if (cluster === null) throw new MicrocephError("INTERNAL", "the cluster did not start");
  const fsid = await cluster.whenCephAnswers((step) => tools.report(50, step), tools.signal);
  if (request.availabilityZone !== undefined) {
    cluster.document.setLabels(daemon.identity.peerId, { zone: request.availabilityZone });
  }
  return { cluster: cluster.options.cluster.id, fsid };
}

/** Found it, or leave nothing of the wish: another founding of this node must not take it for its own. */
function found(daemon: Daemon, request: BootstrapRequest): void {
  const { store, membership } = daemon;
  // Another bootstrap, or a claim, came first: that one's wish is not touched.
  if (membership.lifecycle.state !== "fresh") {
    throw new MicrocephError("ALREADY_INITIALIZED", "Unable to initialize cluster: is claimed already");
  }
  const publicNetwork = request.publicNetwork ?? networkOf(daemon, request.monIp ?? request.microcephIp);
  // On disk before the founding, which a crash may leave to the next run.
  store.put(foundingWishKey, {
    monIp: request.monIp ?? request.microcephIp ?? null,
    clusterNetwork: request.clusterNetwork ?? null,
    v2Only: request.v2Only ?? false,
  });
  try {
    membership.bootstrapAlone({
      ...(request.name === undefined ? {} : { clusterName: request.name }),
      ...(publicNetwork === undefined ? {} : { publicNetwork }),
    });
  } catch (error) {
    store.delete(foundingWishKey);
    throw error;
  }
}

/** A job of the failure domain or of zones, on this node. */
export function domainJob<Request>(
  daemon: Daemon,
  run: (cluster: ClusterRuntime, request: Request, call: CallOptions) => Promise<unknown>,
): JobRunner {
  return async (request, tools) => {
    // Taken up again after a crash, this node's parts may be starting still.
    await daemon.settled();
    const { cluster } = daemon;
    if (cluster === null) throw new MicrocephError("NOT_INITIALIZED", "Daemon not yet initialized");
    tools.report(10, "asking Ceph what would move");
    return (await run(cluster, request as Request, { deadlineMs: 30_000, signal: tools.signal })) as Json;
  };
}
