import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { MicrocephError } from "../../errors/microceph-error.ts";
import { exists } from "../../files/exists.ts";
import type { runProgram } from "../../process/run-program.ts";
import {
  type BlockDevice,
  type DiskRoots,
  deviceNumber,
  listBlockDevices,
  openClaimed,
} from "./inventory.ts";
import type { AuxKind, Extent } from "./match/plan.ts";

/** GPT types of our own: no other program takes such a partition for one of its. */
export const partitionTypes: Readonly<Record<AuxKind, string>> = {
  wal: "a5c3a0b6-1f0e-4a55-9b0c-6d6963726f77",
  db: "a5c3a0b6-1f0e-4a55-9b0c-6d6963726f64",
};

const programMs = 30_000;
/** Milliseconds that udev, or whoever makes the files of devices, has to make that of a new partition. */
const nodeMs = 15_000;
const lookMs = 50;

export interface PartitionDeps {
  readonly roots: DiskRoots;
  readonly run: typeof runProgram;
}

/** One partition as the table has it, in bytes. */
export interface TablePartition extends Extent {
  readonly number: number;
  /** Lower-case. */
  readonly type: string;
  readonly uuid: string;
  readonly name: string;
}

const dumpSchema = z.object({
  partitiontable: z.object({
    label: z.string().max(16),
    id: z.string().max(64).default(""),
    sectorsize: z.int().min(256).max(65_536).default(512),
    partitions: z
      .array(
        z.object({
          node: z.string().max(4096),
          start: z.int().min(0),
          size: z.int().min(0),
          type: z.string().max(64),
          uuid: z.string().max(64).default(""),
          name: z.string().max(256).default(""),
        }),
      )
      .max(1024)
      .default([]),
  }),
});

export interface PartitionTable {
  /** UUID of the table, lower-case. */
  readonly id: string;
  readonly partitions: readonly TablePartition[];
}

/** The GPT of a disk; undefined when it has none. */
export async function readTable(
  path: string,
  deps: Pick<PartitionDeps, "run">,
): Promise<PartitionTable | undefined> {
  // 1: there is no table.
  const { exitCode, stdout } = await deps.run("sfdisk", ["--json", path], {
    deadlineMs: programMs,
    okCodes: [0, 1],
  });
  if (exitCode !== 0) return undefined;
  const { label, id, sectorsize, partitions } = dumpSchema.parse(JSON.parse(stdout)).partitiontable;
  if (label !== "gpt") return undefined;
  const inBytes = partitions.map(({ node, start, size, type, uuid, name }) => ({
    number: Number(/([0-9]+)$/.exec(node)?.[1] ?? Number.NaN),
    start: start * sectorsize,
    bytes: size * sectorsize,
    type: type.toLowerCase(),
    uuid: uuid.toLowerCase(),
    name,
  }));
  return { id: id.toLowerCase(), partitions: inBytes };
}

/** Whether every partition of a table is one of ours; an empty table is nobody's. */
export function allOurs({ partitions }: PartitionTable): boolean {
  const types = Object.values(partitionTypes);
  return partitions.length > 0 && partitions.every(({ type }) => types.includes(type));
}

/** Write a new, empty GPT. What was there is gone: only on an empty disk, or on the user's word. */
export async function writeEmptyTable(
  path: string,
  id: string,
  deps: Pick<PartitionDeps, "run">,
): Promise<void> {
  await deps.run("sfdisk", ["--quiet", "--no-reread", "--no-tell-kernel", "--wipe", "always", path], {
    deadlineMs: programMs,
    input: `label: gpt\nlabel-id: ${id}\n`,
  });
}

/**
 * Make one partition, unless the table has one with this uuid already. The kernel is told of it, and of no other:
 * those in use are not touched. The file in /dev is made by udev.
 */
export async function makePartition(
  path: string,
  wanted: {
    readonly kind: AuxKind;
    readonly uuid: string;
    readonly name: string;
    readonly number: number;
  } & Extent,
  deps: PartitionDeps,
): Promise<void> {
  const table = await readTable(path, deps);
  if (!table?.partitions.some(({ uuid }) => uuid === wanted.uuid)) {
    const line = [
      `start=${wanted.start / 2 ** 20}MiB`,
      `size=${wanted.bytes / 2 ** 20}MiB`,
      `type=${partitionTypes[wanted.kind]}`,
      `uuid=${wanted.uuid}`,
      `name="${wanted.name}"`,
    ];
    await deps.run(
      "sfdisk",
      [...["--quiet", "--append", "--no-reread", "--no-tell-kernel"], ...["--wipe", "never", path]],
      { deadlineMs: programMs, input: `${wanted.number}: ${line.join(", ")}\n` },
    );
  }
  await tellKernel(path, deps);
}

/**
 * Take a partition of ours away again; one that is not there is no error. With the last of them goes the table,
 * which was ours too: the disk is empty again.
 */
export async function deletePartition(path: string, uuid: string, deps: PartitionDeps): Promise<void> {
  const table = await readTable(path, deps);
  const found = table?.partitions.find((one) => one.uuid === uuid);
  if (table === undefined || found === undefined) return;
  if (!Object.values(partitionTypes).includes(found.type)) {
    throw new MicrocephError("DISK_IN_USE", `the partition ${uuid} of ${path} is not one of ours`);
  }
  const number = String(found.number);
  await deps.run("partx", ["--delete", "--nr", number, path], { deadlineMs: programMs, okCodes: [0, 1] });
  if (table.partitions.length === 1) return zeroEnds(path, deps.roots);
  await deps.run("sfdisk", ["--quiet", "--no-reread", "--no-tell-kernel", "--delete", path, number], {
    deadlineMs: programMs,
  });
}

/** Erase a GPT and its copy at the end. */
async function zeroEnds(path: string, roots: DiskRoots): Promise<void> {
  const file = await openClaimed(path, constants.O_WRONLY);
  try {
    const end = await sizeOf(path, roots);
    for (const offset of [0, end - 2 ** 20]) await file.write(Buffer.alloc(2 ** 20), 0, 2 ** 20, offset);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Size of a block device in bytes. */
async function sizeOf(path: string, roots: DiskRoots): Promise<number> {
  const number = deviceNumber((await stat(path)).rdev);
  const [device] = await listBlockDevices(roots, { device: number });
  if (device === undefined) throw new MicrocephError("NOT_FOUND", `there is no ${path} on this node`);
  return device.bytes;
}

/** Make the kernel know the partitions of the table that it does not know yet. */
export async function tellKernel(path: string, deps: PartitionDeps): Promise<void> {
  const disk = await diskAt(path, deps.roots);
  const known = new Set<number>();
  for (const name of disk?.partitions ?? []) known.add(Number(/([0-9]+)$/.exec(name)?.[1]));
  for (const { number } of (await readTable(path, deps))?.partitions ?? []) {
    if (known.has(number)) continue;
    // 1: another has just told it.
    await deps.run("partx", ["--add", "--nr", String(number), path], {
      deadlineMs: programMs,
      okCodes: [0, 1],
    });
  }
}

/**
 * The stable path of a partition of ours, once its file is there: /dev/disk/by-partuuid where udev makes it,
 * else its node. Throws NOT_FOUND when the table has none, DEADLINE_EXCEEDED when nobody makes the file.
 */
export async function partitionPath(path: string, uuid: string, deps: PartitionDeps): Promise<string> {
  const found = (await readTable(path, deps))?.partitions.find((one) => one.uuid === uuid);
  if (found === undefined) {
    throw new MicrocephError("NOT_FOUND", `${path} has no partition ${uuid}`, { data: { path, uuid } });
  }
  const stable = join(deps.roots.dev, "disk/by-partuuid", uuid);
  const udev = await exists("/run/udev/control");
  const end = performance.now() + nodeMs;
  for (;;) {
    if (await exists(stable)) return stable;
    const node = await nodeOf(path, found.number, deps.roots);
    if (node !== undefined && !udev) return node;
    if (performance.now() > end) {
      if (node !== undefined) return node;
      throw new MicrocephError(
        "DEADLINE_EXCEEDED",
        `nobody made the file in /dev of partition ${found.number} of ${path}: is udev running?`,
        { data: { path, number: found.number } },
      );
    }
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
}

async function nodeOf(path: string, number: number, roots: DiskRoots): Promise<string | undefined> {
  const devices = await listBlockDevices(roots);
  const disk = devices.find((one) => one.path === path || one.stablePath === path);
  return devices.find(({ partOf }) => partOf?.disk === disk?.name && partOf?.number === number)?.path;
}

async function diskAt(path: string, roots: DiskRoots): Promise<BlockDevice | undefined> {
  return (await listBlockDevices(roots)).find((one) => one.path === path || one.stablePath === path);
}
