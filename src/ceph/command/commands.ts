import type { Fsid, OsdId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";

/** Options of every call. A call that ends without an answer throws DEADLINE_EXCEEDED: outcome unknown, re-read. */
export interface CallOptions {
  /** Milliseconds; default 10 s. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export interface MonitorAddress {
  readonly type: "v1" | "v2" | "any";
  /** `10.0.0.1:3300` or `[fd00::1]:3300`. */
  readonly address: string;
}

export interface Monitor {
  readonly name: string;
  readonly rank: number;
  readonly addresses: readonly MonitorAddress[];
}

export interface MonMap {
  readonly epoch: number;
  readonly fsid: Fsid;
  /** Sorted by name. */
  readonly monitors: readonly Monitor[];
}

export type MonitorState =
  | "probing"
  | "synchronizing"
  | "electing"
  | "leader"
  | "peon"
  | "shutdown"
  | "unknown";

/** What one monitor says of itself; also answered without a quorum. */
export interface MonStatus {
  readonly name: string;
  readonly rank: number;
  readonly state: MonitorState;
  readonly electionEpoch: number;
  /** Names of the monitors in quorum, as this one sees it; empty without one. */
  readonly quorum: readonly string[];
  readonly monMap: MonMap;
}

export interface QuorumStatus {
  readonly electionEpoch: number;
  readonly quorum: readonly string[];
  readonly leader: string;
  readonly monMap: MonMap;
}

export interface HealthCheck {
  readonly code: string;
  readonly severity: "HEALTH_WARN" | "HEALTH_ERR" | "HEALTH_OK";
  readonly message: string;
  readonly count: number;
  readonly muted: boolean;
}

export interface CephHealth {
  readonly status: "HEALTH_OK" | "HEALTH_WARN" | "HEALTH_ERR";
  readonly checks: readonly HealthCheck[];
}

export interface CephStatus {
  readonly fsid: Fsid;
  readonly health: CephHealth;
  readonly quorum: readonly string[];
  readonly monitors: number;
  /** Epochs of the maps of monitors and OSDs; null where Ceph does not tell. */
  readonly epochs: { readonly monitors: number | null; readonly osds: number | null };
  readonly osds: { readonly total: number; readonly up: number; readonly in: number };
  readonly pgs: {
    readonly total: number;
    /** Number of placement groups by state, `active+clean` → 33. */
    readonly states: Readonly<Record<string, number>>;
    readonly pools: number;
    readonly objects: number;
  };
  readonly bytes: {
    readonly data: number;
    readonly used: number;
    readonly available: number;
    readonly total: number;
  };
  readonly mgr: { readonly available: boolean; readonly standbys: number };
}

export interface PlacementGroup {
  /** Number of its pool. */
  readonly pool: number;
  /** `active+clean` */
  readonly state: string;
  /** The OSDs that served it when it was last heard of; 2147483647 where nobody does. */
  readonly acting: readonly number[];
}

export interface NewOsd {
  readonly osd: OsdId;
  /** Its cephx key. */
  readonly key: string;
}

export interface OsdStat {
  readonly epoch: number;
  readonly total: number;
  readonly up: number;
  readonly in: number;
}

export interface OsdNode {
  readonly id: OsdId;
  readonly name: string;
  readonly up: boolean;
  /** Share of data it is to hold, 0 (out) to 1. */
  readonly reweight: number;
  readonly crushWeight: number;
  readonly deviceClass: string | null;
  /** Name of its host bucket; null while it is nowhere in the tree. */
  readonly host: string | null;
  readonly rack: string | null;
}

/** A node of the CRUSH tree above the OSDs. */
export interface CrushBucket {
  readonly name: string;
  /** `host`, `rack`, `root` … */
  readonly type: string;
  /** Null for a root. */
  readonly parent: string | null;
  /** Buckets and OSDs directly below. */
  readonly items: number;
}

export interface OsdTree {
  readonly osds: readonly OsdNode[];
  readonly buckets: readonly CrushBucket[];
  /** Host buckets, empty ones too, with the rack above. */
  readonly hosts: readonly { readonly name: string; readonly rack: string | null }[];
}

/** `osd df`: what an OSD holds. */
export interface OsdUsage {
  readonly id: OsdId;
  readonly sizeKiB: number;
  readonly usedKiB: number;
  readonly availableKiB: number;
  readonly pgs: number;
}

export interface OsdDumpEntry {
  readonly id: OsdId;
  /** Ceph forgets that of a destroyed one; here it is one made of its number, so that none is taken for another. */
  readonly uuid: string;
  readonly up: boolean;
  readonly in: boolean;
  /** Its number and its weight are kept for the one that replaces it. */
  readonly destroyed: boolean;
}

export interface OsdDump {
  readonly epoch: number;
  readonly fsid: Fsid;
  readonly osds: readonly OsdDumpEntry[];
  readonly flags: readonly string[];
  readonly nearfullRatio: number;
  readonly fullRatio: number;
}

export interface CrushRule {
  readonly id: number;
  readonly name: string;
  /** Bucket type of the `chooseleaf`/`choose` step (`osd`, `host`, `rack`); null when it has none. */
  readonly failureDomain: string | null;
}

export interface Pool {
  readonly id: number;
  readonly name: string;
  readonly size: number;
  readonly minSize: number;
  readonly crushRule: number;
  readonly pgNum: number;
  readonly erasure: boolean;
  readonly applications: readonly string[];
}

export interface MgrStat {
  readonly epoch: number;
  readonly available: boolean;
  readonly activeName: string | null;
}

export interface MdsStat {
  /** Names of metadata servers with a rank, and of standbys. */
  readonly active: readonly string[];
  readonly standby: readonly string[];
  /** Of those with a rank, who waits for clients of its predecessor (`up:reconnect`, `up:clientreplay`). */
  readonly waiting: readonly string[];
  readonly fileSystems: readonly string[];
  /** Of these, who has a rank for which no metadata server is active. */
  readonly unserved: readonly string[];
}

/**
 * The commands of Ceph that this product uses, with typed answers. All throw CEPH_UNREACHABLE (no monitor
 * answered the connect), CEPH_REFUSED (data: errno, `ENOENT` …), DEADLINE_EXCEEDED, CANCELLED.
 */
export interface CephCommands {
  /** Frees the long-lived child. */
  stop(): Promise<void>;
  /** Find the monitors by what ceph.conf says now. */
  reconnect(): void;

  /** Of a monitor on this node, through its admin socket: fast, and without a quorum. Throws CEPH_DAEMON_DOWN. */
  monStatus(handle: string, options?: CallOptions): Promise<MonStatus>;
  quorumStatus(options?: CallOptions): Promise<QuorumStatus>;
  monMap(options?: CallOptions): Promise<MonMap>;
  /** `mon remove NAME`; a name that is not in the map is no error. */
  monRemove(name: string, options?: CallOptions): Promise<void>;

  health(options?: CallOptions): Promise<CephHealth>;
  status(options?: CallOptions): Promise<CephStatus>;
  mgrStat(options?: CallOptions): Promise<MgrStat>;
  mdsStat(options?: CallOptions): Promise<MdsStat>;

  /** Register an OSD by its uuid; the same uuid gives the same again. `id`: that of one that was destroyed. */
  osdNew(uuid: string, options?: CallOptions & { readonly id?: OsdId }): Promise<NewOsd>;
  osdStat(options?: CallOptions): Promise<OsdStat>;
  osdTree(options?: CallOptions): Promise<OsdTree>;
  osdDf(options?: CallOptions): Promise<OsdUsage[]>;
  osdDump(options?: CallOptions): Promise<OsdDump>;
  /** The placement groups that have data on an OSD that is up; asks the manager. */
  placementGroupsOf(osd: OsdId, options?: CallOptions): Promise<PlacementGroup[]>;

  /** Whether no data would have fewer copies without this OSD; null while Ceph has no statistics to tell from. */
  safeToDestroy(osd: OsdId, options?: CallOptions): Promise<boolean | null>;
  /** Whether all data stays served without these OSDs; null while Ceph cannot tell. */
  okToStop(osds: readonly OsdId[], options?: CallOptions): Promise<boolean | null>;

  crushRules(options?: CallOptions): Promise<CrushRule[]>;
  /** The CRUSH map in Ceph's binary form, for `crushtool`. */
  crushMapBinary(options?: CallOptions): Promise<Uint8Array>;
  /** Create a replicated rule over root `default`; returns the id of the one with this name, new or old. */
  createReplicatedRule(name: string, failureDomain: string, options?: CallOptions): Promise<number>;

  pools(options?: CallOptions): Promise<Pool[]>;
  /** Bytes that users have stored in each pool, by name, before copies; asks the manager. */
  poolUsage(options?: CallOptions): Promise<ReadonlyMap<string, number>>;
  setPool(
    pool: string,
    key: string,
    value: string,
    options?: CallOptions & { readonly force?: boolean },
  ): Promise<void>;
  /** Idempotent: an existing pool is left as it is. */
  createPool(
    pool: string,
    options?: CallOptions & { readonly pgNum?: number; readonly rule?: string; readonly size?: number },
  ): Promise<void>;
  enableApplication(pool: string, application: string, options?: CallOptions): Promise<void>;

  configSet(who: string, key: string, value: string, options?: CallOptions): Promise<void>;
  configRemove(who: string, key: string, options?: CallOptions): Promise<void>;
  /** What the monitors' database holds for exactly this section (`global`, `osd`, `mon.n1`); undefined when unset. */
  configGet(who: string, key: string, options?: CallOptions): Promise<string | undefined>;

  /** The key of an entity, which is created with these capabilities when absent. */
  authGetOrCreate(
    entity: string,
    capabilities: Readonly<Record<string, string>>,
    options?: CallOptions,
  ): Promise<string>;
  authRemove(entity: string, options?: CallOptions): Promise<void>;

  /** A value of the monitors' key store (`config-key`); undefined when it is unset. */
  secret(key: string, options?: CallOptions): Promise<string | undefined>;
  /** The value goes over standard input: it is in no argument, log or error. */
  setSecret(key: string, value: string, options?: CallOptions): Promise<void>;
  /** Idempotent. */
  removeSecret(key: string, options?: CallOptions): Promise<void>;

  /** A command that reads a file (`-i`): what is in it goes over standard input, and is in no argument, log or error. */
  runWithInput(words: readonly string[], input: string, options?: CallOptions): Promise<Json>;

  /** Any other command, each word an argument; flags are words that start with `--`. */
  run(words: readonly string[], options?: CallOptions): Promise<Json>;
}
