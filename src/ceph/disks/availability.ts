import { smallestOsdBytes } from "../daemons/osd-size.ts";
import type { BlockDevice } from "./inventory.ts";

/** What is known of a device besides what the kernel lists. */
export interface DeviceFindings {
  /** An OSD of this node that has it: `osd.3`, or as its WAL or DB. */
  readonly osd: string | null;
  /** Something has it open for itself, in whatever namespace. */
  readonly claimed: boolean;
  /** What is on it: `ext4`, `data at byte 512`; null when it is empty. */
  readonly content: string | null;
  /** It could not be read in the time allowed, or at all. */
  readonly unreadable: string | null;
}

/** Why a device cannot be made an OSD as it is, in words; none when it can. `wipeable`: with --wipe it could. */
export function unavailability(
  device: BlockDevice,
  found: DeviceFindings,
): { readonly reasons: readonly string[]; readonly wipeable: boolean } {
  const reasons: string[] = [];
  if (found.osd !== null) reasons.push(`is ${found.osd} already`);
  reasons.push(...device.usedBy);
  if (device.readOnly) reasons.push("is read-only");
  if (device.bytes < smallestOsdBytes) reasons.push("is smaller than 512 MiB");
  if (found.unreadable !== null) reasons.push(found.unreadable);
  if (reasons.length === 0 && found.claimed) reasons.push("is claimed by the kernel or a program");
  const hard = reasons.length > 0;
  if (device.partitions.length > 0) reasons.push(`has the partitions ${device.partitions.join(", ")}`);
  if (found.content !== null && (!hard || found.osd === null)) reasons.push(`holds ${found.content}`);
  return { reasons, wipeable: !hard && reasons.length > 0 };
}
