import type { Handle } from "../../ids/ids.ts";
import type { NfsIdentity } from "../../ids/nfs.ts";
import type { DecisionNumber, Entry } from "../../state/journal/types.ts";
import { type DaemonBody, daemonBody, daemonOutBody, kinds } from "./decisions.ts";

/** A daemon that is decided on, done or open. */
export interface PlacedDaemon {
  readonly type: DaemonBody["type"];
  readonly handle: Handle;
  /** Of a gateway for S3: without, and with TLS; of one for NFS the one it has. */
  readonly port: number | null;
  readonly tlsPort: number | null;
  /** Digest of the certificate that a gateway for S3 shows. */
  readonly certificate: string | null;
  /** Of a gateway for NFS: what it is to clients. */
  readonly nfs: NfsIdentity | null;
  /** What it is told, in one word that is the same for the same. */
  readonly settings: string;
  readonly open: boolean;
  /** When it was decided; who became a member of this handle later does not have it. */
  readonly number: DecisionNumber;
}

export function settingsOf(told: object | Told): string {
  if (!("port" in told)) return "";
  const { vip, prefix, port, tlsPort, nfsPort, tls, cluster, bind, minVersion, rank } = told;
  return [
    ...(cluster === undefined ? [] : [cluster, bind ?? "*", `4.${minVersion}`]),
    // Not of the same service as the others.
    ...(rank === null ? ["no rank"] : []),
    ...(nfsPort === undefined ? [] : [`nfs ${nfsPort}`]),
    ...(vip === undefined ? [] : [`${vip}/${prefix}`]),
    port ?? "-",
    tlsPort ?? [],
    tls === undefined ? [] : [tls.port, tls.certificate],
  ]
    .flat()
    .join(" ");
}

interface Told {
  readonly port: number | null;
  readonly vip?: string | undefined;
  readonly prefix?: number | undefined;
  readonly tlsPort?: number | undefined;
  readonly nfsPort?: number | undefined;
  readonly tls?: { readonly port: number; readonly certificate: string } | undefined;
  readonly cluster?: string | undefined;
  readonly bind?: string | null | undefined;
  readonly minVersion?: number | undefined;
  readonly rank?: number | null | undefined;
}

/** The last word about each daemon, by `type.handle`; null: taken off. */
function lastWords(
  entries: readonly Entry[],
): Map<string, { readonly entry: Entry; readonly placed: PlacedDaemon | null }> {
  const words = new Map<string, { readonly entry: Entry; readonly placed: PlacedDaemon | null }>();
  for (const entry of entries) {
    if (entry.state === "abandoned") continue;
    if (entry.kind === kinds.daemon) {
      const body = daemonBody.parse(entry.body);
      const { type, handle } = body;
      const port = body.type === "rgw" || body.type === "nfs" ? body.port : null;
      const settings = settingsOf(body);
      const tls = body.type === "rgw" ? body.tls : undefined;
      const placed = {
        type,
        handle,
        port,
        tlsPort: tls?.port ?? null,
        certificate: tls?.certificate ?? null,
        nfs: body.type === "nfs" && body.rank !== null ? { cluster: body.cluster, rank: body.rank } : null,
        settings,
        open: entry.state === "open",
        number: entry.openedNumber,
      };
      words.set(`${type}.${handle}`, { entry, placed });
    }
    if (entry.kind === kinds.daemonOut) {
      const { type, handle } = daemonOutBody.parse(entry.body);
      words.set(`${type}.${handle}`, { entry, placed: null });
    }
  }
  return words;
}

/** Every daemon that is placed, or being placed, in the order of the decisions. */
export function placedDaemons(entries: readonly Entry[]): PlacedDaemon[] {
  return [...lastWords(entries).values()].flatMap(({ placed }) => placed ?? []);
}

/**
 * NFS gateways, by handle, whose ranks nobody else may have yet: placed, being placed, or being taken off. `isHost`:
 * whether what was decided of this handle then is still of a member.
 */
export function nfsIdentities(
  entries: readonly Entry[],
  isHost: (handle: Handle, since: DecisionNumber) => boolean,
): Map<Handle, NfsIdentity> {
  const identities = new Map<Handle, NfsIdentity>();
  for (const { entry, placed } of lastWords(entries).values()) {
    const off = placed === null && entry.state === "open" ? daemonOutBody.parse(entry.body) : null;
    const handle = placed?.handle ?? off?.handle;
    const nfs = placed?.nfs ?? off?.nfs;
    if (handle !== undefined && nfs && isHost(handle, entry.openedNumber)) identities.set(handle, nfs);
  }
  return identities;
}

/** The decision that took a daemon off a host; null unless it is done and the last one about it. */
export function daemonOffBy(
  entries: readonly Entry[],
  type: DaemonBody["type"],
  handle: Handle,
): DecisionNumber | null {
  const last = lastWords(entries).get(`${type}.${handle}`);
  return last !== undefined && last.placed === null && last.entry.state === "done" ? last.entry.number : null;
}
