import type { ClusterMember } from "../api/contract/cluster.ts";
import type { ConfiguredDisk } from "../api/contract/disks.ts";
import type { Job } from "../api/contract/jobs.ts";
import type { Admission, MeshStatus, NamedNodes, SelfStatus } from "../api/contract/mesh.ts";
import type { Readiness, Service } from "../api/contract/status.ts";
import { notInitialized } from "../api/not-initialized.ts";
import type { ForwardReply, ForwardRequest, Operations, RequestContext } from "../api/operations.ts";
import { nfsProgram } from "../ceph/daemons/nfs-program.ts";
import { encryptionSupport } from "../ceph/disks/luks.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import { hostPort } from "../ids/host-port.ts";
import type { PeerId } from "../ids/ids.ts";
import type { Json } from "../ids/json.ts";
import { fingerprintWords } from "../mesh/identity/fingerprint.ts";
import { runProgram } from "../process/run-program.ts";
import { productVersion } from "../version/version.ts";
import { makeBackup } from "./backup/backup.ts";
import { restoreBackup } from "./backup/restore.ts";
import { checkConfig, listConfig, showOption } from "./ceph-config.ts";
import { checkNetworksChange, showNetworks } from "./ceph-networks.ts";
import { listClientConfig, setClientConfig } from "./client-config.ts";
import { admissionOf, configuredDisks, memberFingerprint } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import { checkSetting } from "./cluster/losses.ts";
import { conditions } from "./conditions.ts";
import { countedReport, unwantCounted, wantCounted } from "./counted-services.ts";
import type { Daemon } from "./daemon.ts";
import { cancelDiskRemoval, type DiskRemovalRequest } from "./disk-removal.ts";
import type { DiskReplacementRequest } from "./disk-replacement.ts";
import { addRequestOf, diskInventory, startOsdJob } from "./disk-requests.ts";
import { explain } from "./explain.ts";
import { checkNode, listZones } from "./failure-domain.ts";
import {
  disableFileReplication,
  enableFileReplication,
  fileProgressHere,
  fileReplicationOf,
  listFileReplication,
} from "./file-replication.ts";
import { checkFileSystemRemoval, createFileSystem, listFileSystems } from "./file-systems.ts";
import {
  addDisksJob,
  adoptDisksJob,
  bootstrapJob,
  changeConfigJob,
  demoteSiteJob,
  maintenanceJob,
  migrateJob,
  networksJob,
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
import { checkBootstrap } from "./job-runners.ts";
import type { JobRecord } from "./jobs.ts";
import { issueToken, listTokens, revokeToken } from "./join-tokens.ts";
import { getLogLevel, setLogLevel } from "./log-level.ts";
import { checkMaintenance } from "./maintenance.ts";
import { cancelRemoval, planRemoval } from "./member-removal.ts";
import { meshStatusOf } from "./mesh-status.ts";
import { checkMonitorRebuild, planMonitorRebuild } from "./monitor-recovery.ts";
import { createExport, listExports, refuseExported, removeExport, unwantNfs, wantNfs } from "./nfs.ts";
import { candidate, inSight } from "./nodes-in-sight.ts";
import { disablePanel, enableDashboard, enablePrometheus, panelReport } from "./panels.ts";
import {
  placedReport,
  setCertificate,
  unwant,
  wantGateways,
  wantIngress,
  wantMirrors,
} from "./placed-services.ts";
import { checkPoolRemoval, checkReplicas, createPool, listPools, planReplicas } from "./pools.ts";
import { cephBuild, etcdVersion } from "./program-versions.ts";
import { checkRecovery, planRecovery } from "./recovery.ts";
import { exportCluster, importRemote, listRemotes } from "./remotes.ts";
import { renameMember } from "./rename-member.ts";
import {
  checkSite,
  configureReplication,
  disableReplication,
  enableReplication,
  listReplication,
  removeRemote,
  replicationOf,
  resyncReplication,
} from "./replication.ts";
import { type Nameable, resolveNode } from "./resolve-node.ts";
import { s3UsersOf } from "./s3-users.ts";
import { checkMigration } from "./seat-migration.ts";
import { checkRestart } from "./service-restart.ts";
import { parsePeer } from "./static-peers.ts";
import { checkTokenJoin } from "./token-join.ts";
import { checkUpgrade, planUpgrade } from "./upgrade.ts";

const dayMs = 86_400_000;
/** Milliseconds between two looks for those who wait until the node is ready; an event wakes them sooner. */
const readyLookMs = 100;

/** What the API does, by asking the daemon's parts; nothing here waits for another node but `forward`. */
export function daemonOperations(daemon: Daemon): Operations {
  const runtime = (): ClusterRuntime => {
    const { cluster } = daemon;
    if (cluster === null) throw notInitialized();
    return cluster;
  };

  const self = (): SelfStatus => mesh().self;

  const mesh = (): MeshStatus => meshStatusOf(daemon);

  function readiness(): Readiness {
    const { cluster, membership } = daemon;
    const ready = cluster?.cephView.answers ?? false;
    return {
      ready,
      storage: ready && (cluster?.cephView.storageReady ?? false),
      waitingFor: ready ? null : (membership.status().waitingFor ?? "Ceph's monitors do not answer yet"),
    };
  }

  function services(): Service[] {
    return mesh().members.flatMap((member) =>
      member.services.map((service) => ({ service, location: member.name, group_id: "", info: "" })),
    );
  }

  const disks = (): ConfiguredDisk[] => (daemon.cluster === null ? [] : configuredDisks(daemon.cluster));

  const admissionNow = (): Admission => admissionOf(runtime());

  function named(peers: readonly { id: string; name: string; fingerprint: string }[]): NamedNodes {
    return peers.map(({ id, name, fingerprint }) => ({ id, name, fingerprint }));
  }

  return {
    async server() {
      return {
        name: daemon.settings.name,
        version: productVersion,
        cephVersion: daemon.versions.ceph || null,
        api_version: "1.0",
        api_extensions: ["mesh", "jobs", "events", "journal"],
        state: daemon.membership.status().state,
      };
    },
    async ready({ timeout, storage }, { signal }) {
      const end = performance.now() + timeout * 1000;
      const first = readiness();
      for (;;) {
        const now = readiness();
        const isReady = now.ready && (now.storage || !storage);
        const left = end - performance.now();
        if (isReady || left <= 0 || now.waitingFor !== first.waitingFor) return now;
        await daemon.events.next(signal, Math.min(left, readyLookMs));
      }
    },
    async status() {
      return {
        ...mesh(),
        health: daemon.cluster?.cephView.health ?? null,
        disks: disks(),
        services: services(),
        conditions: conditions(daemon, mesh()),
      };
    },
    async health() {
      return { conditions: conditions(daemon, mesh()) };
    },
    async mesh() {
      return mesh();
    },

    async approve({ nodes, all }) {
      const cluster = runtime();
      const chosen = all
        ? inSight(cluster).filter(({ stage }) => stage !== "denied")
        : nodes.map((text) => candidate(cluster, text));
      for (const { id } of chosen) cluster.document.approve(id);
      cluster.wake("approval");
      return named(chosen);
    },
    async staticPeers() {
      return daemon.staticPeers.list();
    },
    async addStaticPeer({ address }) {
      daemon.staticPeers.add(parsePeer(address, daemon.settings.lobbyPort));
      daemon.membership.refreshStaticPeers();
      return daemon.staticPeers.list();
    },
    async removeStaticPeer({ address }) {
      const peer = parsePeer(address, daemon.settings.lobbyPort);
      if (!daemon.staticPeers.remove(peer)) {
        throw new MicrocephError("NOT_FOUND", `${address} was not added by \`microceph mesh add\``);
      }
      daemon.membership.refreshStaticPeers();
      return daemon.staticPeers.list();
    },
    async deny({ node }) {
      const cluster = runtime();
      const chosen = candidate(cluster, node);
      cluster.document.deny(chosen.id);
      cluster.wake("denial");
      return named([chosen]);
    },
    async admission() {
      return admissionNow();
    },
    async setAdmission({ mode, forSeconds, forever }) {
      const cluster = runtime();
      const lasts = mode !== "auto" || forever === true;
      const ms = forSeconds === undefined ? dayMs : forSeconds * 1000;
      cluster.document.setAdmission(mode, lasts ? null : new Date(daemon.now() + ms).toISOString());
      cluster.wake("admission");
      return admissionNow();
    },
    async fingerprint() {
      const status = daemon.membership.status();
      const id = daemon.identity.peerId;
      const own = status.cluster;
      const clusters = own === null ? status.clusters : [own];
      return {
        id,
        name: daemon.settings.name,
        fingerprints: clusters.map((cluster) => ({
          cluster: { id: cluster.id, name: cluster.name },
          words: fingerprintWords(cluster.publicKey, id),
        })),
      };
    },
    async join({ cluster }) {
      daemon.membership.join(cluster);
      return self();
    },
    async release() {
      daemon.membership.release();
      return self();
    },

    async bootstrap(request) {
      checkBootstrap(daemon, request);
      return shown(daemon.jobs.start(bootstrapJob, { ...request } as Json));
    },
    async issueToken({ name, expire_after }) {
      const issued = issueToken(runtime(), { name, seconds: expire_after, now: daemon.now() });
      return { name: issued.name, token: issued.token, expires_at: issued.expiresAt };
    },
    async tokens() {
      return listTokens(runtime().document).map(({ name, expiresAt, usedBy }) => ({
        ...{ name, expires_at: expiresAt, used_by: usedBy },
      }));
    },
    async revokeToken({ name }) {
      revokeToken(runtime(), name, daemon.now());
      return { name };
    },
    async joinByToken(request) {
      checkTokenJoin(daemon, { token: request.token });
      return shown(daemon.jobs.start(tokenJoinJob, { ...request } as Json));
    },
    async members() {
      const { members } = mesh();
      if (members.length === 0) throw notInitialized();
      return members.map((member): ClusterMember => {
        const address = member.addresses[0] ?? "";
        return {
          name: member.name,
          address: hostPort(address, daemon.settings.meshPort),
          role: member.voter ? "voter" : "stand-by",
          fingerprint: memberFingerprint(runtime(), member.id as PeerId),
          status: member.presence === "alive" ? "ONLINE" : "UNREACHABLE",
          last_heartbeat: member.lastSeen,
          presence: member.presence,
        };
      });
    },
    async planRemoval(request) {
      return planRemoval(daemon, request);
    },
    async removeMember(request) {
      planRemoval(daemon, request);
      const { node, dead, force, revoke } = request;
      const asked = { node, dead, force, revoke, ...spareConsent(request) };
      return shown(daemon.jobs.start(removeMemberJob, asked));
    },
    async cancelRemoval({ node }) {
      return cancelRemoval(daemon, node);
    },
    async reset({ keep_disks }) {
      await daemon.reset({ keepDisks: keep_disks });
      return { id: daemon.identity.peerId };
    },
    async planRecovery(_input, { signal }) {
      return planRecovery(daemon, signal);
    },
    async recover({ lost }, { signal }) {
      await checkRecovery(daemon, lost, signal);
      return shown(daemon.jobs.start(recoverJob, { lost: [...lost] }));
    },
    async backup(request, { signal }) {
      return makeBackup(daemon, request, signal);
    },
    async restore(request) {
      return restoreBackup(daemon, request);
    },
    async planMonitorRebuild() {
      return planMonitorRebuild(daemon);
    },
    async rebuildMonitors({ lost }) {
      checkMonitorRebuild(daemon, lost);
      return shown(daemon.jobs.start(rebuildJob, { lost: [...lost] }));
    },
    async renameMember({ node, name }) {
      return renameMember(runtime(), node, name);
    },
    async networks() {
      return showNetworks(runtime());
    },
    async changeNetworks(request, { signal }) {
      const after = checkNetworksChange(runtime(), request);
      const restarts = after.clusterNetwork !== showNetworks(runtime()).clusterNetwork;
      if (restarts && !request.skip_restart) await checkUpgrade(daemon, signal);
      return shown(daemon.jobs.start(networksJob, { ...request } as Json));
    },
    async migrate(request) {
      checkMigration(daemon, request);
      return shown(daemon.jobs.start(migrateJob, { ...request }));
    },
    async programs() {
      const node = daemon.cluster?.deps.cephNode;
      const [ceph, etcd, nfs] = await Promise.all([
        ...([cephBuild(), etcdVersion()] as const),
        node === undefined ? null : nfsProgram(node.deps, node.handle),
      ]);
      return { ceph, etcd, product: productVersion, nfs };
    },
    async planUpgrade({ all }, { signal }) {
      return planUpgrade(daemon, all, signal);
    },
    async upgrade(request, { signal }) {
      await checkUpgrade(daemon, signal);
      return shown(daemon.jobs.start(upgradeJob, { ...request }));
    },
    async rekeyService() {
      await checkRestart(daemon, "rgw");
      return shown(daemon.jobs.start(restartServiceJob, { service: "rgw", rekey: true }));
    },
    async restartService({ service }) {
      await checkRestart(daemon, service);
      return shown(daemon.jobs.start(restartServiceJob, { service }));
    },
    async maintenance(request) {
      checkMaintenance(daemon, request);
      return shown(daemon.jobs.start(maintenanceJob, { ...request }));
    },
    async planFailureDomain(request) {
      runtime();
      return shown(daemon.jobs.start(planDomainJob, { ...request } as Json));
    },
    async setFailureDomain(request) {
      runtime();
      return shown(daemon.jobs.start(setDomainJob, { ...request }));
    },
    async zones(_input, { signal }) {
      return listZones(runtime(), signal);
    },
    async setZone(request) {
      checkNode(runtime(), request.node);
      return shown(daemon.jobs.start(setZoneJob, { ...request }));
    },

    async disks() {
      runtime();
      return disks();
    },
    async availableDisks() {
      return daemon.availableDisks();
    },
    async diskInventory() {
      runtime();
      return diskInventory(daemon);
    },
    async addDisks(request) {
      runtime();
      return shown(daemon.jobs.start(addDisksJob, addRequestOf(request)));
    },
    async removeDisk(request) {
      runtime();
      const { osdid, bypass_safety_checks } = request;
      const asked: DiskRemovalRequest = {
        ...{ osd: osdid, bypass: bypass_safety_checks },
        ...spareConsent(request),
      };
      return shown(daemon.jobs.start(removeDiskJob, { ...asked }));
    },
    async adoptDisks({ dry_run, without_monitors }) {
      runtime();
      return shown(daemon.jobs.start(adoptDisksJob, { dryRun: dry_run, withoutMonitors: without_monitors }));
    },
    async replaceDisk({ osdid, path, wipe, encrypt, bypass_safety_checks }) {
      runtime();
      const asked: DiskReplacementRequest = {
        ...{ osd: osdid, disk: path, wipe, encrypt },
        bypass: bypass_safety_checks,
      };
      return shown(daemon.jobs.start(replaceDiskJob, { ...asked }));
    },
    async cancelDiskRemoval({ osdid }) {
      return cancelDiskRemoval(daemon, osdid);
    },
    async restartOsd({ osdid }) {
      return shown(await startOsdJob(daemon, "restart", osdid));
    },
    async stopOsd({ osdid }) {
      return shown(await startOsdJob(daemon, "stop", osdid));
    },
    async startOsd({ osdid }) {
      return shown(await startOsdJob(daemon, "start", osdid));
    },
    async rotateOsdKey({ osdid }) {
      return shown(await startOsdJob(daemon, "rotate-key", osdid));
    },
    async encryptionSupport() {
      const support = await encryptionSupport({ run: runProgram });
      return {
        supported: support.supported,
        reason_unsupported: support.supported ? "" : support.reason,
      };
    },
    async services() {
      runtime();
      return services();
    },
    async gateways() {
      return placedReport(runtime(), "rgw");
    },
    async enableGateway(request, { signal }) {
      return shown(daemon.jobs.start(serviceJob, await wantGateways(daemon, request, signal)));
    },
    async setGatewayCertificate(request, { signal }) {
      return shown(daemon.jobs.start(serviceJob, await setCertificate(daemon, request, signal)));
    },
    async disableGateway(request) {
      return shown(daemon.jobs.start(serviceJob, unwant(daemon, "rgw", request)));
    },
    async mirrors() {
      return placedReport(runtime(), "rbd-mirror");
    },
    async enableMirror(request) {
      return shown(daemon.jobs.start(serviceJob, wantMirrors(daemon, "rbd-mirror", request)));
    },
    async disableMirror(request) {
      return shown(daemon.jobs.start(serviceJob, unwant(daemon, "rbd-mirror", request)));
    },
    async fileMirrors() {
      return placedReport(runtime(), "cephfs-mirror");
    },
    async enableFileMirror(request) {
      return shown(daemon.jobs.start(serviceJob, wantMirrors(daemon, "cephfs-mirror", request)));
    },
    async disableFileMirror(request) {
      return shown(daemon.jobs.start(serviceJob, unwant(daemon, "cephfs-mirror", request)));
    },
    async fileReplication({ volume }, { signal }) {
      return volume === undefined
        ? listFileReplication(runtime(), signal)
        : [await fileReplicationOf(runtime(), volume, signal)];
    },
    async fileProgress({ volume }, { signal }) {
      return fileProgressHere(runtime(), volume, signal);
    },
    async enableFileReplication(request, { signal }) {
      return enableFileReplication(runtime(), request, signal);
    },
    async disableFileReplication(request, { signal }) {
      return disableFileReplication(runtime(), request, signal);
    },
    async counted({ daemon: type }) {
      return countedReport(runtime(), type);
    },
    async enableCounted({ daemon: type, ...request }) {
      return shown(daemon.jobs.start(serviceJob, wantCounted(daemon, type, request)));
    },
    async disableCounted({ daemon: type, ...request }) {
      return shown(daemon.jobs.start(serviceJob, unwantCounted(daemon, type, request)));
    },
    async nfs() {
      return placedReport(runtime(), "nfs");
    },
    async enableNfs(request) {
      return shown(daemon.jobs.start(serviceJob, wantNfs(daemon, request)));
    },
    async disableNfs(request) {
      return shown(daemon.jobs.start(serviceJob, unwantNfs(daemon, request)));
    },
    async exports() {
      return listExports(runtime());
    },
    async createExport(request, { signal }) {
      return createExport(runtime(), request, signal);
    },
    async removeExport({ pseudo_path }) {
      return removeExport(runtime(), pseudo_path);
    },
    async exportCluster(request, { signal }) {
      return exportCluster(runtime(), request, signal);
    },
    async remotes(_input, { signal }) {
      return listRemotes(runtime(), signal);
    },
    async importRemote({ name, ...request }, { signal }) {
      return importRemote(runtime(), name, request, signal);
    },
    async removeRemote({ name }, { signal }) {
      return removeRemote(runtime(), name, signal);
    },
    async replication({ pool }, { signal }) {
      return pool === undefined
        ? listReplication(runtime(), signal)
        : [await replicationOf(runtime(), pool, signal)];
    },
    async enableReplication(request, { signal }) {
      return enableReplication(runtime(), request, signal);
    },
    async disableReplication(request, { signal }) {
      return disableReplication(runtime(), request, signal);
    },
    async configureReplication(request, { signal }) {
      return configureReplication(runtime(), request, signal);
    },
    async resyncReplication(request, { signal }) {
      return resyncReplication(runtime(), request, signal);
    },
    async promoteSite(request, { signal }) {
      await checkSite(runtime(), request.remote, signal);
      return shown(daemon.jobs.start(promoteSiteJob, { ...request }));
    },
    async demoteSite(request, { signal }) {
      await checkSite(runtime(), request.remote, signal);
      return shown(daemon.jobs.start(demoteSiteJob, { ...request }));
    },
    async ingress() {
      return placedReport(runtime(), "ingress");
    },
    async enableIngress(request, { signal }) {
      return shown(daemon.jobs.start(serviceJob, await wantIngress(daemon, request, signal)));
    },
    async disableIngress(request) {
      return shown(daemon.jobs.start(serviceJob, unwant(daemon, "ingress", request)));
    },
    async dashboard(_input, { signal }) {
      return panelReport(runtime(), "dashboard", signal);
    },
    async enableDashboard(request, { signal }) {
      return enableDashboard(daemon, request, signal);
    },
    async disableDashboard(_input, { signal }) {
      return disablePanel(daemon, "dashboard", signal);
    },
    async prometheus(_input, { signal }) {
      return panelReport(runtime(), "prometheus", signal);
    },
    async enablePrometheus(request, { signal }) {
      return enablePrometheus(daemon, request, signal);
    },
    async disablePrometheus(_input, { signal }) {
      return disablePanel(daemon, "prometheus", signal);
    },
    async explain({ subject }, { signal }) {
      return explain(runtime(), mesh().lease.holder as PeerId | null, subject, signal);
    },
    async s3Users(_input, { signal }) {
      return s3UsersOf(runtime(), signal).list();
    },
    async createS3User({ name, display_name, swift }, { signal }) {
      return s3UsersOf(runtime(), signal).create(name, display_name ?? name, swift);
    },
    async s3User({ user }, { signal }) {
      return s3UsersOf(runtime(), signal).get(user);
    },
    async createS3Key({ user, type }, { signal }) {
      const users = s3UsersOf(runtime(), signal);
      return type === "swift" ? users.newSwiftKey(user) : users.addKey(user);
    },
    async removeS3User({ user, purge_data }, { signal }) {
      await s3UsersOf(runtime(), signal).checkRemoval(user, purge_data);
      return shown(daemon.jobs.start(removeS3UserJob, { user, purgeData: purge_data }));
    },
    async s3Buckets(_input, { signal }) {
      return s3UsersOf(runtime(), signal).buckets();
    },

    async pools(_input, { signal }) {
      return listPools(runtime(), signal);
    },
    async createPool(request, { signal }) {
      return createPool(runtime(), request, signal);
    },
    async removePool({ pool, confirmed }, { signal }) {
      const id = await checkPoolRemoval(runtime(), pool, confirmed, signal);
      return shown(daemon.jobs.start(removePoolJob, { pool, id }));
    },
    async fileSystems(_input, { signal }) {
      return listFileSystems(runtime(), signal);
    },
    async createFileSystem(request, { signal }) {
      return createFileSystem(runtime(), request, signal);
    },
    async removeFileSystem({ name, confirmed }, { signal }) {
      refuseExported(runtime(), name);
      const doomed = await checkFileSystemRemoval(runtime(), name, confirmed, signal);
      return shown(daemon.jobs.start(removeFileSystemJob, doomed as unknown as Json));
    },
    async planReplicas(request, { signal }) {
      return planReplicas(runtime(), request, signal);
    },
    async setReplicas(request, { signal }) {
      await checkReplicas(runtime(), request, signal);
      return shown(daemon.jobs.start(setReplicasJob, { ...request, pools: [...request.pools] }));
    },
    async config(_input, { signal }) {
      return listConfig(runtime(), signal);
    },
    async configOption({ key }, { signal }) {
      return showOption(runtime(), key, signal);
    },
    async changeConfig(request, { signal }) {
      await checkConfig(runtime(), request, signal);
      if (!request.skip_restart) await checkUpgrade(daemon, signal);
      return shown(daemon.jobs.start(changeConfigJob, { ...request }));
    },
    async resetConfig(request, { signal }) {
      await checkConfig(runtime(), request, signal);
      if (!request.skip_restart) await checkUpgrade(daemon, signal);
      return shown(daemon.jobs.start(changeConfigJob, { ...request }));
    },
    async clientConfig() {
      return listClientConfig(runtime());
    },
    async setClientConfig({ key, value, host }) {
      return setClientConfig(runtime(), key, value, host);
    },
    async resetClientConfig({ key, host }) {
      return setClientConfig(runtime(), key, null, host);
    },
    async logLevel() {
      return getLogLevel(daemon);
    },
    async setLogLevel({ level }) {
      return setLogLevel(daemon, level);
    },

    async jobs() {
      return daemon.jobs.list().map(shown);
    },
    async job({ id }) {
      return shown(found(daemon.jobs.get(id), id));
    },
    async waitForJob({ id, timeout }) {
      return shown(found(await daemon.jobs.wait(id, timeout * 1000), id));
    },

    async settings() {
      return { ...runtime().document.view().settings };
    },
    async setting({ key }) {
      const value = runtime().document.view().settings[key];
      if (value === undefined) throw new MicrocephError("NOT_FOUND", `no setting ${key}`);
      return { key, value };
    },
    async setSetting({ key, value }) {
      checkSetting(key, value);
      runtime().document.setSetting(key, value);
      return { key, value };
    },
    async resetSetting({ key }) {
      runtime().document.setSetting(key, null);
      return { ...runtime().document.view().settings };
    },
    async journal({ limit }) {
      return runtime()
        .journal.entries()
        .slice(-limit)
        .map(({ id, number, kind, state, reason, agent, openedAt, closedAt }) => ({
          id,
          number,
          kind,
          state,
          reason,
          agent,
          openedAt,
          closedAt,
        }));
    },

    events: {
      head: () => daemon.events.head,
      read: (after, limit) => daemon.events.read(after, limit),
      on: (listener) => daemon.events.on(listener),
    },
    metrics: () => daemon.metrics(),

    async forward(
      target: string,
      request: ForwardRequest,
      context: RequestContext,
    ): Promise<ForwardReply | undefined> {
      const members = mesh().members.map((member) => ({
        ...member,
        id: member.id as PeerId,
        alive: member.presence === "alive",
      }));
      const own = daemon.identity.peerId;
      const known: readonly Nameable[] =
        members.length > 0 ? members : [{ id: own, name: daemon.settings.name, handle: null }];
      const chosen = resolveNode(target, known);
      if (chosen.id === own) return undefined;
      return runtime().forward(chosen.id, request, context);
    },
  };
}

/** MicroCeph's options of one meaning each; both together have none. */
function spareConsent(request: {
  readonly confirm_crush_downgrade: boolean;
  readonly prohibit_crush_scaledown: boolean;
}): { confirmDowngrade: boolean; prohibitScaledown: boolean } {
  const { confirm_crush_downgrade, prohibit_crush_scaledown } = request;
  if (confirm_crush_downgrade && prohibit_crush_scaledown) {
    throw new MicrocephError(
      "USAGE",
      "--confirm-failure-domain-downgrade and --prohibit-crush-scaledown exclude each other",
    );
  }
  return { confirmDowngrade: confirm_crush_downgrade, prohibitScaledown: prohibit_crush_scaledown };
}

function shown(job: JobRecord): Job {
  const { id, kind, state, progress, step, result, error, createdAt, updatedAt } = job;
  return { id, kind, state, progress, step, result, error, createdAt, updatedAt };
}

function found(job: JobRecord | undefined, id: string): JobRecord {
  if (job === undefined) throw new MicrocephError("NOT_FOUND", `there is no job ${id}`);
  return job;
}
