import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import type { AvailableDisk } from "../api/contract/disks.ts";
import type { EventData } from "../api/contract/events.ts";
import { ApiServer } from "../api/server.ts";
import { CephAhead } from "../ceph/command/ceph-ahead.ts";
import { CephClient } from "../ceph/command/ceph-client.ts";
import { cephPaths, checkSocketPaths } from "../ceph/config/ceph-paths.ts";
import { CephNode } from "../ceph/control/ceph-node.ts";
import { sharedAddresses } from "../ceph/control/ingress.ts";
import { diskOwners } from "../ceph/daemons/osd-make.ts";
import { Exclusive } from "../ceph/disks/exclusive.ts";
import { ProcessRunner } from "../ceph/runner/process-runner.ts";
import { startDetached, startInSystemd } from "../ceph/runner/start-supervisor.ts";
import { Discovery } from "../discovery/discovery.ts";
import { isMicrocephError, MicrocephError, messageOf } from "../errors/microceph-error.ts";
import { removeTemporaries } from "../files/atomic-file.ts";
import type { Handle } from "../ids/ids.ts";
import { loadOrCreateIdentity, type NodeIdentity } from "../mesh/identity/node-identity.ts";
import { LobbyHost } from "../mesh/lobby/lobby-host.ts";
import type { Contact } from "../mesh/lobby/messages.ts";
import type { InterfaceFact } from "../mesh/membership/cidr.ts";
import { chooseHandle } from "../mesh/membership/handle-choice.ts";
import type { Founded } from "../mesh/membership/lifecycle.ts";
import { Membership } from "../mesh/membership/membership.ts";
import { assertPortFree } from "../process/free-port.ts";
import { runProgram } from "../process/run-program.ts";
import { rehearseDocument } from "../state/document/durable-document.ts";
import { restoredFolder } from "../state/etcd/snapshot.ts";
import { EventRing } from "../state/store/event-ring.ts";
import type { LocalStore } from "../state/store/local-store.ts";
import { openOrSetAside } from "../state/store/set-aside.ts";
import { productVersion } from "../version/version.ts";
import { changeConfig } from "./ceph-config.ts";
import { changeNetworks } from "./ceph-networks.ts";
import { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import { memberView } from "./cluster/lobby-answers.ts";
import { conditions } from "./conditions.ts";
import { followCounted, isCounted } from "./counted-services.ts";
import { adoptDisks } from "./disk-adoption.ts";
import { addDisksHere, controlOsdHere } from "./disk-jobs.ts";
import { removeDisk } from "./disk-removal.ts";
import { replaceDisk } from "./disk-replacement.ts";
import { EventLog } from "./events/event-log.ts";
import { HealthWatch } from "./events/health-watch.ts";
import { PeersInSight } from "./events/sight-events.ts";
import { planDomain, setDomain, setZone } from "./failure-domain.ts";
import { removeFileSystem } from "./file-systems.ts";
import { bootId, firstStart } from "./first-start.ts";
import { InstanceLock } from "./instance-lock.ts";
import { addressIn, reachableAddresses, recentInterfaceFacts } from "./interface-facts.ts";
import {
  addDisksJob,
  adoptDisksJob,
  bootstrapJob,
  changeConfigJob,
  demoteSiteJob,
  maintenanceJob,
  migrateJob,
  networksJob,
  osdJobs,
  planDomainJob,
  promoteSiteJob,
  rebuildJob,
  recoverJob,
  removeDiskJob,
  removeFileSystemJob,
  removeMemberJob,
  removePoolJob,
  removeS3UserJob,
  replaceDiskJob,
  restartServiceJob,
  serviceJob,
  setDomainJob,
  setReplicasJob,
  setZoneJob,
  tokenJoinJob,
  upgradeJob,
} from "./job-kinds.ts";
import { type BootstrapRequest, bootstrapAlone, domainJob } from "./job-runners.ts";
import { type JobRunner, Jobs } from "./jobs.ts";
import { restoreLogLevel } from "./log-level.ts";
import { maintain } from "./maintenance.ts";
import { removeMember } from "./member-removal.ts";
import { meshStatusOf } from "./mesh-status.ts";
import { cephMetrics } from "./metrics/ceph.ts";
import { LoopWatch } from "./metrics/loop-watch.ts";
import { meshMetrics } from "./metrics/mesh.ts";
import { processMetrics } from "./metrics/process.ts";
import { renderMetrics } from "./metrics/registry.ts";
import { stateMetrics } from "./metrics/state.ts";
import { rebuildMonitors } from "./monitor-recovery.ts";
import { NodeDisks } from "./node-disks.ts";
import { checkReset, finishReset, markReset } from "./node-reset.ts";
import { daemonOperations } from "./operations.ts";
import { followService } from "./placed-services.ts";
import { removePool, setReplicas } from "./pools.ts";
import { type ProgramVersions, programVersions } from "./program-versions.ts";
import { recoverCluster } from "./recovery.ts";
import { turnSite } from "./replication.ts";
import { removeS3User } from "./s3-users.ts";
import { migrateSeats } from "./seat-migration.ts";
import { restartService } from "./service-restart.ts";
import type { DaemonSettings } from "./settings.ts";
import { SnapRefresh } from "./snap-refresh.ts";
import { StaticPeers } from "./static-peers.ts";
import { joinByToken } from "./token-join.ts";
import { upgradeCluster } from "./upgrade.ts";

const handleKey = "handle";
/** Events that are kept for those who ask for them later; some hundred bytes each. */
const keptEvents = 10_000;
/** Milliseconds that a monitor waits at most for what the other members know, before it starts. */
const heardMs = 5_000;
/** Milliseconds after its start in which a fresh node looks for others before it uses the time until it has. */
const rehearseAfterMs = 1_000;
/** Milliseconds that a `ceph` waits to be needed: it takes fifteen megabytes of memory. */
const cephAheadMs = 60_000;

/**
 * The composition root: makes the parts, hands them what they need, and wires their events. The order of the
 * start is the order of need: what Ceph needs comes from the local disk before anything of the network.
 */
export class Daemon {
  readonly settings: DaemonSettings;
  readonly loop = new LoopWatch(() => this.#parts?.health.lookSoon());
  /** Null outside of a snap. */
  readonly refresh: SnapRefresh | null;
  readonly disks: NodeDisks;
  /** What touches a disk of this node does so one at a time for each disk. */
  readonly diskTurns = new Exclusive();
  readonly log: Logger;
  readonly #onReset: () => void;
  readonly #startedAt = Date.now();
  readonly #readInterfaces: () => InterfaceFact[];
  #lock: InstanceLock | undefined;
  #parts: Parts | undefined;
  #cluster: ClusterRuntime | null = null;
  #versions: ProgramVersions = { ceph: "", etcd: "" };
  #changing: Promise<void> = Promise.resolve();
  #stopped = false;
  readonly #cephAhead = new CephAhead();
  #stopping: Promise<void> | null = null;

  /** `onReset`: this daemon is to be stopped, and another one started in its place. */
  constructor(settings: DaemonSettings, deps: { readonly log: Logger; readonly onReset?: () => void }) {
    this.settings = settings;
    this.#readInterfaces = recentInterfaceFacts(settings.interfaces, () => this.steadyNow());
    this.log = deps.log;
    this.#onReset = deps.onReset ?? (() => undefined);
    const onChange = (): void => this.#parts?.health.lookSoon();
    this.refresh =
      settings.snap === undefined ? null : new SnapRefresh({ run: runProgram, log: deps.log, onChange });
    this.disks = new NodeDisks({
      owners: () => diskOwners({ paths: cephPaths(settings.stateDir) }),
      onChange: () => this.#cluster?.upkeep.publishFacts(),
      log: deps.log,
    });
  }

  /** Figures in Prometheus' text format. */
  metrics(): string {
    const { lobby, events } = this.#require();
    const cluster = (): ClusterRuntime | null => this.#cluster;
    return renderMetrics([
      ...processMetrics({ loop: this.loop, events, version: productVersion, startedAt: this.#startedAt }),
      ...meshMetrics({ lobby, cluster }),
      ...stateMetrics(cluster, () => this.now()),
      ...cephMetrics(cluster),
    ]);
  }

  now(): number {
    return Date.now();
  }

  /** Milliseconds on a clock that nobody sets; as large as the time of day when the daemon started. */
  steadyNow(): number {
    return performance.timeOrigin + performance.now();
  }

  get cluster(): ClusterRuntime | null {
    return this.#cluster;
  }

  get versions(): ProgramVersions {
    return this.#versions;
  }

  get identity(): NodeIdentity {
    return this.#require().identity;
  }

  get membership(): Membership {
    return this.#require().membership;
  }

  get staticPeers(): StaticPeers {
    return this.#require().staticPeers;
  }

  get store(): LocalStore {
    return this.#require().store;
  }

  get events(): EventLog {
    return this.#require().events;
  }

  get jobs(): Jobs {
    return this.#require().jobs;
  }

  async start(): Promise<void> {
    const { settings } = this;
    const log = this.log;
    this.#lock = InstanceLock.take(settings.stateDir);
    // From here on this process alone writes below it.
    const left = await removeTemporaries(settings.stateDir).catch(() => 0);
    if (left > 0) log.info({ files: left }, "removed what a run that was killed had left");
    if (await finishReset(settings.stateDir)) log.info("this node was reset: it is a fresh one now");
    const { store, setAside } = openOrSetAside(join(settings.stateDir, "state.db"));
    restoreLogLevel({ log, store });
    if (setAside) log.error(setAside, "the state was damaged and set aside");
    const identity = await loadOrCreateIdentity(settings.stateDir);
    const events = new EventLog({
      ring: new EventRing({ limit: keptEvents }, { store }),
      self: identity.peerId,
      now: () => this.now(),
      log,
    });
    const sights = new PeersInSight(events);
    const health = new HealthWatch({ events, read: () => this.#health() });
    const start = settings.runner === "systemd" ? startInSystemd() : startDetached;
    const runner = new ProcessRunner({ folder: join(settings.stateDir, "supervisors"), start }, { log });
    await runner.open();

    const lobby = new LobbyHost(
      { identity, listen: ["0.0.0.0", "::"], port: settings.lobbyPort },
      { handler: (from, request) => membership.handleLobby(from, request), log },
    );
    const discovery = new Discovery(
      settings.interfaces === undefined ? {} : { interfaces: settings.interfaces },
      { log },
    );
    const staticPeers = new StaticPeers(settings.peers, store);
    const membership = new Membership(
      {
        name: settings.name,
        version: productVersion,
        bootedAt: firstStart(store, bootId(), this.now()),
        settings: {
          expect: settings.expect,
          windowShut: settings.windowShut,
          clusterName: settings.clusterName,
        },
      },
      {
        identity,
        lobby,
        lobbyPort: () => lobby.port,
        staticPeers: () => staticPeers.list(),
        discovery,
        store,
        log,
        interfaces: () => this.#interfaces(),
        disks: () => ({
          count: this.disks.available.length,
          bytes: this.disks.available.reduce((sum, disk) => sum + disk.sizeBytes, 0),
        }),
        memberView: () => (this.#cluster === null ? null : memberView(this.#cluster)),
        hooks: {
          onFounded: (founded) => this.#change(() => this.#founded(founded)),
          onMember: (certificate, contacts) => this.#change(() => this.#member(certificate.handle, contacts)),
          onReleased: (reason) => {
            events.emit("claim.released", { reason });
          },
          onRemoved: () => this.#change(() => this.#removed()),
          onFellow: (fellow) => this.#cluster?.introduce(fellow),
          onAnnouncement: () => this.#announce(),
          onNeighbours: () => this.#neighboursChanged(),
        },
      },
    );
    const jobs = new Jobs({
      store,
      runners: {
        [bootstrapJob]: (request, tools) => bootstrapAlone(this, request as BootstrapRequest, tools),
        [addDisksJob]: (request, tools) => addDisksHere(this, request, tools),
        [planDomainJob]: domainJob(this, planDomain),
        [setDomainJob]: domainJob(this, setDomain),
        [setZoneJob]: domainJob(this, setZone),
        [adoptDisksJob]: (request, tools) => adoptDisks(this, request, tools),
        [removeDiskJob]: (request, tools) => removeDisk(this, request, tools),
        [replaceDiskJob]: (request, tools) => replaceDisk(this, request, tools),
        [tokenJoinJob]: (request, tools) => joinByToken(this, request, tools),
        [networksJob]: (request, tools) => changeNetworks(this, request, tools),
        [migrateJob]: (request, tools) => migrateSeats(this, request, tools),
        [upgradeJob]: (request, tools) => upgradeCluster(this, request, tools),
        [restartServiceJob]: (request, tools) => restartService(this, request, tools),
        [changeConfigJob]: (request, tools) => changeConfig(this, request, tools),
        [removeFileSystemJob]: (request, tools) => removeFileSystem(this, request, tools),
        [promoteSiteJob]: (request, tools) => turnSite(this, "promote", request, tools),
        [demoteSiteJob]: (request, tools) => turnSite(this, "demote", request, tools),
        [removeS3UserJob]: (request, tools) => removeS3User(this, request, tools),
        [removePoolJob]: (request, tools) => removePool(this, request, tools),
        [setReplicasJob]: (request, tools) => setReplicas(this, request, tools),
        [maintenanceJob]: (request, tools) => maintain(this, request, tools),
        [rebuildJob]: (request, tools) => rebuildMonitors(this, request, tools),
        [recoverJob]: (request, tools) => recoverCluster(this, request, tools),
        [serviceJob]: (request, tools) =>
          isCounted(request) ? followCounted(this, request, tools) : followService(this, request, tools),
        [removeMemberJob]: (request, tools) => removeMember(this, request, tools),
        ...Object.fromEntries(
          Object.entries(osdJobs).map(([action, kind]): [string, JobRunner] => [
            kind,
            (request, tools) => controlOsdHere(this, action as keyof typeof osdJobs, request, tools),
          ]),
        ),
      },
      now: () => this.now(),
      log,
      onChange: (job) => {
        const { id, kind, state, step, progress } = job;
        const data = { id, kind, state, step: step.slice(0, 4096), progress };
        if (this.#cluster) this.#cluster.relay.tell("job.changed", data);
        else events.emit("job.changed", data);
      },
    });
    const api = new ApiServer(
      { socketPath: join(settings.stateDir, "control.socket"), version: productVersion },
      { operations: daemonOperations(this), log },
    );
    this.#parts = {
      ...{ store, identity, events, sights, health, runner, lobby, discovery, membership, jobs, api },
      staticPeers,
      cephNode: null,
    };
    events.emit("daemon.started", { version: productVersion });

    const { lifecycle } = membership;
    if (lifecycle.state === "member") {
      // Ceph first, from local disk alone: neither mesh nor etcd is needed for it.
      const node = this.#cephNode(lifecycle.certificate.handle);
      node
        .startAll(() => this.#mayMonitorJoin())
        .catch((error) => log.error({ error: messageOf(error) }, "Ceph was not started"));
    }
    // An earlier run may have ended in the middle of it.
    this.#retire().catch((error) => log.error({ error: messageOf(error) }, "not all of the cluster is gone"));
    await assertPortFree(settings.meshPort);
    await lobby.start();
    await api.start();
    await discovery.start();
    membership.start();
    this.#announce();
    this.#versions = await programVersions();
    await this.disks.start();
    jobs.resume();
    health.start();
    this.loop.start();
    this.refresh?.start();
    log.info({ peer: identity.peerId, version: productVersion }, "microcephd is up");
    setTimeout(() => this.#rehearse(), rehearseAfterMs).unref();
  }

  /** A fresh node waits for others first: it uses that time for what it will need at once when they have agreed. */
  #rehearse(): void {
    if (this.#stopped || this.membership.lifecycle.state !== "fresh") return;
    if (this.#versions.ceph !== "") {
      CephClient.startAhead(this.#cephAhead, { paths: cephPaths(this.settings.stateDir) }, cephAheadMs);
    }
    rehearseDocument();
  }

  /**
   * Whether the monitor may start, once the other members have told what they know, or after some seconds: a cluster
   * may have gone on without it by a recovery, and two such monitors would be a majority for each other.
   */
  async #mayMonitorJoin(): Promise<boolean> {
    const end = this.steadyNow() + heardMs;
    const { signal } = new AbortController();
    while (!this.#stopped && this.#cluster?.hasHeardAll !== true && this.steadyNow() < end) {
      await this.events.next(signal, 200);
    }
    return !this.#stopped && (this.#cluster?.hasMonitorSeat ?? true);
  }

  /** Stops everything; asked again, by a second signal, it is the same stop. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#stopped = true;
    const parts = this.#parts;
    if (parts) {
      this.loop.stop();
      this.#cephAhead.stop();
      await this.refresh?.stop();
      parts.health.stop();
      await parts.discovery.stop();
      await parts.membership.stop();
      await parts.api.stop();
      await parts.jobs.stop();
      await this.disks.stop();
      await this.#changing.catch(() => undefined);
      await this.#cluster?.stop();
      await parts.lobby.stop();
      await parts.cephNode?.stop();
      await parts.runner.close();
      parts.events.close();
      parts.store.close();
    }
    this.#lock?.release();
  }

  /** Resolves when the transitions that have begun are made. */
  async settled(): Promise<void> {
    await this.#changing;
  }

  async availableDisks(): Promise<readonly AvailableDisk[]> {
    await Promise.all([this.disks.look(), this.#lookForPrograms()]);
    return this.disks.available;
  }

  #require(): Parts {
    if (!this.#parts) throw new MicrocephError("CANCELLED", "the daemon is not started");
    return this.#parts;
  }

  /** The interfaces with this node's own addresses: one that it shares with others as their ingress is none. */
  #interfaces(): InterfaceFact[] {
    const facts = this.#readInterfaces();
    if (!this.#parts) return facts;
    const shared = sharedAddresses(this.#parts.store);
    return shared.size === 0 ? facts : facts.filter(({ address }) => !shared.has(address));
  }

  #cephNode(handle: Handle): CephNode {
    const parts = this.#require();
    if (parts.cephNode) return parts.cephNode;
    const paths = cephPaths(this.settings.stateDir);
    checkSocketPaths(paths, handle);
    parts.cephNode = new CephNode(handle, {
      paths,
      runner: parts.runner,
      log: this.log,
      run: runProgram,
      keys: () => parts.cephNode?.commands ?? null,
      memory: parts.store,
      commands: () => new CephClient({ paths }, { log: this.log, run: runProgram, ahead: this.#cephAhead }),
      addressIn: (networks) => addressIn(reachableAddresses(this.#interfaces()), networks),
      interfaceIn: (network) =>
        this.#interfaces().find(({ address }) => addressIn([address], network) !== null)?.name ?? null,
      hasAddress: (address) => reachableAddresses(this.#interfaces()).includes(address),
      extraConfig: this.settings.extraCephConfig,
    });
    return parts.cephNode;
  }

  /** Transitions are made one after the other. */
  #change(make: () => Promise<void>): Promise<void> {
    this.#changing = this.#changing.then(async () => {
      if (this.#stopped) return;
      await make();
    });
    this.#changing.catch((error) => {
      const coded = isMicrocephError(error)
        ? { code: error.code, remedy: error.remedy }
        : { stack: error instanceof Error ? error.stack : undefined };
      this.log.fatal({ error: messageOf(error), ...coded }, "the cluster's parts did not start");
      // A restart begins again from what is on disk.
      process.exit(isMicrocephError(error) ? error.exitCode : 1);
    });
    return this.#changing;
  }

  /** The handle that this node founds a cluster with, instead of one after its name. */
  keepHandle(handle: Handle): void {
    this.#require().store.put(handleKey, handle);
  }

  async #founded(founded: Founded): Promise<void> {
    const { store } = this.#require();
    const kept = store.get(handleKey);
    const handle = typeof kept === "string" ? (kept as Handle) : chooseHandle(this.settings.name, new Set());
    store.put(handleKey, handle);
    await this.#run(handle, founded, []);
  }

  async #member(handle: Handle, contacts: readonly Contact[]): Promise<void> {
    await this.#run(handle, null, contacts);
    this.#announce();
  }

  async #run(handle: Handle, founded: Founded | null, contacts: readonly Contact[]): Promise<void> {
    if (this.#cluster !== null) return;
    const { store, identity, membership, api } = this.#require();
    const cluster = membership.status().cluster;
    if (cluster === null) throw new Error("a member without a cluster");
    this.#versions = await programVersions();
    this.#cluster = new ClusterRuntime(
      { identity, settings: this.settings, cluster, handle, founded, contacts },
      {
        store,
        membership,
        cephNode: this.#cephNode(handle),
        events: this.events,
        sights: this.#require().sights,
        versions: this.#versions,
        interfaces: () => this.#interfaces(),
        disks: () => this.disks.all.map((disk) => ({ ...disk, reasons: [...disk.reasons] })),
        onDisks: () => this.disks.look(),
        inject: async (request) => ({ ...(await api.inject(request)) }),
        now: () => this.now(),
        steadyNow: () => this.steadyNow(),
        log: this.log,
      },
    );
    await this.#cluster.start();
  }

  /** Make a node of no use to any cluster a fresh one, with another key. Throws RESET_REFUSED. */
  async reset(options: { readonly keepDisks: boolean }): Promise<void> {
    await checkReset(this, options);
    await this.#change(async () => {
      const cluster = this.#cluster;
      const { lifecycle } = this.membership;
      const handle = lifecycle.state === "removed" ? lifecycle.tombstone.handle : cluster?.handle;
      this.#cluster = null;
      await cluster?.stop();
      if (handle !== undefined) await this.#cephNode(handle).retire();
      await markReset(this.settings.stateDir, this.now());
    });
    // The answer to who asked for it goes out first.
    setImmediate(this.#onReset);
  }

  async #removed(): Promise<void> {
    const cluster = this.#cluster;
    this.#cluster = null;
    await cluster?.stop();
    this.#announce();
    this.log.error(
      "this node was removed from its cluster: its Ceph daemons end, its disks stay as they are",
    );
    await this.#retire();
  }

  /** What a removed node has of its cluster: daemons, keys, the voter's data with the cluster's own key. */
  async #retire(): Promise<void> {
    const { lifecycle } = this.membership;
    if (lifecycle.state !== "removed") return;
    await this.#cephNode(lifecycle.tombstone.handle).retire();
    const etcd = join(this.settings.stateDir, "etcd");
    for (const folder of [etcd, restoredFolder(etcd)]) await rm(folder, { recursive: true, force: true });
  }

  #announce(): void {
    const { discovery, lobby, membership, identity } = this.#require();
    discovery.announce({
      instance: `${this.settings.name} ${identity.peerId.slice(-6)}`,
      host: this.settings.name,
      port: lobby.port,
      txt: membership.announcement(),
    });
    this.#neighboursChanged();
  }

  #health(): EventData<"health.changed"> {
    const ceph = this.#cluster?.cephView.health ?? null;
    return {
      ceph: ceph?.status ?? null,
      checks: ceph?.checks.map(({ code }) => code) ?? [],
      conditions: conditions(this, meshStatusOf(this)).map(({ code }) => code),
    };
  }

  #neighboursChanged(): void {
    const { membership, sights } = this.#require();
    if (this.#cluster) this.#cluster.lobby.changed();
    else sights.update(membership.neighbours());
  }

  /** Installed since the start, they are found at the next look. */
  async #lookForPrograms(): Promise<void> {
    if (this.#versions.ceph === "") this.#versions = await programVersions();
  }
}

interface Parts {
  readonly store: LocalStore;
  readonly health: HealthWatch;
  readonly events: EventLog;
  readonly sights: PeersInSight;
  readonly identity: NodeIdentity;
  readonly runner: ProcessRunner;
  readonly lobby: LobbyHost;
  readonly discovery: Discovery;
  readonly membership: Membership;
  readonly staticPeers: StaticPeers;
  readonly jobs: Jobs;
  readonly api: ApiServer;
  cephNode: CephNode | null;
}
