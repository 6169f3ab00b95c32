import { join } from "node:path";
import type { Logger } from "pino";
import type { AvailableDisk } from "../api/contract/disks.ts";
import { ApiServer } from "../api/server.ts";
import { CephClient } from "../ceph/command/ceph-client.ts";
import { cephPaths, checkSocketPaths } from "../ceph/config/ceph-paths.ts";
import { CephNode } from "../ceph/control/ceph-node.ts";
import { diskOwners } from "../ceph/daemons/osd-make.ts";
import { Exclusive } from "../ceph/disks/exclusive.ts";
import { ProcessRunner } from "../ceph/runner/process-runner.ts";
import { Discovery } from "../discovery/discovery.ts";
import { MicrocephError, messageOf } from "../errors/microceph-error.ts";
import type { Handle } from "../ids/ids.ts";
import { loadOrCreateIdentity, type NodeIdentity } from "../mesh/identity/node-identity.ts";
import { LobbyHost } from "../mesh/lobby/lobby-host.ts";
import type { Contact } from "../mesh/lobby/messages.ts";
import { chooseHandle } from "../mesh/membership/handle-choice.ts";
import type { Founded } from "../mesh/membership/lifecycle.ts";
import { Membership } from "../mesh/membership/membership.ts";
import { runProgram } from "../process/run-program.ts";
import type { LocalStore } from "../state/store/local-store.ts";
import { openOrSetAside } from "../state/store/set-aside.ts";
import { productVersion } from "../version/version.ts";
import { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import { memberView } from "./cluster/lobby-answers.ts";
import { addDisksHere, controlOsdHere } from "./disk-jobs.ts";
import { EventLog } from "./event-log.ts";
import { bootId, firstStart } from "./first-start.ts";
import { assertPortFree } from "./free-port.ts";
import { InstanceLock } from "./instance-lock.ts";
import { addressIn, interfaceFacts, reachableAddresses } from "./interface-facts.ts";
import { addDisksJob, bootstrapJob, osdJobs } from "./job-kinds.ts";
import { type BootstrapRequest, bootstrapAlone } from "./job-runners.ts";
import { type JobRunner, Jobs } from "./jobs.ts";
import { NodeDisks } from "./node-disks.ts";
import { daemonOperations } from "./operations.ts";
import { type ProgramVersions, programVersions } from "./program-versions.ts";
import type { DaemonSettings } from "./settings.ts";

const handleKey = "handle";

/**
 * The composition root: makes the parts, hands them what they need, and wires their events. The order of the
 * start is the order of need: what Ceph needs comes from the local disk before anything of the network.
 */
export class Daemon {
  readonly settings: DaemonSettings;
  readonly events: EventLog;
  readonly disks: NodeDisks;
  /** What touches a disk of this node does so one at a time for each disk. */
  readonly diskTurns = new Exclusive();
  readonly #log: Logger;
  #lock: InstanceLock | undefined;
  #parts: Parts | undefined;
  #cluster: ClusterRuntime | null = null;
  #versions: ProgramVersions = { ceph: "", etcd: "" };
  #changing: Promise<void> = Promise.resolve();
  #stopped = false;
  #stopping: Promise<void> | null = null;

  constructor(settings: DaemonSettings, deps: { readonly log: Logger }) {
    this.settings = settings;
    this.#log = deps.log;
    this.events = new EventLog({}, { now: () => this.now() });
    this.disks = new NodeDisks({
      owners: () => diskOwners({ paths: cephPaths(settings.stateDir) }),
      onPlugged: ({ path, model, sizeBytes }) =>
        this.events.emit("disk.added", { node: this.settings.name, path, model, sizeBytes }),
      onPulled: ({ path, model, sizeBytes }) =>
        this.events.emit("disk.removed", { node: this.settings.name, path, model, sizeBytes }),
      onChange: () => this.#cluster?.upkeep.publishFacts(),
      log: deps.log,
    });
  }

  now(): number {
    return Date.now();
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

  get store(): LocalStore {
    return this.#require().store;
  }

  get jobs(): Jobs {
    return this.#require().jobs;
  }

  async start(): Promise<void> {
    const { settings } = this;
    const log = this.#log;
    this.#lock = InstanceLock.take(settings.stateDir);
    const { store, setAside } = openOrSetAside(join(settings.stateDir, "state.db"));
    if (setAside) log.error(setAside, "the state was damaged and set aside");
    const identity = await loadOrCreateIdentity(settings.stateDir);
    const runner = new ProcessRunner({ folder: join(settings.stateDir, "supervisors") }, { log });
    await runner.open();

    const lobby = new LobbyHost(
      { identity, listen: ["0.0.0.0", "::"], port: settings.lobbyPort },
      { handler: (from, request) => membership.handleLobby(from, request), log },
    );
    const discovery = new Discovery(
      settings.interfaces === undefined ? {} : { interfaces: settings.interfaces },
      { log },
    );
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
        discovery,
        store,
        log,
        interfaces: () => interfaceFacts(settings.interfaces),
        disks: () => ({
          count: this.disks.available.length,
          bytes: this.disks.available.reduce((sum, disk) => sum + disk.sizeBytes, 0),
        }),
        memberView: () => (this.#cluster === null ? null : memberView(this.#cluster)),
        hooks: {
          onFounded: (founded) => this.#change(() => this.#founded(founded)),
          onMember: (certificate, contacts) => this.#change(() => this.#member(certificate.handle, contacts)),
          onReleased: (reason) => {
            this.events.emit("claim.released", { reason });
          },
          onRemoved: () => this.#change(() => this.#removed()),
          onFellow: (fellow) => this.#cluster?.introduce(fellow),
          onAnnouncement: () => this.#announce(),
        },
      },
    );
    const jobs = new Jobs({
      store,
      runners: {
        [bootstrapJob]: (request, tools) => bootstrapAlone(this, request as BootstrapRequest, tools),
        [addDisksJob]: (request, tools) => addDisksHere(this, request, tools),
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
        this.events.emit("job.changed", { id: job.id, kind: job.kind, state: job.state, step: job.step });
      },
    });
    const api = new ApiServer(
      { socketPath: join(settings.stateDir, "control.socket"), version: productVersion },
      { operations: daemonOperations(this), log },
    );
    this.#parts = { store, identity, runner, lobby, discovery, membership, jobs, api, cephNode: null };

    const { lifecycle } = membership;
    if (lifecycle.state === "member") {
      // Ceph first, from local disk alone: neither mesh nor etcd is needed for it.
      const node = this.#cephNode(lifecycle.certificate.handle);
      node.startAll().catch((error) => log.error({ error: messageOf(error) }, "Ceph was not started"));
    }
    await assertPortFree(settings.meshPort);
    await lobby.start();
    await api.start();
    await discovery.start();
    membership.start();
    this.#announce();
    discovery.on("seen", (sighting) => {
      const { instance, addresses, txt } = sighting;
      this.events.emit("peer.seen", { instance, addresses, txt });
    });
    this.#versions = await programVersions();
    await this.disks.start();
    jobs.resume();
    log.info({ peer: identity.peerId, version: productVersion }, "microcephd is up");
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

  #cephNode(handle: Handle): CephNode {
    const parts = this.#require();
    if (parts.cephNode) return parts.cephNode;
    const paths = cephPaths(this.settings.stateDir);
    checkSocketPaths(paths, handle);
    parts.cephNode = new CephNode(handle, {
      paths,
      runner: parts.runner,
      log: this.#log,
      run: runProgram,
      memory: parts.store,
      commands: () => new CephClient({ paths }, { log: this.#log, run: runProgram }),
      addressIn: (networks) =>
        addressIn(reachableAddresses(interfaceFacts(this.settings.interfaces)), networks),
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
      this.#log.fatal({ error: messageOf(error) }, "the cluster's parts did not start");
      // A restart begins again from what is on disk.
      process.exit(1);
    });
    return this.#changing;
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
    this.events.emit("member.joined", { handle });
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
        versions: this.#versions,
        interfaces: () => interfaceFacts(this.settings.interfaces),
        disks: () => this.disks.all.map((disk) => ({ ...disk, reasons: [...disk.reasons] })),
        inject: async (request) => ({ ...(await api.inject(request)) }),
        now: () => this.now(),
        log: this.#log,
      },
    );
    await this.#cluster.start();
  }

  async #removed(): Promise<void> {
    const cluster = this.#cluster;
    this.#cluster = null;
    await cluster?.stop();
    this.#announce();
    this.#log.error("this node was removed from its cluster");
  }

  #announce(): void {
    const { discovery, lobby, membership, identity } = this.#require();
    discovery.announce({
      instance: `${this.settings.name} ${identity.peerId.slice(-6)}`,
      host: this.settings.name,
      port: lobby.port,
      txt: membership.announcement(),
    });
    this.#cluster?.lobby.changed();
  }

  /** Installed since the start, they are found at the next look. */
  async #lookForPrograms(): Promise<void> {
    if (this.#versions.ceph === "") this.#versions = await programVersions();
  }
}

interface Parts {
  readonly store: LocalStore;
  readonly identity: NodeIdentity;
  readonly runner: ProcessRunner;
  readonly lobby: LobbyHost;
  readonly discovery: Discovery;
  readonly membership: Membership;
  readonly jobs: Jobs;
  readonly api: ApiServer;
  cephNode: CephNode | null;
}
