import type { IncomingMessage } from "node:http";
import { isErrorCode } from "../errors/codes.ts";
import { isMicrocephError, MicrocephError, messageOf } from "../errors/microceph-error.ts";
import type { BackupReply, backupRequest, RestoreReply, restoreRequest } from "./contract/backup.ts";
import type {
  ClientConfigRow,
  ConfigOption,
  ConfigRow,
  clientConfigRequest,
  clientConfigReset,
  configChange,
  configReset,
  LogLevel,
} from "./contract/ceph-config.ts";
import type { bootstrapRequest, ClusterMember } from "./contract/cluster.ts";
import type {
  AvailableDisk,
  addDisksRequest,
  adoptDisksRequest,
  ConfiguredDisk,
  EncryptionSupportReply,
  NodeInventory,
  removeDiskRequest,
  replaceDiskRequest,
} from "./contract/disks.ts";
import type { Envelope } from "./contract/envelope.ts";
import type { MeshEvent } from "./contract/events.ts";
import type {
  failureDomainPlanRequest,
  failureDomainRequest,
  Zone,
  zoneRequest,
} from "./contract/failure-domain.ts";
import type {
  disableFileReplicationRequest,
  enableFileReplicationRequest,
  ReplicatedFileSystem,
} from "./contract/file-replication.ts";
import type { FileSystemRow, fileSystemRemoval, fileSystemRequest } from "./contract/file-systems.ts";
import type { Job } from "./contract/jobs.ts";
import type { JournalEntry } from "./contract/journal.ts";
import type { maintenanceRequest } from "./contract/maintenance.ts";
import type {
  Admission,
  admissionRequest,
  approveRequest,
  FingerprintReport,
  joinRequest,
  MeshStatus,
  NamedNodes,
  SelfStatus,
  StaticPeerReply,
} from "./contract/mesh.ts";
import type { migrationRequest } from "./contract/migration.ts";
import type { RebuildPlan, rebuildRequest } from "./contract/monitor-rebuild.ts";
import type { NetworksShown, networksChange } from "./contract/networks.ts";
import type {
  disableNfsRequest,
  enableNfsRequest,
  NfsExportRow,
  nfsExportRemoval,
  nfsExportRequest,
} from "./contract/nfs.ts";
import type { enableDashboardRequest, enablePrometheusRequest, PanelReport } from "./contract/panels.ts";
import type {
  certificateRequest,
  countedParams,
  countedRequest,
  disableServiceRequest,
  Explanation,
  enableGatewayRequest,
  enableIngressRequest,
  enableMirrorRequest,
  PlacedReport,
} from "./contract/placed-services.ts";
import type { PoolRow, poolRemoval, poolRequest, ReplicasPlan, replicasRequest } from "./contract/pools.ts";
import type { RecoveryPlan, recoveryRequest } from "./contract/recovery.ts";
import type { RemovalPlan, RemovalReply, removalCancel, removalRequest } from "./contract/removal.ts";
import type {
  configureReplicationRequest,
  disableReplicationRequest,
  ExportReply,
  enableReplicationRequest,
  exportRequest,
  importRequest,
  RemoteRow,
  ReplicatedPool,
  resyncRequest,
  siteRequest,
} from "./contract/replication.ts";
import type { ResetReply, resetRequest } from "./contract/reset.ts";
import type {
  S3Bucket,
  S3User,
  S3UserRow,
  s3KeyRequest,
  s3UserRemoval,
  s3UserRequest,
} from "./contract/s3.ts";
import type { Draft, Shape } from "./contract/shape.ts";
import type {
  Health,
  Readiness,
  ServerInfo,
  Service,
  Setting,
  Settings,
  StatusReport,
} from "./contract/status.ts";
import type { IssuedTokenReply, ShownTokenReply, tokenJoinRequest, tokenRequest } from "./contract/tokens.ts";
import type { UpgradePlan, upgradeRequest } from "./contract/upgrade.ts";
import { errorFromEnvelope } from "./envelopes.ts";
import { readLines } from "./read-lines.ts";

/** Spares Node's agent the question whether the host name is an address, which costs 7 ms of start-up. */
const noServerName: object = { servername: "" };
/** The server answers within two seconds; this allows for a slow machine. */
const defaultDeadlineMs = 10_000;
/** Several commands of Ceph, and every member is asked. */
const slowMs = 60_000;
/** Each image is asked for; several calls go to the other site. */
type CountedName = Shape<typeof countedParams>["daemon"];
const mirrorMs = 180_000;
/** Managers load a module, and start anew for it. */
const panelMs = 300_000;
/** `radosgw-admin` opens all its pools first. */
const s3Ms = 120_000;
/** What a call meets while a daemon restarts, is paused or its node is cut off. */
const awayCodes: ReadonlySet<string> = new Set([
  "DAEMON_NOT_RUNNING",
  "CANCELLED",
  "DEADLINE_EXCEEDED",
  "PEER_UNREACHABLE",
]);
const answerLimitBytes = 64 * 1024 * 1024;

export interface ApiClientOptions {
  readonly socketPath: string;
  /** Member that answers instead of the local one: name or PeerId prefix. */
  readonly target?: string;
  /** Told of every answered request. */
  readonly trace?: (line: string) => void;
}

export interface CallOptions {
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export interface EventOptions {
  /** First those kept after this number. */
  readonly since?: number;
  /** Default true. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

export interface WaitOptions {
  readonly signal?: AbortSignal;
  /** Called at every look at the job, about once a second; undefined while the daemon does not answer. */
  readonly onLook?: (job: Job | undefined) => void;
  /** How long the daemon may be away (restarting) before that is an error; default 30 s. */
  readonly patienceMs?: number;
}

/**
 * The local daemon's API. Calls throw the daemon's coded error, DAEMON_NOT_RUNNING, PERMISSION_DENIED,
 * DEADLINE_EXCEEDED or CANCELLED. It carries no schema library: the server is trusted to keep the contract.
 */
export class ApiClient {
  readonly #options: ApiClientOptions;

  constructor(options: ApiClientOptions) {
    this.#options = options;
  }

  /** The same daemon as a door to another member; undefined: this one. */
  withTarget(target: string | undefined): ApiClient {
    return target === undefined ? this : new ApiClient({ ...this.#options, target });
  }

  /** The local daemon itself. */
  withoutTarget(): ApiClient {
    const { target: _, ...options } = this.#options;
    return new ApiClient(options);
  }

  server = (options?: CallOptions): Promise<ServerInfo> => this.#get("/1.0", options);
  /** When it is ready, when what it waits for changes, or after so many seconds. */
  ready = (seconds = 0, storage = false, options: CallOptions = {}): Promise<Readiness> =>
    this.#get(`/1.0/ready?timeout=${seconds}&storage=${storage}`, {
      ...options,
      deadlineMs: options.deadlineMs ?? seconds * 1000 + defaultDeadlineMs,
    });
  status = (options?: CallOptions): Promise<StatusReport> => this.#get("/1.0/status", options);
  health = (options?: CallOptions): Promise<Health> => this.#get("/1.0/health", options);

  mesh = (options?: CallOptions): Promise<MeshStatus> => this.#get("/1.0/mesh", options);
  approve = (request: Draft<typeof approveRequest>, options?: CallOptions): Promise<NamedNodes> =>
    this.request("POST", "/1.0/mesh/approve", request, options);
  staticPeers = (options?: CallOptions): Promise<readonly StaticPeerReply[]> =>
    this.#get("/1.0/mesh/peers", options);
  addStaticPeer = (address: string, options?: CallOptions): Promise<readonly StaticPeerReply[]> =>
    this.request("POST", "/1.0/mesh/peers", { address }, options);
  removeStaticPeer = (address: string, options?: CallOptions): Promise<readonly StaticPeerReply[]> =>
    this.request("DELETE", "/1.0/mesh/peers", { address }, options);
  deny = (node: string, options?: CallOptions): Promise<NamedNodes> =>
    this.request("POST", "/1.0/mesh/deny", { node }, options);
  admission = (options?: CallOptions): Promise<Admission> => this.#get("/1.0/mesh/admission", options);
  setAdmission = (request: Draft<typeof admissionRequest>, options?: CallOptions): Promise<Admission> =>
    this.request("PUT", "/1.0/mesh/admission", request, options);
  planRemoval = (request: Draft<typeof removalRequest>, options?: CallOptions): Promise<RemovalPlan> =>
    this.request("POST", "/1.0/cluster/members/remove/plan", request, options);
  removeMember = (request: Draft<typeof removalRequest>, options?: CallOptions): Promise<Job> =>
    this.request("POST", "/1.0/cluster/members/remove", request, options);
  cancelRemoval = (request: Draft<typeof removalCancel>, options?: CallOptions): Promise<RemovalReply> =>
    this.request("POST", "/1.0/cluster/members/remove/cancel", request, options);
  reset = (request: Draft<typeof resetRequest>, options?: CallOptions): Promise<ResetReply> =>
    this.request("POST", "/1.0/cluster/reset", request, { deadlineMs: 120_000, ...options });
  planRecovery = (options?: CallOptions): Promise<RecoveryPlan> =>
    this.#get("/1.0/cluster/recovery", { deadlineMs: 10_000, ...options });
  recover = (request: Draft<typeof recoveryRequest>, options?: CallOptions): Promise<Job> =>
    this.request("POST", "/1.0/cluster/recovery", request, { deadlineMs: 10_000, ...options });
  backup = (request: Draft<typeof backupRequest>, options?: CallOptions): Promise<BackupReply> =>
    this.request("POST", "/1.0/cluster/backup", request, { deadlineMs: 40_000, ...options });
  restore = (request: Draft<typeof restoreRequest>, options?: CallOptions): Promise<RestoreReply> =>
    this.request("POST", "/1.0/cluster/restore", request, { deadlineMs: 40_000, ...options });
  planMonitorRebuild = (options?: CallOptions): Promise<RebuildPlan> =>
    this.#get("/1.0/cluster/recovery/monitors", options);
  rebuildMonitors = (request: Draft<typeof rebuildRequest>, options?: CallOptions): Promise<Job> =>
    this.request("POST", "/1.0/cluster/recovery/monitors", request, options);
  networks = (options?: CallOptions): Promise<NetworksShown> => this.#get("/1.0/cluster/networks", options);
  changeNetworks = (request: Draft<typeof networksChange>, options?: CallOptions): Promise<Job> =>
    this.request("PUT", "/1.0/cluster/networks", request, { deadlineMs: slowMs, ...options });
  migrate = (request: Draft<typeof migrationRequest>, options?: CallOptions): Promise<Job> =>
    this.request("POST", "/1.0/cluster/migrate", request, options);
  planUpgrade = (all: boolean, options?: CallOptions): Promise<UpgradePlan> =>
    this.#get(`/1.0/cluster/upgrade?all=${all}`, { deadlineMs: slowMs, ...options });
  upgrade = (request: Draft<typeof upgradeRequest>, options?: CallOptions): Promise<Job> =>
    this.request("POST", "/1.0/cluster/upgrade", request, { deadlineMs: slowMs, ...options });
  pools = (options?: CallOptions): Promise<readonly PoolRow[]> =>
    this.#get("/1.0/pools", { deadlineMs: slowMs, ...options });
  createPool = (request: Draft<typeof poolRequest>, options?: CallOptions): Promise<PoolRow> =>
    this.request("POST", "/1.0/pools", request, { deadlineMs: slowMs, ...options });
  removePool = (pool: string, request: Draft<typeof poolRemoval>, options?: CallOptions): Promise<Job> =>
    this.request("DELETE", `/1.0/pools/${encodeURIComponent(pool)}`, request, {
      deadlineMs: slowMs,
      ...options,
    });
  fileSystems = (options?: CallOptions): Promise<readonly FileSystemRow[]> =>
    this.#get("/1.0/file-systems", { deadlineMs: slowMs, ...options });
  createFileSystem = (
    request: Draft<typeof fileSystemRequest>,
    options?: CallOptions,
  ): Promise<FileSystemRow> =>
    this.request("POST", "/1.0/file-systems", request, { deadlineMs: slowMs, ...options });
  removeFileSystem = (
    name: string,
    request: Draft<typeof fileSystemRemoval>,
    options?: CallOptions,
  ): Promise<Job> =>
    this.request("DELETE", `/1.0/file-systems/${encodeURIComponent(name)}`, request, {
      deadlineMs: slowMs,
      ...options,
    });
  planReplicas = (request: Draft<typeof replicasRequest>, options?: CallOptions): Promise<ReplicasPlan> =>
    this.request("POST", "/1.0/pools-op/plan", request, { deadlineMs: slowMs, ...options });
  setReplicas = (request: Draft<typeof replicasRequest>, options?: CallOptions): Promise<Job> =>
    this.request("PUT", "/1.0/pools-op", request, { deadlineMs: slowMs, ...options });
  config = (options?: CallOptions): Promise<readonly ConfigRow[]> =>
    this.#get("/1.0/configs", { deadlineMs: slowMs, ...options });
  configOption = (key: string, options?: CallOptions): Promise<ConfigOption> =>
    this.#get(`/1.0/configs/${encodeURIComponent(key)}`, { deadlineMs: slowMs, ...options });
  changeConfig = (request: Draft<typeof configChange>, options?: CallOptions): Promise<Job> =>
    this.request("PUT", "/1.0/configs", request, { deadlineMs: slowMs, ...options });
  resetConfig = (request: Draft<typeof configReset>, options?: CallOptions): Promise<Job> =>
    this.request("DELETE", "/1.0/configs", request, { deadlineMs: slowMs, ...options });
  clientConfig = (options?: CallOptions): Promise<readonly ClientConfigRow[]> =>
    this.#get("/1.0/client/configs", options);
  setClientConfig = (
    key: string,
    request: Draft<typeof clientConfigRequest>,
    options?: CallOptions,
  ): Promise<readonly ClientConfigRow[]> =>
    this.request("PUT", `/1.0/client/configs/${encodeURIComponent(key)}`, request, options);
  resetClientConfig = (
    key: string,
    request: Draft<typeof clientConfigReset>,
    options?: CallOptions,
  ): Promise<readonly ClientConfigRow[]> =>
    this.request("DELETE", `/1.0/client/configs/${encodeURIComponent(key)}`, request, options);
  logLevel = (options?: CallOptions): Promise<LogLevel> => this.#get("/1.0/log-level", options);
  setLogLevel = (level: string, options?: CallOptions): Promise<LogLevel> =>
    this.request("PUT", "/1.0/log-level", { level }, options);
  panel = (panel: "dashboard" | "prometheus", options?: CallOptions): Promise<PanelReport> =>
    this.#get(`/1.0/services/${panel}`, { deadlineMs: slowMs, ...options });
  enableDashboard = (
    request: Draft<typeof enableDashboardRequest>,
    options?: CallOptions,
  ): Promise<PanelReport> =>
    this.request("PUT", "/1.0/services/dashboard", request, { deadlineMs: panelMs, ...options });
  enablePrometheus = (
    request: Draft<typeof enablePrometheusRequest>,
    options?: CallOptions,
  ): Promise<PanelReport> =>
    this.request("PUT", "/1.0/services/prometheus", request, { deadlineMs: panelMs, ...options });
  disablePanel = (panel: "dashboard" | "prometheus", options?: CallOptions): Promise<PanelReport> =>
    this.request("DELETE", `/1.0/services/${panel}`, {}, { deadlineMs: slowMs, ...options });
  renameMember = (node: string, name: string, options?: CallOptions): Promise<RemovalReply> =>
    this.request("PUT", `/1.0/cluster/members/${encodeURIComponent(node)}/name`, { name }, options);
  maintenance = (
    node: string,
    request: Draft<typeof maintenanceRequest>,
    options?: CallOptions,
  ): Promise<Job> =>
    this.request("PUT", `/1.0/ops/maintenance/${encodeURIComponent(node)}`, request, options);
  planFailureDomain = (
    request: Draft<typeof failureDomainPlanRequest>,
    options?: CallOptions,
  ): Promise<Job> => this.request("POST", "/1.0/cluster/failure-domain/plan", request, options);
  setFailureDomain = (request: Draft<typeof failureDomainRequest>, options?: CallOptions): Promise<Job> =>
    this.request("PUT", "/1.0/cluster/failure-domain", request, options);
  zones = (options?: CallOptions): Promise<readonly Zone[]> => this.#get("/1.0/cluster/zones", options);
  setZone = (request: Draft<typeof zoneRequest>, options?: CallOptions): Promise<Job> =>
    this.request("PUT", "/1.0/cluster/zones", request, options);
  fingerprint = (options?: CallOptions): Promise<FingerprintReport> =>
    this.#get("/1.0/mesh/fingerprint", options);
  join = (request: Draft<typeof joinRequest>, options?: CallOptions): Promise<SelfStatus> =>
    this.request("POST", "/1.0/mesh/join", request, options);
  release = (options?: CallOptions): Promise<SelfStatus> =>
    this.request("POST", "/1.0/mesh/release", {}, options);

  bootstrap = (request: Draft<typeof bootstrapRequest>, options?: CallOptions): Promise<Job> =>
    this.request("POST", "/1.0/cluster", request, options);
  issueToken = (request: Draft<typeof tokenRequest>, options?: CallOptions): Promise<IssuedTokenReply> =>
    this.request("POST", "/1.0/tokens", request, options);
  tokens = (options?: CallOptions): Promise<readonly ShownTokenReply[]> => this.#get("/1.0/tokens", options);
  revokeToken = (name: string, options?: CallOptions): Promise<{ readonly name: string }> =>
    this.request("DELETE", `/1.0/tokens/${encodeURIComponent(name)}`, null, options);
  joinByToken = (request: Draft<typeof tokenJoinRequest>, options?: CallOptions): Promise<Job> =>
    this.request("POST", "/1.0/cluster/join", request, options);
  members = (options?: CallOptions): Promise<readonly ClusterMember[]> =>
    this.#get("/1.0/cluster/members", options);
  disks = (options?: CallOptions): Promise<readonly ConfiguredDisk[]> => this.#get("/1.0/disks", options);
  availableDisks = (options?: CallOptions): Promise<readonly AvailableDisk[]> =>
    this.#get("/1.0/disks/available", options);
  diskInventory = (options?: CallOptions): Promise<readonly NodeInventory[]> =>
    this.#get("/1.0/disks/inventory", options);
  encryptionSupport = (options?: CallOptions): Promise<EncryptionSupportReply> =>
    this.#get("/1.0/disks/encryption-support", options);
  controlOsd = (
    osd: number,
    action: "restart" | "stop" | "start" | "rotate-key",
    options?: CallOptions,
  ): Promise<Job> => this.request("POST", `/1.0/disks/${osd}/${action}`, {}, options);
  removeDisk = (osd: number, request: Draft<typeof removeDiskRequest>, options?: CallOptions): Promise<Job> =>
    this.request("DELETE", `/1.0/disks/${osd}`, request, options);
  adoptDisks = (request: Draft<typeof adoptDisksRequest>, options?: CallOptions): Promise<Job> =>
    this.request("POST", "/1.0/disks/adopt", request, options);
  replaceDisk = (
    osd: number,
    request: Draft<typeof replaceDiskRequest>,
    options?: CallOptions,
  ): Promise<Job> => this.request("POST", `/1.0/disks/${osd}/replace`, request, options);
  cancelDiskRemoval = (osd: number, options?: CallOptions): Promise<{ readonly osd: number }> =>
    this.request("POST", `/1.0/disks/${osd}/remove/cancel`, {}, options);
  addDisks = (request: Draft<typeof addDisksRequest>, options?: CallOptions): Promise<Job> =>
    this.request("POST", "/1.0/disks", request, options);
  services = (options?: CallOptions): Promise<readonly Service[]> => this.#get("/1.0/services", options);
  gateways = (options?: CallOptions): Promise<PlacedReport> => this.#get("/1.0/services/rgw", options);
  enableGateway = (request: Draft<typeof enableGatewayRequest>, options?: CallOptions): Promise<Job> =>
    this.request("PUT", "/1.0/services/rgw", request, { deadlineMs: 30_000, ...options });
  setGatewayCertificate = (request: Draft<typeof certificateRequest>, options?: CallOptions): Promise<Job> =>
    this.request("PUT", "/1.0/services/rgw/certificate", request, { deadlineMs: 30_000, ...options });
  disableGateway = (request: Draft<typeof disableServiceRequest>, options?: CallOptions): Promise<Job> =>
    this.request("DELETE", "/1.0/services/rgw", request, options);
  mirrors = (options?: CallOptions): Promise<PlacedReport> => this.#get("/1.0/services/rbd-mirror", options);
  enableMirror = (request: Draft<typeof enableMirrorRequest>, options?: CallOptions): Promise<Job> =>
    this.request("PUT", "/1.0/services/rbd-mirror", request, options);
  disableMirror = (request: Draft<typeof disableServiceRequest>, options?: CallOptions): Promise<Job> =>
    this.request("DELETE", "/1.0/services/rbd-mirror", request, options);
  fileMirrors = (options?: CallOptions): Promise<PlacedReport> =>
    this.#get("/1.0/services/cephfs-mirror", options);
  enableFileMirror = (request: Draft<typeof enableMirrorRequest>, options?: CallOptions): Promise<Job> =>
    this.request("PUT", "/1.0/services/cephfs-mirror", request, options);
  disableFileMirror = (request: Draft<typeof disableServiceRequest>, options?: CallOptions): Promise<Job> =>
    this.request("DELETE", "/1.0/services/cephfs-mirror", request, options);
  fileReplication = (volume?: string, options?: CallOptions): Promise<readonly ReplicatedFileSystem[]> =>
    this.#get(
      `/1.0/replication/cephfs${volume === undefined ? "" : `?volume=${encodeURIComponent(volume)}`}`,
      { deadlineMs: mirrorMs, ...options },
    );
  enableFileReplication = (
    request: Draft<typeof enableFileReplicationRequest>,
    options?: CallOptions,
  ): Promise<ReplicatedFileSystem> =>
    this.request("POST", "/1.0/replication/cephfs/enable", request, { deadlineMs: mirrorMs, ...options });
  disableFileReplication = (
    request: Draft<typeof disableFileReplicationRequest>,
    options?: CallOptions,
  ): Promise<{ readonly volume: string }> =>
    this.request("POST", "/1.0/replication/cephfs/disable", request, { deadlineMs: mirrorMs, ...options });
  counted = (daemon: CountedName, options?: CallOptions): Promise<PlacedReport> =>
    this.#get(`/1.0/services/${daemon}`, options);
  enableCounted = (
    daemon: CountedName,
    request: Draft<typeof countedRequest>,
    options?: CallOptions,
  ): Promise<Job> => this.request("PUT", `/1.0/services/${daemon}`, request, options);
  disableCounted = (
    daemon: CountedName,
    request: Draft<typeof countedRequest>,
    options?: CallOptions,
  ): Promise<Job> => this.request("DELETE", `/1.0/services/${daemon}`, request, options);
  nfs = (options?: CallOptions): Promise<PlacedReport> => this.#get("/1.0/services/nfs", options);
  enableNfs = (request: Draft<typeof enableNfsRequest>, options?: CallOptions): Promise<Job> =>
    this.request("PUT", "/1.0/services/nfs", request, options);
  disableNfs = (request: Draft<typeof disableNfsRequest>, options?: CallOptions): Promise<Job> =>
    this.request("DELETE", "/1.0/services/nfs", request, options);
  exports = (options?: CallOptions): Promise<readonly NfsExportRow[]> =>
    this.#get("/1.0/nfs/exports", options);
  createExport = (request: Draft<typeof nfsExportRequest>, options?: CallOptions): Promise<NfsExportRow> =>
    this.request("POST", "/1.0/nfs/exports", request, { deadlineMs: slowMs, ...options });
  removeExport = (request: Draft<typeof nfsExportRemoval>, options?: CallOptions): Promise<NfsExportRow> =>
    this.request("DELETE", "/1.0/nfs/exports", request, options);
  exportCluster = (request: Draft<typeof exportRequest>, options?: CallOptions): Promise<ExportReply> =>
    this.request("POST", "/1.0/cluster/export", request, { deadlineMs: slowMs, ...options });
  remotes = (options?: CallOptions): Promise<readonly RemoteRow[]> =>
    this.#get("/1.0/remotes", { deadlineMs: slowMs, ...options });
  importRemote = (
    name: string,
    request: Draft<typeof importRequest>,
    options?: CallOptions,
  ): Promise<RemoteRow> =>
    this.request("PUT", `/1.0/remotes/${encodeURIComponent(name)}`, request, {
      deadlineMs: slowMs,
      ...options,
    });
  removeRemote = (name: string, options?: CallOptions): Promise<RemoteRow> =>
    this.request(
      "DELETE",
      `/1.0/remotes/${encodeURIComponent(name)}`,
      {},
      { deadlineMs: mirrorMs, ...options },
    );
  replication = (pool?: string, options?: CallOptions): Promise<readonly ReplicatedPool[]> =>
    this.#get(`/1.0/replication/rbd${pool === undefined ? "" : `?pool=${encodeURIComponent(pool)}`}`, {
      deadlineMs: mirrorMs,
      ...options,
    });
  enableReplication = (
    request: Draft<typeof enableReplicationRequest>,
    options?: CallOptions,
  ): Promise<ReplicatedPool> => this.#mirror("enable", request, options);
  disableReplication = (
    request: Draft<typeof disableReplicationRequest>,
    options?: CallOptions,
  ): Promise<{ readonly pool: string }> => this.#mirror("disable", request, options);
  configureReplication = (
    request: Draft<typeof configureReplicationRequest>,
    options?: CallOptions,
  ): Promise<ReplicatedPool> => this.#mirror("configure", request, options);
  resyncReplication = (
    request: Draft<typeof resyncRequest>,
    options?: CallOptions,
  ): Promise<{ readonly images: readonly string[] }> => this.#mirror("resync", request, options);
  promoteSite = (request: Draft<typeof siteRequest>, options?: CallOptions): Promise<Job> =>
    this.#mirror("promote", request, options);
  demoteSite = (request: Draft<typeof siteRequest>, options?: CallOptions): Promise<Job> =>
    this.#mirror("demote", request, options);
  #mirror<T>(verb: string, request: object, options?: CallOptions): Promise<T> {
    return this.request("POST", `/1.0/replication/rbd/${verb}`, request, {
      deadlineMs: mirrorMs,
      ...options,
    });
  }
  ingress = (options?: CallOptions): Promise<PlacedReport> => this.#get("/1.0/services/ingress", options);
  enableIngress = (request: Draft<typeof enableIngressRequest>, options?: CallOptions): Promise<Job> =>
    this.request("PUT", "/1.0/services/ingress", request, { deadlineMs: 20_000, ...options });
  disableIngress = (request: Draft<typeof disableServiceRequest>, options?: CallOptions): Promise<Job> =>
    this.request("DELETE", "/1.0/services/ingress", request, options);
  explain = (subject: string, options?: CallOptions): Promise<Explanation> =>
    this.#get(`/1.0/mesh/explain/${encodeURIComponent(subject)}`, options);
  s3Users = (options?: CallOptions): Promise<readonly S3UserRow[]> =>
    this.#get("/1.0/s3/users", { deadlineMs: s3Ms, ...options });
  createS3User = (request: Draft<typeof s3UserRequest>, options?: CallOptions): Promise<S3User> =>
    this.request("POST", "/1.0/s3/users", request, { deadlineMs: s3Ms, ...options });
  s3User = (user: string, options?: CallOptions): Promise<S3User> =>
    this.#get(`/1.0/s3/users/${encodeURIComponent(user)}`, { deadlineMs: s3Ms, ...options });
  createS3Key = (user: string, request: Draft<typeof s3KeyRequest>, options?: CallOptions): Promise<S3User> =>
    this.request("POST", `/1.0/s3/users/${encodeURIComponent(user)}/keys`, request, {
      deadlineMs: s3Ms,
      ...options,
    });
  removeS3User = (user: string, request: Draft<typeof s3UserRemoval>, options?: CallOptions): Promise<Job> =>
    this.request("DELETE", `/1.0/s3/users/${encodeURIComponent(user)}`, request, {
      deadlineMs: s3Ms,
      ...options,
    });
  s3Buckets = (options?: CallOptions): Promise<readonly S3Bucket[]> =>
    this.#get("/1.0/s3/buckets", { deadlineMs: s3Ms, ...options });

  settings = (options?: CallOptions): Promise<Settings> => this.#get("/1.0/settings", options);
  setting = (key: string, options?: CallOptions): Promise<Setting> =>
    this.#get(`/1.0/settings/${encodeURIComponent(key)}`, options);
  setSetting = (key: string, value: string, options?: CallOptions): Promise<Setting> =>
    this.request("PUT", `/1.0/settings/${encodeURIComponent(key)}`, { value }, options);
  resetSetting = (key: string, options?: CallOptions): Promise<Settings> =>
    this.request("DELETE", `/1.0/settings/${encodeURIComponent(key)}`, null, options);
  journal = (limit = 100, options?: CallOptions): Promise<readonly JournalEntry[]> =>
    this.#get(`/1.0/journal?limit=${limit}`, options);

  jobs = (options?: CallOptions): Promise<readonly Job[]> => this.#get("/1.0/jobs", options);
  job = (id: string, options?: CallOptions): Promise<Job> =>
    this.#get(`/1.0/jobs/${encodeURIComponent(id)}`, options);
  /** The job when it ended, or as it is after so many seconds. */
  waitForJob = (id: string, seconds: number, options: CallOptions = {}): Promise<Job> =>
    this.#get(`/1.0/jobs/${encodeURIComponent(id)}/wait?timeout=${seconds}`, {
      ...options,
      deadlineMs: options.deadlineMs ?? seconds * 1000 + defaultDeadlineMs,
    });

  /** The job's end. A daemon that restarts meanwhile takes the job up again, so its absence is sat out. */
  async finishJob(started: Job, options: WaitOptions = {}): Promise<Job> {
    const { signal, onLook, patienceMs = 30_000 } = options;
    let job = started;
    let awayAt: number | undefined;
    onLook?.(job);
    while (job.state === "running") {
      try {
        job = await this.waitForJob(job.id, 1, signal ? { signal } : {});
        awayAt = undefined;
        onLook?.(job);
      } catch (error) {
        const away = isMicrocephError(error) && awayCodes.has(error.code);
        if (!away || signal?.aborted) throw error;
        awayAt ??= performance.now();
        if (performance.now() - awayAt > patienceMs) throw error;
        onLook?.(undefined);
        await pause(500, signal);
      }
    }
    return job;
  }

  /** Figures of the daemon in Prometheus' text format. */
  async metrics(): Promise<string> {
    try {
      const answer = await this.#open(
        "GET",
        "/1.0/metrics",
        undefined,
        AbortSignal.timeout(defaultDeadlineMs),
      );
      const content = await readAll(answer);
      if (answer.statusCode !== 200) throw errorFromEnvelope(parseEnvelope(content));
      return content;
    } catch (error) {
      throw connectionError(error, this.#options.socketPath);
    }
  }

  /**
   * The kept events after `since`, then those that happen. Ends when the daemon stops or on the signal; with
   * `follow: false` after those that are kept (without `since` all of them).
   */
  async *events(options: EventOptions = {}): AsyncGenerator<MeshEvent> {
    const { since, follow = true } = options;
    const query = [...(since === undefined ? [] : [`since=${since}`]), ...(follow ? [] : ["follow=false"])];
    const path = query.length === 0 ? "/1.0/events" : `/1.0/events?${query.join("&")}`;
    let answer: IncomingMessage | undefined;
    try {
      answer = await this.#open("GET", path, undefined, options.signal);
      if (answer.statusCode !== 200) throw errorFromEnvelope(parseEnvelope(await readAll(answer)));
      for await (const line of readLines(answer)) if (line !== "") yield JSON.parse(line) as MeshEvent;
    } catch (error) {
      if (!options.signal?.aborted) throw connectionError(error, this.#options.socketPath);
    } finally {
      answer?.destroy();
    }
  }

  /** Any request: the metadata of its answer. */
  async request<T>(
    method: "GET" | "POST" | "PUT" | "DELETE",
    path: string,
    body?: unknown,
    options: CallOptions = {},
  ): Promise<T> {
    const deadlineMs = options.deadlineMs ?? defaultDeadlineMs;
    const deadline = AbortSignal.timeout(deadlineMs);
    const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline;
    let content: string;
    try {
      const { trace } = this.#options;
      // The first look at this clock costs 2 ms of start-up.
      const startedAt = trace ? performance.now() : 0;
      const answer = await this.#open(method, path, body, signal);
      content = await readAll(answer);
      trace?.(`${method} ${path} ${answer.statusCode} ${Math.round(performance.now() - startedAt)} ms`);
    } catch (error) {
      if (options.signal?.aborted) throw new MicrocephError("CANCELLED", "the call was cancelled");
      if (deadline.aborted) {
        throw new MicrocephError("DEADLINE_EXCEEDED", `the daemon did not answer within ${deadlineMs} ms`);
      }
      throw connectionError(error, this.#options.socketPath);
    }
    const envelope = parseEnvelope(content);
    if (envelope.type === "error") throw errorFromEnvelope(envelope);
    return envelope.metadata as T;
  }

  #get<T>(path: string, options?: CallOptions): Promise<T> {
    return this.request("GET", path, undefined, options);
  }

  #open(method: string, path: string, body: unknown, signal?: AbortSignal): Promise<IncomingMessage> {
    // An import of node:http at the top would cost 20 ms of start-up.
    const http = process.getBuiltinModule("node:http");
    const { socketPath, target } = this.#options;
    const mark = path.includes("?") ? "&" : "?";
    const payload = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const request = http.request(
        {
          socketPath,
          method,
          path: target === undefined ? path : `${path}${mark}target=${encodeURIComponent(target)}`,
          agent: false,
          ...noServerName,
          headers:
            payload === undefined
              ? {}
              : { "content-type": "application/json", "content-length": Buffer.byteLength(payload) },
          ...(signal ? { signal } : {}),
        },
        resolve,
      );
      request.once("error", reject);
      request.end(payload);
    });
  }
}

/** The error of a job that failed; the job's own code where it is one of ours. */
export function jobError(job: Job): MicrocephError {
  const code = job.error?.code;
  return new MicrocephError(isErrorCode(code) ? code : "INTERNAL", job.error?.message ?? "the job failed", {
    data: { job: job.id },
  });
}

async function readAll(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > answerLimitBytes) throw new Error("the answer is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseEnvelope(content: string): Envelope {
  try {
    const envelope = JSON.parse(content) as Envelope;
    if (typeof envelope === "object" && envelope !== null && "metadata" in envelope) return envelope;
  } catch {
    // Said below.
  }
  throw new MicrocephError("INTERNAL", `the daemon's answer is no envelope: ${content.slice(0, 80)}`);
}

function connectionError(error: unknown, socketPath: string): MicrocephError {
  if (isMicrocephError(error)) return error;
  const code = (error as NodeJS.ErrnoException).code;
  const data = { socketPath };
  switch (code) {
    case "ENOENT":
    case "ECONNREFUSED":
    case "ENOTDIR":
    case "ENOTSOCK":
      return new MicrocephError("DAEMON_NOT_RUNNING", `no daemon answers on ${socketPath}`, { data });
    case "ECONNRESET":
    case "EPIPE":
      return new MicrocephError("DAEMON_NOT_RUNNING", "the daemon went away before it answered", { data });
    case "EACCES":
    case "EPERM":
      return new MicrocephError("PERMISSION_DENIED", `may not open ${socketPath}`, { data });
    default:
      return new MicrocephError("INTERNAL", `cannot talk to the daemon: ${messageOf(error)}`, { data });
  }
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done, { once: true });
  });
}
