import type { InventoryDisk } from "../../../src/api/contract/disks.ts";
import type { EventData, EventType, MeshEvent } from "../../../src/api/contract/events.ts";
import type { ReplicatedFileSystem } from "../../../src/api/contract/file-replication.ts";
import type { FileSystemRow } from "../../../src/api/contract/file-systems.ts";
import type { Job } from "../../../src/api/contract/jobs.ts";
import type { RebuildPlan } from "../../../src/api/contract/monitor-rebuild.ts";
import type { NfsExportRow } from "../../../src/api/contract/nfs.ts";
import type { PanelReport } from "../../../src/api/contract/panels.ts";
import type { PlacedReport } from "../../../src/api/contract/placed-services.ts";
import type { PoolRow, ReplicasPlan } from "../../../src/api/contract/pools.ts";
import type { RecoveryPlan } from "../../../src/api/contract/recovery.ts";
import type { S3User } from "../../../src/api/contract/s3.ts";
import type { StatusReport } from "../../../src/api/contract/status.ts";
import type { UpgradePlan } from "../../../src/api/contract/upgrade.ts";
import { notInitialized } from "../../../src/api/not-initialized.ts";
import type { ForwardReply, ForwardRequest, Operations } from "../../../src/api/operations.ts";
import { MicrocephError } from "../../../src/errors/microceph-error.ts";
import type { Json } from "../../../src/ids/json.ts";

export const at = "2026-11-22T10:00:00.000Z";
export const ids = {
  n1: "12D3KooWA1bCdEfGhJkLmNpQrStUvWxYz123456789ABCDEFGHJK",
  n2: "12D3KooWB2bCdEfGhJkLmNpQrStUvWxYz123456789ABCDEFGHJK",
  n3: "12D3KooWC3bCdEfGhJkLmNpQrStUvWxYz123456789ABCDEFGHJK",
  n4: "12D3KooWD4bCdEfGhJkLmNpQrStUvWxYz123456789ABCDEFGHJK",
};
export const clusterId = "0123456789abcdef0123456789abcdef";
export const fsid = "11111111-2222-3333-4444-555555555555";

/** A healthy cluster of three with one pending node. */
export function healthyStatus(): StatusReport {
  const member = (id: string, name: string, octet: number) => ({
    id,
    name,
    handle: name,
    addresses: [`10.77.0.${octet}`],
    presence: "alive" as const,
    lastSeen: at,
    voter: true,
    services: ["mon", "mgr", "mds", "osd"],
    zone: null,
  });
  return {
    asOf: at,
    cluster: {
      id: clusterId,
      name: "microceph",
      fsid,
      admission: { mode: "auto", until: "2026-11-23T09:12:00.000Z" },
    },
    self: {
      id: ids.n1,
      name: "n1",
      handle: "n1",
      state: "member",
      window: { open: false, until: null },
      waitingFor: null,
    },
    lease: {
      holder: ids.n2,
      epoch: 12,
      quorum: "ok",
      lastDecision: { number: 42, at: "2026-11-22T09:57:00.000Z" },
    },
    members: [member(ids.n1, "n1", 11), member(ids.n2, "n2", 12), member(ids.n3, "n3", 13)],
    pending: [
      {
        id: ids.n4,
        name: "n4",
        address: "10.77.0.14",
        fingerprint: "amber-fox-lamp-river",
        windowOpen: true,
        seenBy: [ids.n1, ids.n2],
        firstSeen: "2026-11-22T09:58:00.000Z",
      },
    ],
    conflicts: [],
    health: {
      status: "HEALTH_OK",
      checks: [],
      asOf: at,
      monitors: { total: 3, inQuorum: 3 },
      osds: { total: 3, up: 3, in: 3 },
      pools: 1,
      usage: {
        totalBytes: 12 * 2 ** 30,
        usedBytes: 120 * 2 ** 20,
        availableBytes: 12 * 2 ** 30 - 120 * 2 ** 20,
      },
    },
    disks: [
      { osd: 0, path: "/var/lib/microceph/data/osd/ceph-0/osd-backing.img", location: "n1" },
      { osd: 1, path: "/var/lib/microceph/data/osd/ceph-1/osd-backing.img", location: "n2" },
      { osd: 2, path: "/var/lib/microceph/data/osd/ceph-2/osd-backing.img", location: "n3" },
    ],
    services: [{ service: "mon", location: "n1", group_id: "", info: "" }],
    conditions: [],
  };
}

/** A node that nobody claimed yet and that sees one other. */
export function freshStatus(): StatusReport {
  const healthy = healthyStatus();
  return {
    ...healthy,
    cluster: null,
    self: {
      ...healthy.self,
      handle: null,
      state: "fresh",
      window: { open: true, until: "2026-11-23T09:58:00.000Z" },
      waitingFor: "sees n2 (10.77.0.12); 3 fresh nodes form a cluster, or run `microceph cluster bootstrap`",
    },
    lease: { holder: null, epoch: null, quorum: "none", lastDecision: null },
    members: [],
    pending: [],
    health: null,
    disks: [],
    services: [],
  };
}

export function inventoryDisk(change: Partial<InventoryDisk>): InventoryDisk {
  return {
    path: "/dev/sdb",
    device: "/dev/sdb",
    byId: null,
    byPath: null,
    model: "QEMU DISK",
    vendor: "QEMU",
    sizeBytes: 20 * 2 ** 30,
    type: "scsi",
    rotational: true,
    available: true,
    reasons: [],
    wipeable: false,
    ...change,
  };
}

export interface Call {
  readonly operation: string;
  readonly input: unknown;
}

const failureDomainStub = {
  current: "osd" as const,
  defaultRule: "microceph_auto_osd",
  wish: "auto" as const,
  next: {
    from: "osd" as const,
    to: "host" as const,
    pools: [".mgr"],
    reason: "3 hosts have OSDs",
    moved: { copies: 12, bytes: 64 * 2 ** 30, pools: [{ name: ".mgr", copies: 12, bytes: 64 * 2 ** 30 }] },
  },
  allowedBytes: 10 * 2 ** 30,
  reasons: ["3 hosts have OSDs"],
};

/** In-memory operations: answers from `report`, jobs that end after a few looks, a record of every call. */
export class StubOperations implements Operations {
  report: StatusReport = healthyStatus();
  readonly calls: Call[] = [];
  readonly jobStore = new Map<string, Job>();
  readonly forwarded: { readonly target: string; readonly request: ForwardRequest }[] = [];
  forwardReply: ForwardReply | undefined;
  /** Steps a new job goes through, one per look, before it ends. */
  jobSteps = ["preparing"];
  jobFailure: { code: string; message: string } | null = null;
  encryption = { supported: true, reason_unsupported: "" };
  jobResult: Job["result"] = null;
  maintenanceError = "";
  placedReport: PlacedReport = {
    wanted: { port: 80, targets: [], count: 2, vip: null, tls_port: null, nfs_port: null },
    nodes: [
      { node: "n1", url: "http://10.0.0.1:80", state: "placed" },
      { node: "n2", url: null, state: "waiting" },
    ],
  };
  s3UserReply: S3User = {
    ...{ name: "alice", display_name: "Alice" },
    keys: [{ access_key: "AK", secret_key: "SK" }],
    swift_keys: [],
    endpoints: ["http://10.0.0.1:8080"],
  };
  rebuild: RebuildPlan = {
    refused: null,
    hosts: [
      { name: "n1", presence: "alive", osds: 2 },
      { name: "n2", presence: "failed", osds: 1 },
    ],
    lost: ["n2"],
    steps: ["one monitor is made"],
  };
  recovery: RecoveryPlan = {
    ...{ survivor: "n1", refused: null, generation: 2, lost: ["n2"] },
    members: [
      { name: "n1", voter: true, monitor: true, presence: "alive", last: { generation: 1, revision: 40 } },
      { name: "n2", voter: true, monitor: true, presence: "failed", last: null },
    ],
    steps: ["this node becomes the only voter"],
  };
  poolRows: PoolRow[] = [
    {
      ...{ pool: "data", size: 3, crush_rule: "microceph_auto_host", min_size: 2, pg_num: 8 },
      ...{ erasure: false, applications: ["rbd"], bytes: 7 },
    },
  ];
  fileSystemRows: FileSystemRow[] = [
    {
      ...{ name: "home", metadata_pool: "cephfs.home.meta", data_pools: ["cephfs.home.data"] },
      ...{ active: ["n1"], standby: 2, bytes: 7 },
    },
  ];
  replicasPlan: ReplicasPlan = {
    ...{ size: 2, min_size: 1, default: false, warnings: ["one host has no OSD"] },
    pools: [
      {
        ...{ pool: "data", from: 3, to: 2, crush_rule: "microceph_auto_host", failure_domain: "host" },
        ...{ places: 3, pg_num: 8, bytes: -1024 },
      },
    ],
  };
  panel: PanelReport = {
    ...{ enabled: true, port: 8443, urls: ["https://10.77.0.11:8443/"], user: null, password: null },
  };
  notReplaced: string[] = [];
  dashboardPassword: string | null = "once";
  upgradePlan: UpgradePlan = {
    steps: [{ daemon: "mon.n1", node: "n1", running: "16.2.15", installed: "18.2.7" }],
    nodes: [
      { node: "n1", ceph: "18.2.7", product: "0.1.0", problem: "" },
      { node: "n2", ceph: "", product: "", problem: "it is away" },
    ],
    release: "reef",
    warnings: ["there are fewer than three monitors"],
  };
  readonly joinTokens: { name: string; expires_at: string; used_by: string | null }[] = [];
  readonly peers: { address: string; port: number }[] = [];
  readonly #settings = new Map<string, string>([["rbd_default_features", "63"]]);
  readonly #events: MeshEvent[] = [];
  readonly #listeners = new Set<() => void>();

  #note(operation: string, input: unknown): void {
    this.calls.push({ operation, input });
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  inputOf(operation: string): unknown {
    return this.calls.findLast((call) => call.operation === operation)?.input;
  }

  async server() {
    return {
      name: "n1",
      version: "0.1.0",
      cephVersion: "16.2.15",
      api_version: "1.0" as const,
      api_extensions: ["mesh"],
      state: this.report.self.state,
    };
  }
  async ready() {
    const ready = this.report.health !== null;
    return { ready, storage: ready, waitingFor: ready ? null : "a cluster" };
  }
  async status() {
    return this.report;
  }
  async health() {
    return { conditions: this.report.conditions };
  }
  async mesh() {
    return this.report;
  }
  async approve(input: { readonly nodes: readonly string[]; readonly all: boolean }) {
    this.#note("approve", input);
    const known = this.report.pending.filter((node) => input.all || input.nodes.includes(node.name));
    if (known.length < input.nodes.length)
      throw new MicrocephError("NOT_FOUND", `no node is called ${input.nodes[0]}`);
    return known.map(({ id, name, fingerprint }) => ({ id, name, fingerprint }));
  }
  async removeDisk(input: { readonly osdid: number }) {
    this.#note("removeDisk", input);
    this.jobResult = { osd: input.osdid, uuid: "7e7e7e7e-0000-4000-8000-000000000000", cleaned: true };
    return this.#newJob("disk.remove");
  }
  async adoptDisks(input: object) {
    this.#note("adoptDisks", input);
    this.jobResult = { report: [{ osd: 2, path: "/dev/sdb", report: "Success", error: "" }] };
    return this.#newJob("disk.adopt");
  }
  async replaceDisk(input: { readonly osdid: number; readonly path: string }) {
    this.#note("replaceDisk", input);
    this.jobResult = { osd: input.osdid, path: input.path };
    return this.#newJob("disk.replace");
  }
  async cancelDiskRemoval({ osdid }: { readonly osdid: number }) {
    return { osd: osdid };
  }
  async planRemoval(input: { readonly node: string; readonly dead: boolean }) {
    this.#note("planRemoval", input);
    const left = "2 members with 1 vote will survive no loss of the node with the vote and the monitor";
    const steps = ["its vote is taken away"];
    return { name: input.node, handle: input.node, dead: input.dead, osds: [], steps, left };
  }
  async removeMember(input: { readonly node: string }) {
    this.#note("removeMember", input);
    this.jobResult = { name: input.node, id: ids.n2, left: this.notReplaced };
    return this.#newJob("cluster.remove");
  }
  async cancelRemoval({ node }: { readonly node: string }) {
    return { name: node, id: ids.n2 };
  }
  async issueToken({ name, expire_after }: { readonly name: string; readonly expire_after: number }) {
    this.#note("issueToken", { name, expire_after });
    this.joinTokens.push({ name, expires_at: "2026-11-22T13:00:00.000Z", used_by: null });
    return { name, token: `token-of-${name}`, expires_at: "2026-11-22T13:00:00.000Z" };
  }
  async tokens() {
    return this.joinTokens;
  }
  async revokeToken({ name }: { readonly name: string }) {
    this.joinTokens.splice(0, this.joinTokens.length, ...this.joinTokens.filter((one) => one.name !== name));
    return { name };
  }
  async joinByToken(input: { readonly token: string }) {
    this.#note("joinByToken", input);
    this.jobResult = { cluster: "c", name: "n4" };
    return this.#newJob("cluster.join");
  }
  async staticPeers() {
    return this.peers;
  }
  async addStaticPeer({ address }: { readonly address: string }) {
    this.peers.push({ address, port: 7443 });
    return this.peers;
  }
  async removeStaticPeer({ address }: { readonly address: string }) {
    this.peers.splice(0, this.peers.length, ...this.peers.filter((one) => one.address !== address));
    return this.peers;
  }
  async reset(input: { readonly keep_disks: boolean }) {
    this.#note("reset", input);
    const { self } = this.report;
    this.report = { ...this.report, self: { ...self, id: ids.n2, state: "fresh" as const }, cluster: null };
    return { id: self.id };
  }

  async backup(input: unknown) {
    this.#note("backup", input);
    const of = { cluster: clusterId, name: "lab", at: "2026-11-28T12:00:00.000Z" };
    return { path: "/b", bytes: 5000, ...of, ceph_records: true };
  }

  async restore(input: unknown) {
    this.#note("restore", input);
    const of = { cluster: clusterId, name: "lab", at: "2026-11-28T12:00:00.000Z" };
    return { ...of, handle: "n1-2", generation: 7, ceph: "f" };
  }

  async planMonitorRebuild() {
    this.#note("planMonitorRebuild", undefined);
    return this.rebuild;
  }

  async rebuildMonitors(input: { readonly lost: readonly string[] }) {
    this.#note("rebuildMonitors", input);
    const hosts = [{ host: "n1", osds: [0, 2], left: ["osd.3: broken"] }];
    this.jobResult = { monitor: "n1", hosts, file_systems: ["files"] };
    return this.#newJob("monitors.rebuild");
  }

  async planRecovery() {
    this.#note("planRecovery", undefined);
    return this.recovery;
  }

  async recover(input: { readonly lost: readonly string[] }) {
    this.#note("recover", input);
    this.jobResult = { survivor: "n1", generation: 2, ceph: true };
    return this.#newJob("cluster.recover");
  }

  async networks() {
    return {
      ...{ publicNetwork: "10.0.0.0/24", clusterNetwork: null },
      members: [
        { node: "n1", public: "10.0.0.1", cluster: "10.0.0.1", addresses: ["10.0.0.1"] },
        { node: "n2", public: null, cluster: null, addresses: ["10.5.0.2"] },
      ],
    };
  }

  async changeNetworks(input: unknown) {
    this.#note("changeNetworks", input);
    const restarted = ["osd.0", "osd.1"];
    this.jobResult = {
      publicNetwork: "10.0.0.0/24",
      clusterNetwork: "10.9.0.0/24",
      ...{ restarted, pending: false },
    };
    return this.#newJob("cluster.networks");
  }

  async migrate(input: unknown) {
    this.#note("migrate", input);
    this.jobResult = { source: "n1", destination: "n2", moved: ["voter", "mon"] };
    return this.#newJob("cluster.migrate");
  }

  async pools() {
    return this.poolRows;
  }

  async createPool(input: { readonly name: string }) {
    this.#note("createPool", input);
    return { ...this.poolRows[0], pool: input.name } as PoolRow;
  }

  async removePool(input: { readonly pool: string; readonly confirmed: boolean }) {
    this.#note("removePool", input);
    if (!input.confirmed)
      throw new MicrocephError("DATA_LOSS_UNCONFIRMED", "with the pool data 7 bytes would be lost");
    this.jobResult = { pool: input.pool };
    return this.#newJob("pool.remove");
  }

  async fileSystems() {
    return this.fileSystemRows;
  }

  async createFileSystem(input: { readonly name: string }) {
    this.#note("createFileSystem", input);
    return { ...this.fileSystemRows[0], name: input.name } as FileSystemRow;
  }

  async removeFileSystem(input: { readonly name: string; readonly confirmed: boolean }) {
    this.#note("removeFileSystem", input);
    if (!input.confirmed)
      throw new MicrocephError("DATA_LOSS_UNCONFIRMED", "with the file system home 7 bytes would be lost");
    this.jobResult = { name: input.name };
    return this.#newJob("fs.remove");
  }

  async planReplicas(input: unknown) {
    this.#note("planReplicas", input);
    return this.replicasPlan;
  }

  async setReplicas(input: unknown) {
    this.#note("setReplicas", input);
    this.jobResult = this.replicasPlan as unknown as Json;
    return this.#newJob("pool.replicas");
  }

  async config() {
    return [{ key: "osd_max_backfills", value: "3", section: "osd" }];
  }

  async configOption({ key }: { readonly key: string }) {
    return {
      ...{ key, type: "int", description: "How many", default: "1", min: "", max: "10", choices: [] },
      ...{ runtime: true, values: [{ section: "osd", value: "3" }] },
    };
  }

  async changeConfig(input: { readonly key: string; readonly section: string; readonly value: string }) {
    this.#note("changeConfig", input);
    const { key, section, value } = input;
    this.jobResult = { key, section, value, restarted: ["osd.0"], pending: false };
    return this.#newJob("config.change");
  }

  async resetConfig(input: {
    readonly key: string;
    readonly section: string;
    readonly skip_restart: boolean;
  }) {
    this.#note("resetConfig", input);
    const { key, section, skip_restart: pending } = input;
    this.jobResult = { key, section, value: null, restarted: [], pending };
    return this.#newJob("config.change");
  }

  async clientConfig() {
    return [{ key: "rbd_cache", value: "true", host: "*" }];
  }

  async setClientConfig(input: { readonly key: string; readonly value: string; readonly host: string }) {
    this.#note("setClientConfig", input);
    return [input];
  }

  async resetClientConfig(input: unknown) {
    this.#note("resetClientConfig", input);
    return [];
  }

  async logLevel() {
    return { level: 4 };
  }

  async setLogLevel(input: unknown) {
    this.#note("setLogLevel", input);
    return { level: 5 };
  }

  async dashboard() {
    return this.panel;
  }

  async enableDashboard(input: unknown) {
    this.#note("enableDashboard", input);
    return { ...this.panel, user: "admin", password: this.dashboardPassword };
  }

  async disableDashboard() {
    return { ...this.panel, enabled: false, urls: [] };
  }

  async prometheus() {
    return this.panel;
  }

  async enablePrometheus(input: unknown) {
    this.#note("enablePrometheus", input);
    return this.panel;
  }

  async disablePrometheus() {
    this.#note("disablePrometheus", {});
    return { ...this.panel, enabled: false, urls: [] };
  }

  async programs() {
    return { ceph: this.upgradePlan.nodes[0]?.ceph ?? "", etcd: "3.5.21", product: "0.1.0", nfs: null };
  }

  async planUpgrade(input: { readonly all: boolean }) {
    this.#note("planUpgrade", input);
    return this.upgradePlan;
  }

  async upgrade(input: unknown) {
    this.#note("upgrade", input);
    this.jobResult = { restarted: ["mon.n1", "osd.0"], release: "reef", warnings: [] };
    return this.#newJob("cluster.upgrade");
  }

  async rekeyService() {
    this.#note("rekeyService", {});
    return this.#newJob("service.restart");
  }

  async restartService(input: unknown) {
    this.#note("restartService", input);
    this.jobResult = { service: "mon" };
    return this.#newJob("service.restart");
  }

  async renameMember(input: { readonly node: string; readonly name: string }) {
    this.#note("renameMember", input);
    return { name: input.name, id: ids.n2 };
  }
  async maintenance(input: { readonly node: string }) {
    this.#note("maintenance", input);
    const steps = [
      { name: "Check if osds [1] in node 'n2' are ok-to-stop.", error: this.maintenanceError },
      ...(this.maintenanceError === "" ? [{ name: "Run `ceph osd set-group noout n2`.", error: "" }] : []),
    ];
    this.jobResult = { node: input.node, done: this.maintenanceError === "", steps, warnings: [] };
    return this.#newJob("cluster.maintenance");
  }
  async gateways() {
    return this.placedReport;
  }
  async enableGateway(input: object) {
    this.#note("enableGateway", input);
    this.jobResult = this.placedReport;
    return this.#newJob("service.place");
  }
  async disableGateway(input: object) {
    this.#note("disableGateway", input);
    this.jobResult = this.placedReport;
    return this.#newJob("service.place");
  }
  async setGatewayCertificate(input: object) {
    this.#note("setGatewayCertificate", input);
    this.jobResult = this.placedReport;
    return this.#newJob("service.place");
  }
  async mirrors() {
    return this.placedReport;
  }
  async enableMirror(input: object) {
    this.#note("enableMirror", input);
    this.jobResult = this.placedReport;
    return this.#newJob("service.place");
  }
  async disableMirror(input: object) {
    this.#note("disableMirror", input);
    this.jobResult = this.placedReport;
    return this.#newJob("service.place");
  }
  exportRows: NfsExportRow[] = [
    {
      pseudo_path: "/home",
      fs: "home",
      path: "/",
      read_only: false,
      squash: "root",
      clients: ["10.0.0.0/24"],
    },
  ];
  replicatedFiles: ReplicatedFileSystem = {
    volume: "home",
    remotes: ["magical"],
    folders: [
      { path: "/a", state: "idle", last_snapshot: "monday", ...{ synced: 3, deleted: 1, renamed: 0 } },
    ],
  };
  async fileMirrors() {
    return this.placedReport;
  }
  async enableFileMirror(input: object) {
    this.#note("enableFileMirror", input);
    this.jobResult = this.placedReport;
    return this.#newJob("service.place");
  }
  async disableFileMirror(input: object) {
    this.#note("disableFileMirror", input);
    this.jobResult = this.placedReport;
    return this.#newJob("service.place");
  }
  async fileReplication(input: object) {
    this.#note("fileReplication", input);
    return [this.replicatedFiles];
  }
  async fileProgress(input: object) {
    this.#note("fileProgress", input);
    return this.replicatedFiles.folders;
  }
  async enableFileReplication(input: object) {
    this.#note("enableFileReplication", input);
    return this.replicatedFiles;
  }
  async disableFileReplication(input: { readonly volume: string }) {
    this.#note("disableFileReplication", input);
    return { volume: input.volume };
  }
  async counted(input: object) {
    this.#note("counted", input);
    return this.placedReport;
  }
  async enableCounted(input: object) {
    this.#note("enableCounted", input);
    this.jobResult = this.placedReport;
    return this.#newJob("service.place");
  }
  async disableCounted(input: object) {
    this.#note("disableCounted", input);
    this.jobResult = this.placedReport;
    return this.#newJob("service.place");
  }
  async nfs() {
    return this.placedReport;
  }
  async enableNfs(input: object) {
    this.#note("enableNfs", input);
    this.jobResult = this.placedReport;
    return this.#newJob("service.place");
  }
  async disableNfs(input: object) {
    this.#note("disableNfs", input);
    this.jobResult = this.placedReport;
    return this.#newJob("service.place");
  }
  async exports() {
    return this.exportRows;
  }
  async createExport(input: { readonly pseudo_path: string }) {
    this.#note("createExport", input);
    return { ...this.exportRows[0], pseudo_path: input.pseudo_path } as NfsExportRow;
  }
  async removeExport(input: object) {
    this.#note("removeExport", input);
    return this.exportRows[0] as NfsExportRow;
  }
  readonly replicated = {
    pool: "images",
    mode: "pool" as const,
    remotes: ["simple"],
    images: [
      {
        ...{ pool: "images", image: "one", type: "journal", is_primary: true, state: "up+stopped" },
        ...{ description: "local image is primary", last_update: "" },
      },
    ],
  };
  async exportCluster(input: object) {
    this.#note("exportCluster", input);
    return { remote: "simple", token: "dG9rZW4=" };
  }
  async remotes() {
    return [{ name: "simple", local_name: "magical", imported: true, exported: false }];
  }
  async importRemote(input: object) {
    this.#note("importRemote", input);
    return { name: "simple", local_name: "magical", imported: true, exported: false };
  }
  async removeRemote(input: object) {
    this.#note("removeRemote", input);
    return { name: "simple", local_name: null, imported: false, exported: false };
  }
  async replication(input: object) {
    this.#note("replication", input);
    return [this.replicated];
  }
  async enableReplication(input: object) {
    this.#note("enableReplication", input);
    return this.replicated;
  }
  async disableReplication(input: object) {
    this.#note("disableReplication", input);
    return { pool: "images" };
  }
  async configureReplication(input: object) {
    this.#note("configureReplication", input);
    return this.replicated;
  }
  async resyncReplication(input: object) {
    this.#note("resyncReplication", input);
    return { images: ["images/one"] };
  }
  async promoteSite(input: object) {
    this.#note("promoteSite", input);
    this.jobResult = { remote: "simple", changed: ["images/one"] };
    return this.#newJob("replication.promote");
  }
  async demoteSite(input: object) {
    this.#note("demoteSite", input);
    this.jobResult = { remote: "simple", changed: [] };
    return this.#newJob("replication.demote");
  }
  async ingress() {
    return this.placedReport;
  }
  async enableIngress(input: object) {
    this.#note("enableIngress", input);
    this.jobResult = this.placedReport;
    return this.#newJob("service.place");
  }
  async disableIngress(input: object) {
    this.#note("disableIngress", input);
    this.jobResult = this.placedReport;
    return this.#newJob("service.place");
  }
  async explain({ subject }: { readonly subject: string }) {
    return { subject, reasons: ["2 are wanted in all: n1, n2"] };
  }
  async s3Users() {
    return [{ name: "alice" }];
  }
  async createS3User(input: { readonly name: string }) {
    this.#note("createS3User", input);
    return this.s3UserReply;
  }
  async s3User(input: { readonly user: string }) {
    this.#note("s3User", input);
    return this.s3UserReply;
  }
  async createS3Key(input: { readonly user: string }) {
    this.#note("createS3Key", input);
    return this.s3UserReply;
  }
  async removeS3User(input: { readonly user: string }) {
    this.#note("removeS3User", input);
    this.jobResult = { name: input.user };
    return this.#newJob("s3.user.remove");
  }
  async s3Buckets() {
    return [{ name: "photos", owner: "alice", objects: 2, bytes: 2048 }];
  }
  async planFailureDomain(input: { readonly level?: string | undefined }) {
    this.#note("planFailureDomain", input);
    this.jobResult = failureDomainStub;
    return this.#newJob("failure-domain.plan");
  }
  async setFailureDomain(input: object) {
    this.#note("setFailureDomain", input);
    this.jobResult = failureDomainStub;
    return this.#newJob("failure-domain.set");
  }
  async zones() {
    return [{ name: "n1", handle: "n1", zone: "a", bucket: "az.a" }];
  }
  async setZone(input: { readonly node: string; readonly zone: string | null }) {
    this.#note("setZone", input);
    this.jobResult = { name: input.node, zone: input.zone, moved: failureDomainStub.next.moved };
    return this.#newJob("zone.set");
  }
  async deny(input: { readonly node: string }) {
    this.#note("deny", input);
    if (input.node === "n") {
      throw new MicrocephError("AMBIGUOUS_NODE", '"n" fits n1 and n2', {
        data: {
          candidates: [
            { id: ids.n1, name: "n1" },
            { id: ids.n2, name: "n2" },
          ],
        },
      });
    }
    return [{ id: ids.n4, name: input.node, fingerprint: "amber-fox-lamp-river" }];
  }
  async admission() {
    if (!this.report.cluster) throw notInitialized();
    return this.report.cluster.admission;
  }
  async setAdmission(input: {
    readonly mode: "auto" | "approve" | "closed";
    readonly forever?: boolean | undefined;
  }) {
    this.#note("setAdmission", input);
    return {
      mode: input.mode,
      until: input.mode === "auto" && !input.forever ? "2026-11-23T10:00:00.000Z" : null,
    };
  }
  async fingerprint() {
    const { id, name } = this.report.self;
    const cluster = { id: clusterId, name: "microceph" };
    return { id, name, fingerprints: [{ cluster, words: "quiet-moss-tin-harbor" }] };
  }
  async join(input: object) {
    this.#note("join", input);
    return this.report.self;
  }
  async release(input: object) {
    this.#note("release", input);
    return this.report.self;
  }
  async bootstrap(input: object) {
    this.#note("bootstrap", input);
    if (this.report.cluster)
      throw new MicrocephError("ALREADY_INITIALIZED", "n1 is a member of microceph already");
    return this.#newJob("bootstrap");
  }
  async members() {
    if (!this.report.cluster) throw notInitialized();
    return this.report.members.map((member) => ({
      name: member.name,
      address: `${member.addresses[0]}:7443`,
      role: member.voter ? ("voter" as const) : ("stand-by" as const),
      fingerprint: "ab".repeat(32),
      status: member.presence === "alive" ? ("ONLINE" as const) : ("UNREACHABLE" as const),
      presence: member.presence,
      last_heartbeat: member.lastSeen,
    }));
  }
  async disks() {
    if (!this.report.cluster) throw notInitialized();
    return this.report.disks;
  }
  async availableDisks() {
    return [{ model: "QEMU DISK", sizeBytes: 20 * 2 ** 30, type: "scsi", path: "/dev/disk/by-id/scsi-1" }];
  }
  async diskInventory() {
    return [
      {
        location: "n1",
        asOf: at,
        disks: [
          inventoryDisk({ path: "/dev/disk/by-id/scsi-1", device: "/dev/sdb" }),
          inventoryDisk({
            path: "/dev/sdc",
            device: "/dev/sdc",
            available: false,
            reasons: ["holds an xfs file system"],
            wipeable: true,
          }),
        ],
      },
      { location: "n2", asOf: at, disks: [inventoryDisk({ path: "/dev/sdd", device: "/dev/sdd" })] },
    ];
  }
  async restartOsd({ osdid }: { readonly osdid: number }) {
    this.#note("restartOsd", { osdid });
    return this.#newJob("disk.restart");
  }
  async stopOsd({ osdid }: { readonly osdid: number }) {
    this.#note("stopOsd", { osdid });
    return this.#newJob("disk.stop");
  }
  async startOsd({ osdid }: { readonly osdid: number }) {
    this.#note("startOsd", { osdid });
    return this.#newJob("disk.start");
  }
  async rotateOsdKey({ osdid }: { readonly osdid: number }) {
    this.#note("rotateOsdKey", { osdid });
    return this.#newJob("disk.rotate-key");
  }
  async encryptionSupport() {
    return this.encryption;
  }
  async addDisks(input: { readonly path: string | readonly string[] }) {
    this.#note("addDisks", input);
    const paths = typeof input.path === "string" ? [input.path] : input.path;
    this.jobResult ??= { report: paths.map((path) => ({ path, report: "Success", error: "" })) };
    return this.#newJob("disk.add");
  }
  async services() {
    return this.report.services;
  }
  async jobs() {
    return [...this.jobStore.values()];
  }
  async job({ id }: { readonly id: string }) {
    const job = this.jobStore.get(id);
    if (!job) throw new MicrocephError("NOT_FOUND", `no job ${id}`);
    return job;
  }
  async waitForJob({ id, timeout }: { readonly id: string; readonly timeout: number }) {
    this.#note("waitForJob", { id, timeout });
    const job = await this.job({ id });
    const step = this.jobSteps.shift();
    const ended = step === undefined;
    const next: Job = ended
      ? {
          ...job,
          state: this.jobFailure ? "failure" : "success",
          progress: 100,
          step: "done",
          result: this.jobFailure ? null : this.jobResult,
          error: this.jobFailure,
        }
      : { ...job, step, progress: Math.min(99, job.progress + 10) };
    this.jobStore.set(id, next);
    return next;
  }
  async settings() {
    return Object.fromEntries(this.#settings);
  }
  async setting({ key }: { readonly key: string }) {
    const value = this.#settings.get(key);
    if (value === undefined) throw new MicrocephError("NOT_FOUND", `no setting ${key}`);
    return { key, value };
  }
  async setSetting({ key, value }: { readonly key: string; readonly value: string }) {
    this.#settings.set(key, value);
    return { key, value };
  }
  async resetSetting({ key }: { readonly key: string }) {
    this.#settings.delete(key);
    return Object.fromEntries(this.#settings);
  }
  async journal(input: { readonly limit: number }) {
    this.#note("journal", input);
    return [
      {
        id: "1-cluster.found",
        number: { generation: 1, revision: 1 },
        kind: "cluster.found",
        state: "done" as const,
        reason: "",
        agent: null,
        openedAt: at,
        closedAt: at,
      },
    ];
  }
  readonly events = {
    head: (): number => this.#events.length,
    read: (after: number, limit: number) => ({
      gap: null,
      events: this.#events.slice(after, after + limit).map((event) => ({
        seq: event.seq,
        line: JSON.stringify(event),
      })),
    }),
    on: (listener: () => void): (() => void) => {
      this.#listeners.add(listener);
      return () => this.#listeners.delete(listener);
    },
  };
  metrics(): string {
    return "# TYPE microceph_lease_held gauge\nmicroceph_lease_held 1\n";
  }
  emit<T extends EventType>(type: T, data: EventData<T>): void {
    const event = { seq: this.#events.length + 1, at, node: ids.n1, type, data } as MeshEvent;
    this.#events.push(event);
    for (const listener of this.#listeners) listener();
  }
  async forward(target: string, request: ForwardRequest) {
    if (target === "n1") return undefined;
    this.forwarded.push({ target, request });
    if (!this.forwardReply) throw new MicrocephError("PEER_UNREACHABLE", `${target} does not answer`);
    return this.forwardReply;
  }

  #newJob(kind: string): Job {
    const id = `job-${this.jobStore.size + 1}`;
    const job: Job = {
      id,
      kind,
      state: "running",
      progress: 0,
      step: "starting",
      result: null,
      error: null,
      createdAt: at,
      updatedAt: at,
    };
    this.jobStore.set(id, job);
    return job;
  }
}
