import { createHash } from "node:crypto";
import { MicrocephError } from "../../errors/microceph-error.ts";
import type { Json } from "../../ids/json.ts";
import { type NfsExport, nfsExport } from "../daemons/nfs-config.ts";
import { isNfsFronted } from "./placed-wish.ts";

const prefix = "nfs-export.";

/** Under what the document keeps an export: one entry each, so that two nodes never write over each other's. */
export function exportKey(pseudo: string): string {
  return `${prefix}${createHash("sha256").update(pseudo).digest("hex").slice(0, 32)}`;
}

/** Exports as the document has them, in the order of their paths; what cannot be read is left out. */
export function exportsOf(services: Readonly<Record<string, Json>>): NfsExport[] {
  return Object.entries(services)
    .flatMap(([name, value]): NfsExport[] => {
      const one = nfsExport.safeParse(value).data;
      return one !== undefined && name === exportKey(one.pseudo) ? [one] : [];
    })
    .sort((a, b) => (a.pseudo < b.pseudo ? -1 : 1));
}

/** What gateways show: nothing that is for some clients only, where they cannot tell who asks. */
export function shownExports(services: Readonly<Record<string, Json>>): NfsExport[] {
  const isForAll = ({ clients }: NfsExport): boolean => clients.length === 0;
  const exports = exportsOf(services);
  return isNfsFronted(services) ? exports.filter(isForAll) : exports;
}

/**
 * Exports that every gateway leaves out (`ganeshaConfig`): the number of each is that of an earlier path, since two
 * nodes made both at once.
 */
export function hiddenExports(
  exports: readonly NfsExport[],
): { readonly pseudo: string; readonly behind: string }[] {
  const first = new Map<number, string>();
  return exports.flatMap(({ id, pseudo }) => {
    const behind = first.get(id);
    if (behind === undefined) first.set(id, pseudo);
    return behind === undefined ? [] : [{ pseudo, behind }];
  });
}

/**
 * Behind a common address a gateway sees the ingress where its client was (nfs-ganesha learns the PROXY protocol with
 * its version 5), and would let in whom the export does not name. Throws NFS_CLIENTS_HIDDEN.
 */
export function refuseHiddenClients(
  exports: readonly { readonly pseudo: string; readonly clients: readonly string[] }[],
): void {
  const paths = exports.filter(({ clients }) => clients.length > 0).map(({ pseudo }) => pseudo);
  if (paths.length === 0) return;
  throw new MicrocephError(
    "NFS_CLIENTS_HIDDEN",
    `${paths.join(", ")} is for some clients only, and behind a common address gateways cannot tell who asks`,
    { data: { paths: [...paths] } },
  );
}

/** A number for a new export: from its path, so that two nodes that make two at once hardly choose the same. */
export function exportId(pseudo: string, taken: ReadonlySet<number>): number {
  const most = 65_535;
  const start = createHash("sha256").update(pseudo).digest().readUInt32BE(0) % most;
  for (let step = 0; step < most; step += 1) {
    const id = 1 + ((start + step) % most);
    if (!taken.has(id)) return id;
  }
  return 1 + start;
}
