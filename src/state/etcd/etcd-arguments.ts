import { MicrocephError } from "../../errors/microceph-error.ts";
import type { Handle } from "../../ids/ids.ts";

export interface EtcdVersion {
  readonly major: number;
  readonly minor: number;
  readonly text: string;
}

/** Heartbeat and election timeout in milliseconds: 100 and 1000 elect a new leader in about 1.2 s. */
export interface EtcdTimers {
  readonly heartbeatMs: number;
  readonly electionMs: number;
}

export const defaultTimers: EtcdTimers = { heartbeatMs: 100, electionMs: 1000 };

/** Size of the database, in bytes, above which etcd refuses writes. The journal is small: 2 GiB is etcd's default. */
const quotaBytes = 2 * 1024 * 1024 * 1024;
/** Bytes of a Unix socket path that Linux takes, without the final NUL. */
const socketPathLimit = 107;

/**
 * What `--listen-client-urls` calls `unix://client:1` is the file `client:1` in etcd's working directory. An
 * absolute path is refused there.
 */
export const clientSocketName = "client:1";
export const dataFolder = "data";

/** A voter's peer URL: its handle never changes, so neither does the URL. */
export function peerUrlOf(handle: Handle): string {
  return `unix://${handle}:0`;
}

/** The file that the peer URL names in every voter's etcd directory. */
export function peerSocketName(handle: Handle): string {
  return `${handle}:0`;
}

/** The handle in a peer URL of ours, or undefined. */
export function handleOfPeerUrl(url: string): string | undefined {
  return /^unix:\/\/([a-z0-9-]+):0$/.exec(url)?.[1];
}

/** Throws PATH_TOO_LONG when a socket in this directory could not be bound or reached. */
export function checkSocketPath(path: string): string {
  const length = Buffer.byteLength(path);
  if (length > socketPathLimit) {
    throw new MicrocephError("PATH_TOO_LONG", `${path} has ${length} bytes`, {
      data: { path, limit: socketPathLimit },
    });
  }
  return path;
}

/** From the output of `etcd --version`. Throws MISSING_PROGRAM when it is older than 3.4, which has no learners. */
export function parseVersion(output: string): EtcdVersion {
  const match = /^etcd Version: ((\d+)\.(\d+)\.\S+)/m.exec(output);
  const version = { major: Number(match?.[2]), minor: Number(match?.[3]), text: match?.[1] ?? "unknown" };
  if (!match || version.major < 3 || (version.major === 3 && version.minor < 4)) {
    throw new MicrocephError("MISSING_PROGRAM", `etcd 3.4 or later is needed, found ${version.text}`, {
      data: { program: "etcd", version: version.text },
    });
  }
  return version;
}

export interface EtcdArguments {
  readonly name: Handle;
  /** All voters and learners, this one included. */
  readonly peers: readonly { readonly name: Handle }[];
  readonly mode: "new" | "existing";
  readonly timers: EtcdTimers;
  /** Keeps members of different clusters from ever talking to each other. */
  readonly token: string;
  /** Only for the guided recovery: make the data of this one member a cluster of its own. */
  readonly forceNewCluster?: boolean;
}

/** etcd's command line; relative socket names, so the working directory must be the etcd directory. */
export function etcdArguments(options: EtcdArguments, version: EtcdVersion): string[] {
  const { name, peers, mode, timers } = options;
  const client = `unix://${clientSocketName}`;
  const all = [...new Set([name, ...peers.map((peer) => peer.name)])];
  const values: Record<string, string | number | boolean> = {
    name,
    "data-dir": dataFolder,
    "listen-client-urls": client,
    "advertise-client-urls": client,
    "listen-peer-urls": peerUrlOf(name),
    "initial-advertise-peer-urls": peerUrlOf(name),
    "initial-cluster": all.map((member) => `${member}=${peerUrlOf(member)}`).join(","),
    "initial-cluster-state": mode,
    "initial-cluster-token": options.token,
    "heartbeat-interval": timers.heartbeatMs,
    "election-timeout": timers.electionMs,
    "auto-compaction-mode": "periodic",
    "auto-compaction-retention": "1h",
    "quota-backend-bytes": quotaBytes,
    // A member that comes back from a pause or a cut must not depose a leader that all others hear.
    "pre-vote": true,
    logger: "zap",
    "log-outputs": "stderr",
    "log-level": "info",
    // 3.6 has no second API any more, nor the flag.
    ...(version.major === 3 && version.minor < 6 ? { "enable-v2": false } : {}),
    ...(options.forceNewCluster ? { "force-new-cluster": true } : {}),
  };
  return Object.entries(values).map(([flag, value]) => `--${flag}=${value}`);
}
