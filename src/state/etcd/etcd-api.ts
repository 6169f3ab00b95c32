/** One key as etcd holds it. Revisions are etcd's own and count every write to any key. */
export interface Kv {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  /** Decimal text of the 64-bit id of the TTL lease that the key is bound to, "0" for none. */
  readonly lease: string;
}

export interface CallOptions {
  /** Milliseconds until the call fails with DEADLINE_EXCEEDED; the client has a default. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export interface RangeOptions extends CallOptions {
  /** All keys that start with `key`. */
  readonly prefix?: boolean;
  /** With `prefix`: begin at this key instead of the first. */
  readonly from?: string;
  /** From the local member without asking a majority: possibly old, but answered in a minority too. */
  readonly serializable?: boolean;
  readonly limit?: number;
}

/** A key's create or mod revision compared with a number; 0 is the revision of a key that does not exist. */
export interface Compare {
  readonly key: string;
  readonly target: "create" | "mod";
  readonly result: "equal" | "greater";
  readonly revision: number;
}

export type Operation =
  | { readonly do: "put"; readonly key: string; readonly value: string; readonly lease?: string }
  | { readonly do: "delete"; readonly key: string }
  | { readonly do: "range"; readonly key: string; readonly prefix?: boolean; readonly limit?: number };

export interface Transaction {
  readonly compare: readonly Compare[];
  readonly success: readonly Operation[];
  readonly failure: readonly Operation[];
}

export interface TransactionResult {
  readonly succeeded: boolean;
  readonly revision: number;
  /** One for each operation of the branch that was taken; empty `kvs` for puts and deletes. */
  readonly responses: readonly { readonly kvs: readonly Kv[] }[];
}

export interface WatchEvent {
  readonly type: "put" | "delete";
  /** A deletion has an empty value; its `modRevision` is that of the deletion. */
  readonly kv: Kv;
}

export interface EtcdMember {
  /** Decimal text of the 64-bit member id. */
  readonly id: string;
  /** Empty until the member has started once. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly learner: boolean;
}

export interface EtcdStatus {
  readonly version: string;
  /** Member id of the one that answers, and of the leader it knows ("0": none). */
  readonly member: string;
  readonly leader: string;
  readonly learner: boolean;
  readonly databaseBytes: number;
}

/**
 * The few calls of etcd that the product uses. The real client and the simulated etcd both have this face.
 *
 * Errors (MicrocephError): NO_QUORUM (no majority, no leader, or the local etcd does not answer),
 * DEADLINE_EXCEEDED, CANCELLED, NOT_READY (a membership change that must be tried again), NOT_FOUND (lease
 * or member), DISK_FULL, STATE_CORRUPT, INTERNAL. A write that failed with anything but NOT_FOUND and
 * NOT_READY may have been applied, or may be later: its outcome is unknown until it is read.
 */
export interface EtcdApi {
  range(
    key: string,
    options?: RangeOptions,
  ): Promise<{ readonly kvs: readonly Kv[]; readonly revision: number }>;
  txn(transaction: Transaction, options?: CallOptions): Promise<TransactionResult>;
  /** @returns the id of a new TTL lease */
  leaseGrant(ttlSeconds: number, options?: CallOptions): Promise<{ readonly id: string }>;
  /** @returns seconds until it ends; 0: there is no such lease any more */
  leaseKeepAlive(id: string, options?: CallOptions): Promise<{ readonly ttlSeconds: number }>;
  /** Ends the lease and deletes its keys. NOT_FOUND when there is no such lease. */
  leaseRevoke(id: string, options?: CallOptions): Promise<void>;
  /**
   * Changes to keys that start with `prefix`, in order, from a revision on; goes on after a lost connection.
   * Resolves when the signal is aborted; rejects with WatchCompacted when history from there on is gone, and
   * with what `onEvents` throws.
   */
  watch(
    prefix: string,
    fromRevision: number,
    onEvents: (events: readonly WatchEvent[]) => void,
    signal: AbortSignal,
  ): Promise<void>;
  memberList(options?: CallOptions): Promise<readonly EtcdMember[]>;
  memberAdd(
    peerUrl: string,
    learner: boolean,
    options?: CallOptions,
  ): Promise<{ readonly id: string; readonly members: readonly EtcdMember[] }>;
  memberPromote(id: string, options?: CallOptions): Promise<void>;
  memberRemove(id: string, options?: CallOptions): Promise<void>;
  status(options?: CallOptions): Promise<EtcdStatus>;
}

/** The revisions asked for are no longer kept: read the current state and watch from its revision on. */
export class WatchCompacted extends Error {
  readonly compactRevision: number;

  constructor(compactRevision: number) {
    super(`etcd keeps changes from revision ${compactRevision} on only`);
    this.name = "WatchCompacted";
    this.compactRevision = compactRevision;
  }
}
