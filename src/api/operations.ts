import type { Json } from "../ids/json.ts";
import type { BackupReply, backupRequest, RestoreReply, restoreRequest } from "./contract/backup.ts";
import type {
  ClientConfigRow,
  ConfigOption,
  ConfigRow,
  clientConfigParams,
  clientConfigRequest,
  clientConfigReset,
  configChange,
  configParams,
  configReset,
  LogLevel,
  logLevelRequest,
} from "./contract/ceph-config.ts";
import type { bootstrapRequest, ClusterMember } from "./contract/cluster.ts";
import type {
  AvailableDisk,
  addDisksRequest,
  adoptDisksRequest,
  ConfiguredDisk,
  EncryptionSupportReply,
  NodeInventory,
  osdParams,
  removeDiskRequest,
  replaceDiskRequest,
} from "./contract/disks.ts";
import type {
  failureDomainPlanRequest,
  failureDomainRequest,
  Zone,
  zoneRequest,
} from "./contract/failure-domain.ts";
import type {
  disableFileReplicationRequest,
  enableFileReplicationRequest,
  FolderProgress,
  fileProgressQuery,
  fileReplicationQuery,
  ReplicatedFileSystem,
} from "./contract/file-replication.ts";
import type {
  FileSystemRow,
  fileSystemParams,
  fileSystemRemoval,
  fileSystemRequest,
} from "./contract/file-systems.ts";
import type { Job, jobParams, jobWaitQuery } from "./contract/jobs.ts";
import type { JournalEntry, journalQuery } from "./contract/journal.ts";
import type { maintenanceParams, maintenanceRequest } from "./contract/maintenance.ts";
import type {
  Admission,
  admissionRequest,
  approveRequest,
  denyRequest,
  FingerprintReport,
  joinRequest,
  MeshStatus,
  NamedNodes,
  releaseRequest,
  SelfStatus,
  StaticPeerReply,
  staticPeerRequest,
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
  explanationParams,
  PlacedReport,
} from "./contract/placed-services.ts";
import type {
  PoolRow,
  poolParams,
  poolRemoval,
  poolRequest,
  ReplicasPlan,
  replicasRequest,
} from "./contract/pools.ts";
import type { RecoveryPlan, recoveryRequest } from "./contract/recovery.ts";
import type {
  memberParams,
  RemovalPlan,
  RemovalReply,
  removalCancel,
  removalRequest,
  renameRequest,
} from "./contract/removal.ts";
import type {
  configureReplicationRequest,
  disableReplicationRequest,
  ExportReply,
  enableReplicationRequest,
  exportRequest,
  importRequest,
  RemoteRow,
  ReplicatedPool,
  remoteParams,
  replicationQuery,
  resyncRequest,
  siteRequest,
} from "./contract/replication.ts";
import type { ResetReply, resetRequest } from "./contract/reset.ts";
import type {
  S3Bucket,
  S3User,
  S3UserRow,
  s3KeyRequest,
  s3UserParams,
  s3UserRemoval,
  s3UserRequest,
} from "./contract/s3.ts";
import type { Shape } from "./contract/shape.ts";
import type {
  Health,
  Readiness,
  readyQuery,
  ServerInfo,
  Service,
  Setting,
  Settings,
  StatusReport,
  settingParams,
  settingRequest,
} from "./contract/status.ts";
import type {
  IssuedTokenReply,
  ShownTokenReply,
  tokenJoinRequest,
  tokenParams,
  tokenRequest,
} from "./contract/tokens.ts";
import type {
  InstalledPrograms,
  restartParams,
  UpgradePlan,
  upgradeQuery,
  upgradeRequest,
} from "./contract/upgrade.ts";
import type { EventSource } from "./event-stream.ts";

export interface RequestContext {
  /** Milliseconds until the request's deadline, counted from its arrival. */
  readonly deadlineMs: number;
  /** Aborted when the caller left or the deadline passed. */
  readonly signal: AbortSignal;
}

/** A request for another member, to be handed to its server as it is. */
export interface ForwardRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Path and query without `target`. */
  readonly path: string;
  /** Null when there is none. */
  readonly body: Json;
}

export interface ForwardReply {
  /** HTTP status. */
  readonly status: number;
  /** The other server's envelope. */
  readonly body: Json;
}

/**
 * What the daemon does for the API: one method per endpoint of the contract, with path, query and body
 * parameters in one input. Throw a MicrocephError for a coded refusal. Every method but `ready` and `waitForJob` answers
 * within two seconds from local knowledge; what takes longer is a job.
 */
export interface Operations {
  server(input: Nothing, context: RequestContext): Promise<ServerInfo>;
  /** When it is ready, when what it waits for changes, or after `timeout` seconds. */
  ready(input: Shape<typeof readyQuery>, context: RequestContext): Promise<Readiness>;
  status(input: Nothing, context: RequestContext): Promise<StatusReport>;
  health(input: Nothing, context: RequestContext): Promise<Health>;

  mesh(input: Nothing, context: RequestContext): Promise<MeshStatus>;
  approve(input: Shape<typeof approveRequest>, context: RequestContext): Promise<NamedNodes>;
  staticPeers(input: Nothing, context: RequestContext): Promise<readonly StaticPeerReply[]>;
  addStaticPeer(
    input: Shape<typeof staticPeerRequest>,
    context: RequestContext,
  ): Promise<readonly StaticPeerReply[]>;
  /** Throws NOT_FOUND. */
  removeStaticPeer(
    input: Shape<typeof staticPeerRequest>,
    context: RequestContext,
  ): Promise<readonly StaticPeerReply[]>;
  deny(input: Shape<typeof denyRequest>, context: RequestContext): Promise<NamedNodes>;
  admission(input: Nothing, context: RequestContext): Promise<Admission>;
  setAdmission(input: Shape<typeof admissionRequest>, context: RequestContext): Promise<Admission>;
  fingerprint(input: Nothing, context: RequestContext): Promise<FingerprintReport>;
  join(input: Shape<typeof joinRequest>, context: RequestContext): Promise<SelfStatus>;
  release(input: Shape<typeof releaseRequest>, context: RequestContext): Promise<SelfStatus>;

  bootstrap(input: Shape<typeof bootstrapRequest>, context: RequestContext): Promise<Job>;
  /** Throws NAME_TAKEN. */
  issueToken(input: Shape<typeof tokenRequest>, context: RequestContext): Promise<IssuedTokenReply>;
  tokens(input: Nothing, context: RequestContext): Promise<readonly ShownTokenReply[]>;
  /** Throws NOT_FOUND. */
  revokeToken(input: Shape<typeof tokenParams>, context: RequestContext): Promise<{ readonly name: string }>;
  /** Throws USAGE, ALREADY_INITIALIZED; the job fails with TOKEN_REFUSED. */
  joinByToken(input: Shape<typeof tokenJoinRequest>, context: RequestContext): Promise<Job>;
  members(input: Nothing, context: RequestContext): Promise<readonly ClusterMember[]>;
  /** The job's result is a `FailureDomainReport`. */
  planFailureDomain(input: Shape<typeof failureDomainPlanRequest>, context: RequestContext): Promise<Job>;
  /** The same; the job fails with RULE_NOT_OURS, CONSENT_NEEDED or DOWNGRADE_UNCONFIRMED. */
  setFailureDomain(input: Shape<typeof failureDomainRequest>, context: RequestContext): Promise<Job>;
  zones(input: Nothing, context: RequestContext): Promise<readonly Zone[]>;
  /** The job's result is a `ZoneReply`; it fails with CONSENT_NEEDED. Throws NOT_FOUND, AMBIGUOUS_NODE. */
  planRemoval(input: Shape<typeof removalRequest>, context: RequestContext): Promise<RemovalPlan>;
  removeMember(input: Shape<typeof removalRequest>, context: RequestContext): Promise<Job>;
  cancelRemoval(input: Shape<typeof removalCancel>, context: RequestContext): Promise<RemovalReply>;
  /** Throws RESET_REFUSED. */
  reset(input: Shape<typeof resetRequest>, context: RequestContext): Promise<ResetReply>;
  planRecovery(input: Nothing, context: RequestContext): Promise<RecoveryPlan>;
  /** The job's result is a `RecoveryReply`. Throws RECOVERY_REFUSED, NOT_FOUND. */
  recover(input: Shape<typeof recoveryRequest>, context: RequestContext): Promise<Job>;
  /** Throws BACKUP_REFUSED, USAGE, NO_QUORUM. */
  backup(input: Shape<typeof backupRequest>, context: RequestContext): Promise<BackupReply>;
  /** Throws BACKUP_REFUSED, ALREADY_INITIALIZED. */
  restore(input: Shape<typeof restoreRequest>, context: RequestContext): Promise<RestoreReply>;
  planMonitorRebuild(input: Nothing, context: RequestContext): Promise<RebuildPlan>;
  /** The job's result is a `RebuildReply`. Throws RECOVERY_REFUSED, NOT_FOUND. */
  rebuildMonitors(input: Shape<typeof rebuildRequest>, context: RequestContext): Promise<Job>;
  /** Throws NOT_READY. */
  networks(): Promise<NetworksShown>;
  /** The job's result is a `NetworksReply`. Throws USAGE, SETTING_REFUSED, UPGRADE_BLOCKED. */
  changeNetworks(input: Shape<typeof networksChange>, context: RequestContext): Promise<Job>;
  /** Throws NOT_FOUND, AMBIGUOUS_NODE, MEMBER_DEAD, NOTHING_TO_MOVE. */
  migrate(input: Shape<typeof migrationRequest>): Promise<Job>;
  programs(): Promise<InstalledPrograms>;
  planUpgrade(input: Shape<typeof upgradeQuery>, context: RequestContext): Promise<UpgradePlan>;
  upgrade(input: Shape<typeof upgradeRequest>, context: RequestContext): Promise<Job>;
  rekeyService(): Promise<Job>;
  restartService(input: Shape<typeof restartParams>): Promise<Job>;
  pools(input: object, context: RequestContext): Promise<readonly PoolRow[]>;
  createPool(input: Shape<typeof poolRequest>, context: RequestContext): Promise<PoolRow>;
  removePool(
    input: Shape<typeof poolParams> & Shape<typeof poolRemoval>,
    context: RequestContext,
  ): Promise<Job>;
  fileSystems(input: object, context: RequestContext): Promise<readonly FileSystemRow[]>;
  createFileSystem(input: Shape<typeof fileSystemRequest>, context: RequestContext): Promise<FileSystemRow>;
  removeFileSystem(
    input: Shape<typeof fileSystemParams> & Shape<typeof fileSystemRemoval>,
    context: RequestContext,
  ): Promise<Job>;
  planReplicas(input: Shape<typeof replicasRequest>, context: RequestContext): Promise<ReplicasPlan>;
  setReplicas(input: Shape<typeof replicasRequest>, context: RequestContext): Promise<Job>;
  config(input: object, context: RequestContext): Promise<readonly ConfigRow[]>;
  configOption(input: Shape<typeof configParams>, context: RequestContext): Promise<ConfigOption>;
  changeConfig(input: Shape<typeof configChange>, context: RequestContext): Promise<Job>;
  resetConfig(input: Shape<typeof configReset>, context: RequestContext): Promise<Job>;
  clientConfig(): Promise<readonly ClientConfigRow[]>;
  setClientConfig(
    input: Shape<typeof clientConfigParams> & Shape<typeof clientConfigRequest>,
  ): Promise<readonly ClientConfigRow[]>;
  resetClientConfig(
    input: Shape<typeof clientConfigParams> & Shape<typeof clientConfigReset>,
  ): Promise<readonly ClientConfigRow[]>;
  logLevel(): Promise<LogLevel>;
  setLogLevel(input: Shape<typeof logLevelRequest>): Promise<LogLevel>;
  dashboard(input: object, context: RequestContext): Promise<PanelReport>;
  enableDashboard(input: Shape<typeof enableDashboardRequest>, context: RequestContext): Promise<PanelReport>;
  disableDashboard(input: object, context: RequestContext): Promise<PanelReport>;
  prometheus(input: object, context: RequestContext): Promise<PanelReport>;
  enablePrometheus(
    input: Shape<typeof enablePrometheusRequest>,
    context: RequestContext,
  ): Promise<PanelReport>;
  disablePrometheus(input: object, context: RequestContext): Promise<PanelReport>;
  renameMember(
    input: Shape<typeof memberParams> & Shape<typeof renameRequest>,
    context: RequestContext,
  ): Promise<RemovalReply>;
  /** The job's result is a `MaintenanceReport`. Throws NOT_FOUND, AMBIGUOUS_NODE, USAGE. */
  maintenance(
    input: Shape<typeof maintenanceParams> & Shape<typeof maintenanceRequest>,
    context: RequestContext,
  ): Promise<Job>;
  setZone(input: Shape<typeof zoneRequest>, context: RequestContext): Promise<Job>;

  disks(input: Nothing, context: RequestContext): Promise<readonly ConfiguredDisk[]>;
  availableDisks(input: Nothing, context: RequestContext): Promise<readonly AvailableDisk[]>;
  diskInventory(input: Nothing, context: RequestContext): Promise<readonly NodeInventory[]>;
  /** Of an OSD of this node; the job ends when it is up, or stopped. Throws NOT_FOUND, naming its node. */
  removeDisk(
    input: Shape<typeof osdParams> & Shape<typeof removeDiskRequest>,
    context: RequestContext,
  ): Promise<Job>;
  adoptDisks(input: Shape<typeof adoptDisksRequest>, context: RequestContext): Promise<Job>;
  /** The job's result: {osd, path}. */
  replaceDisk(
    input: Shape<typeof osdParams> & Shape<typeof replaceDiskRequest>,
    context: RequestContext,
  ): Promise<Job>;
  cancelDiskRemoval(
    input: Shape<typeof osdParams>,
    context: RequestContext,
  ): Promise<{ readonly osd: number }>;
  restartOsd(input: Shape<typeof osdParams>, context: RequestContext): Promise<Job>;
  stopOsd(input: Shape<typeof osdParams>, context: RequestContext): Promise<Job>;
  startOsd(input: Shape<typeof osdParams>, context: RequestContext): Promise<Job>;
  /** Throws NOT_FOUND, naming its node; the job fails with NOT_ENCRYPTED. */
  rotateOsdKey(input: Shape<typeof osdParams>, context: RequestContext): Promise<Job>;
  encryptionSupport(input: Nothing, context: RequestContext): Promise<EncryptionSupportReply>;
  /** The job's result is a `DiskReport`. */
  addDisks(input: Shape<typeof addDisksRequest>, context: RequestContext): Promise<Job>;
  services(input: Nothing, context: RequestContext): Promise<readonly Service[]>;
  gateways(input: Nothing, context: RequestContext): Promise<PlacedReport>;
  /** The job's result is a `PlacedReport`; it fails with SERVICE_REFUSED. Throws NOT_FOUND, AMBIGUOUS_NODE. */
  enableGateway(input: Shape<typeof enableGatewayRequest>, context: RequestContext): Promise<Job>;
  /** The same. */
  disableGateway(input: Shape<typeof disableServiceRequest>, context: RequestContext): Promise<Job>;
  /** The same. Throws NOT_FOUND, USAGE. */
  setGatewayCertificate(input: Shape<typeof certificateRequest>, context: RequestContext): Promise<Job>;
  mirrors(input: Nothing, context: RequestContext): Promise<PlacedReport>;
  /** The job's result is a `PlacedReport`; it fails with SERVICE_REFUSED. Throws NOT_FOUND, AMBIGUOUS_NODE. */
  enableMirror(input: Shape<typeof enableMirrorRequest>, context: RequestContext): Promise<Job>;
  disableMirror(input: Shape<typeof disableServiceRequest>, context: RequestContext): Promise<Job>;
  fileMirrors(input: Nothing, context: RequestContext): Promise<PlacedReport>;
  /** The job's result is a `PlacedReport`; it fails with SERVICE_REFUSED. Throws NOT_FOUND, AMBIGUOUS_NODE. */
  enableFileMirror(input: Shape<typeof enableMirrorRequest>, context: RequestContext): Promise<Job>;
  disableFileMirror(input: Shape<typeof disableServiceRequest>, context: RequestContext): Promise<Job>;
  /** Throws NOT_FOUND for a file system that is not mirrored. */
  fileReplication(
    input: Shape<typeof fileReplicationQuery>,
    context: RequestContext,
  ): Promise<readonly ReplicatedFileSystem[]>;
  fileProgress(
    input: Shape<typeof fileProgressQuery>,
    context: RequestContext,
  ): Promise<readonly FolderProgress[]>;
  /** Throws NOT_FOUND, USAGE, REPLICATION_CONFLICT. */
  enableFileReplication(
    input: Shape<typeof enableFileReplicationRequest>,
    context: RequestContext,
  ): Promise<ReplicatedFileSystem>;
  /** Throws NOT_FOUND, USAGE, REPLICATION_CONFLICT. */
  disableFileReplication(
    input: Shape<typeof disableFileReplicationRequest>,
    context: RequestContext,
  ): Promise<{ readonly volume: string }>;
  counted(input: Shape<typeof countedParams>, context: RequestContext): Promise<PlacedReport>;
  /** The job's result is a `PlacedReport`. Throws NOT_FOUND, AMBIGUOUS_NODE. */
  enableCounted(
    input: Shape<typeof countedParams> & Shape<typeof countedRequest>,
    context: RequestContext,
  ): Promise<Job>;
  /** The same. Throws DAEMON_NEEDED. */
  disableCounted(
    input: Shape<typeof countedParams> & Shape<typeof countedRequest>,
    context: RequestContext,
  ): Promise<Job>;
  nfs(input: Nothing, context: RequestContext): Promise<PlacedReport>;
  /** The job's result is a `PlacedReport`; it fails with SERVICE_REFUSED. Throws NOT_FOUND, AMBIGUOUS_NODE, NAME_TAKEN. */
  enableNfs(input: Shape<typeof enableNfsRequest>, context: RequestContext): Promise<Job>;
  disableNfs(input: Shape<typeof disableNfsRequest>, context: RequestContext): Promise<Job>;
  exports(input: Nothing, context: RequestContext): Promise<readonly NfsExportRow[]>;
  /** Throws NOT_FOUND, NAME_TAKEN. */
  createExport(input: Shape<typeof nfsExportRequest>, context: RequestContext): Promise<NfsExportRow>;
  /** Throws NOT_FOUND. */
  removeExport(input: Shape<typeof nfsExportRemoval>, context: RequestContext): Promise<NfsExportRow>;
  exportCluster(input: Shape<typeof exportRequest>, context: RequestContext): Promise<ExportReply>;
  remotes(input: Nothing, context: RequestContext): Promise<readonly RemoteRow[]>;
  /** Throws USAGE, NAME_TAKEN, what the other site refuses. */
  importRemote(
    input: Shape<typeof remoteParams> & Shape<typeof importRequest>,
    context: RequestContext,
  ): Promise<RemoteRow>;
  /** Throws NOT_FOUND, REMOTE_IN_USE. */
  removeRemote(input: Shape<typeof remoteParams>, context: RequestContext): Promise<RemoteRow>;
  replication(
    input: Shape<typeof replicationQuery>,
    context: RequestContext,
  ): Promise<readonly ReplicatedPool[]>;
  /** These throw NOT_FOUND, USAGE, REPLICATION_CONFLICT, DATA_LOSS_UNCONFIRMED, what Ceph refuses. */
  enableReplication(
    input: Shape<typeof enableReplicationRequest>,
    context: RequestContext,
  ): Promise<ReplicatedPool>;
  disableReplication(
    input: Shape<typeof disableReplicationRequest>,
    context: RequestContext,
  ): Promise<{ readonly pool: string }>;
  configureReplication(
    input: Shape<typeof configureReplicationRequest>,
    context: RequestContext,
  ): Promise<ReplicatedPool>;
  resyncReplication(
    input: Shape<typeof resyncRequest>,
    context: RequestContext,
  ): Promise<{ readonly images: readonly string[] }>;
  /** The job's result is a `SiteReply`; it fails with REPLICATION_INCOMPLETE. */
  promoteSite(input: Shape<typeof siteRequest>, context: RequestContext): Promise<Job>;
  demoteSite(input: Shape<typeof siteRequest>, context: RequestContext): Promise<Job>;
  ingress(input: Nothing, context: RequestContext): Promise<PlacedReport>;
  /** The same. Throws ADDRESS_IN_USE, USAGE, NOT_FOUND, AMBIGUOUS_NODE. */
  enableIngress(input: Shape<typeof enableIngressRequest>, context: RequestContext): Promise<Job>;
  disableIngress(input: Shape<typeof disableServiceRequest>, context: RequestContext): Promise<Job>;
  /** Throws NO_QUORUM, PEER_UNREACHABLE. */
  explain(input: Shape<typeof explanationParams>, context: RequestContext): Promise<Explanation>;
  /** These throw GATEWAY_NEEDED, and NOT_FOUND or NAME_TAKEN for a user. */
  s3Users(input: Nothing, context: RequestContext): Promise<readonly S3UserRow[]>;
  createS3User(input: Shape<typeof s3UserRequest>, context: RequestContext): Promise<S3User>;
  s3User(input: Shape<typeof s3UserParams>, context: RequestContext): Promise<S3User>;
  createS3Key(
    input: Shape<typeof s3UserParams> & Shape<typeof s3KeyRequest>,
    context: RequestContext,
  ): Promise<S3User>;
  /** Throws USER_HAS_BUCKETS. */
  removeS3User(
    input: Shape<typeof s3UserParams> & Shape<typeof s3UserRemoval>,
    context: RequestContext,
  ): Promise<Job>;
  s3Buckets(input: Nothing, context: RequestContext): Promise<readonly S3Bucket[]>;

  jobs(input: Nothing, context: RequestContext): Promise<readonly Job[]>;
  /** Throws NOT_FOUND. */
  job(input: Shape<typeof jobParams>, context: RequestContext): Promise<Job>;
  /** The job when it ended, or as it is after `timeout` seconds. Throws NOT_FOUND. */
  waitForJob(
    input: Shape<typeof jobParams> & Shape<typeof jobWaitQuery>,
    context: RequestContext,
  ): Promise<Job>;

  settings(input: Nothing, context: RequestContext): Promise<Settings>;
  setting(input: Shape<typeof settingParams>, context: RequestContext): Promise<Setting>;
  setSetting(
    input: Shape<typeof settingParams> & Shape<typeof settingRequest>,
    context: RequestContext,
  ): Promise<Setting>;
  resetSetting(input: Shape<typeof settingParams>, context: RequestContext): Promise<Settings>;
  journal(input: Shape<typeof journalQuery>, context: RequestContext): Promise<readonly JournalEntry[]>;

  /** The stream of this node's events. */
  readonly events: EventSource;
  /** Figures of this daemon in Prometheus' text format. */
  metrics(): string;

  /**
   * Hand a request to the member named by `?target=` (name or PeerId prefix); undefined when that is this
   * node itself. Throws NOT_FOUND, AMBIGUOUS_NODE or PEER_UNREACHABLE.
   */
  forward(
    target: string,
    request: ForwardRequest,
    context: RequestContext,
  ): Promise<ForwardReply | undefined>;
}

/** The endpoint takes no parameters. */
type Nothing = object;
