import { MicrocephError } from "../../errors/microceph-error.ts";
import type { OsdAux } from "../daemons/osd-parts.ts";
import type { StatedDisk } from "../disks/disks.ts";
import type { AuxKind } from "../disks/match/plan.ts";
import {
  allOurs,
  deletePartition,
  makePartition,
  type PartitionDeps,
  partitionPath,
  readTable,
  writeEmptyTable,
} from "../disks/partitions.ts";
import type { WantedAux, WantedCarrier, WantedOsd } from "./wanted-disks.ts";

export interface CarrierDeps extends PartitionDeps {
  /** Facts of a device. Throws when there is no such block device. */
  readonly inspect: (path: string) => Promise<StatedDisk>;
  /** Throws DISK_IN_USE when the device must not be written to. */
  readonly checkDevice: (path: string) => Promise<void>;
  readonly wipe: (path: string) => Promise<void>;
}

/** Make a disk ready for partitions of ours. Idempotent: the table that an earlier run wrote is known by its uuid. */
export async function prepareCarrier(carrier: WantedCarrier, deps: CarrierDeps): Promise<void> {
  const present = await readTable(carrier.path, deps);
  if (present?.id === carrier.table) return;
  switch (carrier.action) {
    case "append":
      if (present !== undefined && allOurs(present)) return;
      throw new MicrocephError("DISK_IN_USE", `${carrier.path} no longer holds only partitions of ours`);
    case "reset":
      await deps.wipe(carrier.path);
      break;
    case "new":
      break;
  }
  await deps.checkDevice(carrier.path);
  await writeEmptyTable(carrier.path, carrier.table, deps);
}

/** The partition, or device, as a part of its OSD: made, known to the kernel, with a path that stays. Idempotent. */
export async function realizeAux(
  kind: AuxKind,
  osd: WantedOsd,
  aux: WantedAux | null,
  deps: CarrierDeps,
): Promise<OsdAux | null> {
  if (aux === null) return null;
  if (aux.kind === "device") {
    return { path: aux.path, partition: null, backingFile: (await deps.inspect(aux.path)).backingFile };
  }
  const { carrier, uuid, number, start, bytes } = aux;
  const name = `microceph ${kind} ${osd.uuid.slice(0, 8)}`;
  await makePartition(carrier, { kind, uuid, name, number, start, bytes }, deps);
  const { backingFile } = await deps.inspect(carrier);
  return { path: await partitionPath(carrier, uuid, deps), partition: { carrier, uuid }, backingFile };
}

/** Take the partitions of an OSD that was not made away again. */
export async function dropAux(osd: WantedOsd, deps: CarrierDeps): Promise<void> {
  for (const aux of [osd.wal, osd.db]) {
    if (aux?.kind === "partition") await deletePartition(aux.carrier, aux.uuid, deps);
  }
}

/** The disks that carry its partitions, as keys of what is one at a time. */
export function carrierKeys(osd: WantedOsd): string[] {
  return [osd.wal, osd.db].flatMap((aux) => (aux?.kind === "partition" ? [aux.carrier] : []));
}
