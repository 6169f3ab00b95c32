import { z } from "zod";
import { messageOf } from "../../errors/microceph-error.ts";
import { checkDiskRequest } from "./disk-request.ts";
import { name, type Shape, text, time } from "./shape.ts";

/** An OSD of the cluster; the first three keys are MicroCeph's. */
export const configuredDisk = z.object({
  osd: z.int().min(0),
  path: z.string(),
  location: z.string().describe("name of its node"),
  state: z
    .string()
    .optional()
    .describe("running, or what keeps it: starting, waiting (it ended and starts again), stopped …"),
  reason: text.optional().describe("why it does not run, or what is wrong with it"),
});
export type ConfiguredDisk = Shape<typeof configuredDisk>;

/** An empty block device of the asked node. */
export const availableDisk = z.object({
  model: z.string(),
  sizeBytes: z.int().min(0),
  type: z.string(),
  path: z.string(),
});
export type AvailableDisk = Shape<typeof availableDisk>;

/** A whole disk of a member, whether it can be an OSD or not. */
export const inventoryDisk = z.object({
  path: z.string().describe("stable: by-id, else by-path, else the kernel's"),
  device: z.string().describe("the kernel's own, /dev/sda"),
  byId: z.string().nullable(),
  byPath: z.string().nullable(),
  model: z.string(),
  vendor: z.string(),
  sizeBytes: z.int().min(0),
  type: z.string().describe("nvme, scsi, sata, usb, virtio, mmc, loop, multipath or other"),
  rotational: z.boolean(),
  available: z.boolean(),
  reasons: z.array(text).describe("why it is not available; empty when it is"),
  wipeable: z.boolean().describe("only its content is in the way: --wipe would make it available"),
});
export type InventoryDisk = Shape<typeof inventoryDisk>;

/** The disks of one member, as it said itself. */
export const nodeInventory = z.object({
  location: name,
  asOf: time,
  disks: z.array(inventoryDisk),
});
export type NodeInventory = Shape<typeof nodeInventory>;

/** MicroCeph's keys. */
export const encryptionSupport = z.object({
  supported: z.boolean(),
  reason_unsupported: text.describe("empty when it is supported"),
});
export type EncryptionSupportReply = Shape<typeof encryptionSupport>;

const match = z.string().max(10_240);
const size = z.string().max(32);
const device = z.string().max(1024).nullable();

/** MicroCeph's body keys, and `all_available`. The job's result is a `diskReport`. */
export const addDisksRequest = z
  .strictObject({
    path: z
      .union([z.string(), z.array(z.string().min(1)).max(1000)])
      .default([])
      .describe("block devices, or one loop,SIZE,COUNT"),
    all_available: z.boolean().default(false).describe("every disk that is available"),
    wipe: z.boolean().default(false).describe("erase what is on the devices; refused while in use"),
    encrypt: z.boolean().default(false),
    waldev: device.default(null).describe("device for the write-ahead log of the one OSD"),
    walwipe: z.boolean().default(false),
    walencrypt: z.boolean().default(false),
    dbdev: device.default(null).describe("device for the database of the one OSD"),
    dbwipe: z.boolean().default(false),
    dbencrypt: z.boolean().default(false),
    osd_match: match.default("").describe("expression that chooses the disks"),
    wal_match: match.default("").describe("expression that chooses disks for partitions of write-ahead logs"),
    wal_size: size.default("").describe("size of each, 4GiB"),
    db_match: match.default("").describe("expression that chooses disks for partitions of databases"),
    db_size: size.default("").describe("size of each, 60GiB"),
    dry_run: z.boolean().default(false).describe("only say what would be made"),
  })
  .superRefine((request, context) => {
    try {
      checkDiskRequest(request);
    } catch (error) {
      context.addIssue({ code: "custom", message: messageOf(error) });
    }
  });

const plannedPartition = z.object({
  kind: z.enum(["wal", "db"]),
  parent: z.string(),
  number: z.int(),
  sizeBytes: z.int(),
  action: z.enum(["new", "append", "reset"]).describe("what becomes of the disk's partition table"),
});

/** What became of each disk; `error` is empty on success. */
export const diskReport = z.object({
  report: z.array(z.object({ path: z.string(), report: z.enum(["Success", "Failure"]), error: text })),
  dryRun: z
    .object({
      devices: z.array(
        z.object({
          path: z.string(),
          model: z.string(),
          vendor: z.string(),
          type: z.string(),
          sizeBytes: z.int(),
        }),
      ),
      plan: z.array(
        z.object({
          path: z.string(),
          wal: plannedPartition.nullable(),
          db: plannedPartition.nullable(),
        }),
      ),
    })
    .optional()
    .describe("of a dry run: what would be made"),
});
export type DiskReport = Shape<typeof diskReport>;

export const osdParams = z.strictObject({
  osdid: z.coerce
    .number()
    .int()
    .min(0)
    .max(2 ** 31 - 1),
});
/** MicroCeph's fields. */
export const removeDiskRequest = z.strictObject({
  bypass_safety_checks: z.boolean().default(false).describe("remove it whatever it holds: data may be lost"),
  confirm_crush_downgrade: z
    .boolean()
    .default(false)
    .describe("let the failure domain become osd when too few hosts or racks have OSDs without it"),
  prohibit_crush_scaledown: z
    .boolean()
    .default(false)
    .describe("keep the failure domain then, with fewer copies than wanted"),
});
export const replaceDiskRequest = z.strictObject({
  path: z.string().min(1).max(4096).describe("the new disk"),
  wipe: z.boolean().default(false).describe("erase what is on the new disk"),
  encrypt: z.boolean().default(false),
  bypass_safety_checks: z
    .boolean()
    .default(false)
    .describe("replace it whatever the old one holds: what only it has is lost"),
});
export const adoptDisksRequest = z.strictObject({
  dry_run: z.boolean().default(false).describe("only say what is found"),
  without_monitors: z
    .boolean()
    .default(false)
    .describe(
      "believe what disks say of themselves, because no monitor can be asked; what is encrypted stays closed",
    ),
});
/** An OSD of this cluster that was found on a disk. */
const adoptedDisk = z.object({
  osd: z.int(),
  path: z.string(),
  report: z.enum(["Success", "Failure", "Found"]),
  error: text,
});
export type AdoptedDisk = Shape<typeof adoptedDisk>;
export const cancelledRemoval = z.object({ osd: z.int() });

export const osdActionRequest = z.strictObject({});
