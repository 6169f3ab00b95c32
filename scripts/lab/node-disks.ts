import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { LabError } from "./lab-error.ts";
import type { DiskRecord } from "./lab-record.ts";
import type { NodeFiles } from "./layout.ts";
import { isRootless } from "./machine.ts";
import type { LabProcess } from "./processes.ts";
import { capture, run } from "./run.ts";

const units: Readonly<Record<string, number>> = { M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** Bytes of a size such as `512M`, `1G`, `4GiB`; throws USAGE. */
export function diskBytes(text: string): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)([MGT])(?:i?B)?$/i.exec(text);
  const unit = units[(match?.[2] ?? "").toUpperCase()];
  const bytes = match === null || unit === undefined ? 0 : Math.floor((Number(match[1]) * unit) / 512) * 512;
  if (bytes < 2 ** 20 || bytes > 64 * 2 ** 40) {
    throw new LabError(
      "USAGE",
      `a disk size is a number with M, G or T from 1M to 64T, for example 4G, not "${text}"`,
    );
  }
  return bytes;
}

/** Make the sparse backing file of a new disk. */
export function createBackingFile(files: NodeFiles, bytes: number): string {
  mkdirSync(files.disks, { recursive: true });
  const used = readdirSync(files.disks).map((name) => Number(/^disk([0-9]+)\.img$/.exec(name)?.[1] ?? 0));
  const file = join(files.disks, `disk${Math.max(0, ...used) + 1}.img`);
  writeFileSync(file, "", { flag: "wx", mode: 0o600 });
  truncateSync(file, bytes);
  return file;
}

interface LoopDevice {
  readonly loop: number;
  readonly file: string;
}

/** Loop devices whose backing file, deleted or not, is at or below `path`. */
export async function loopDevices(path: string): Promise<LoopDevice[]> {
  const report = await run("losetup", ["--list", "--noheadings", "--raw", "--output", "NAME,BACK-FILE"]);
  return report
    .split("\n")
    .map((line) => /^\/dev\/loop([0-9]+) (.*)$/.exec(line))
    .flatMap((match) =>
      match === null
        ? []
        : [{ loop: Number(match[1]), file: unescapeRaw(match[2] ?? "").replace(/ \(deleted\)$/, "") }],
    )
    .filter((device) => device.file === path || device.file.startsWith(`${path}/`));
}

/** `--raw` writes blanks and the like as \xHH. */
function unescapeRaw(text: string): string {
  return text.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** Attach the file to a free loop device; its number. */
export async function attachLoop(file: string): Promise<number> {
  const known = (await loopDevices(file))[0];
  if (known !== undefined) return known.loop;
  if (isRootless()) {
    throw new LabError(
      "NEEDS_ROOT",
      "block devices are loop devices of this machine, which need root; OSDs in loop files do not: microceph disk add loop,1G",
    );
  }
  let refusal = "";
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const free = await capture("losetup", ["--find"]);
    const loop = /loop([0-9]+)/.exec(`${free.stdout}${free.stderr}`)?.[1];
    if (loop === undefined) {
      throw new LabError(
        "PROGRAM_FAILED",
        `no loop devices here (is /dev/loop-control there?): ${free.stderr.trim()}`,
      );
    }
    // Where /dev is no devtmpfs nobody makes the file of a new device.
    if (!existsSync(`/dev/loop${loop}`)) await capture("mknod", [`/dev/loop${loop}`, "b", "7", loop]);
    await forgetPartitions(Number(loop));
    // Somebody else may take the same one first; then ask for another.
    const taken = await capture("losetup", [`/dev/loop${loop}`, file]);
    if (taken.exitCode === 0) return Number(loop);
    refusal = taken.stderr.trim();
  }
  throw new LabError("PROGRAM_FAILED", `cannot attach ${file}: ${refusal}`);
}

/** The kernel keeps partitions that it was told of for the next file behind the same loop device. */
async function forgetPartitions(loop: number): Promise<void> {
  await capture("partx", ["--delete", `/dev/loop${loop}`]);
}

/** Detach every loop device with a backing file at or below `path`. */
export async function detachLoops(path: string): Promise<void> {
  for (const device of await loopDevices(path)) {
    await forgetPartitions(device.loop);
    await capture("losetup", ["--detach", `/dev/loop${device.loop}`]);
  }
}

/** Show the disk to the node, and to no other: in its list of block devices and in its /dev. */
export async function showDisk(holder: number, disk: DiskRecord): Promise<void> {
  const name = `loop${disk.loop}`;
  const node = `/proc/${holder}/root`;
  for (const folder of ["sys/block", "sys/class/block"]) {
    const link = `${node}/${folder}/${name}`;
    if (lstatSync(link, { throwIfNoEntry: false }) === undefined) {
      const up = folder === "sys/block" ? ".." : "../..";
      symlinkSync(`${up}/devices/virtual/block/${name}`, link);
    }
  }
  // Last: whoever waits for a new file in /dev finds the disk whole.
  if (!existsSync(`${node}/dev/${name}`)) {
    await run("mknod", ["-m", "660", `${node}/dev/${name}`, "b", "7", String(disk.loop)]);
  }
}

const udevScript = join(import.meta.dirname, "node-udev.sh");

/** Whether a process of a node is the lab's stand-in for udev. */
export function isUdev({ args }: { readonly args: readonly string[] }): boolean {
  return args.includes(udevScript);
}

/** Have the files in /dev of the partitions of the node's disks made, from now on; once is enough. */
export async function startUdev(holder: number, processes: readonly LabProcess[]): Promise<void> {
  if (processes.some(isUdev)) return;
  const inside = ["--target", String(holder), "--all", "--"];
  await run("nsenter", [...inside, "sh", "-c", `setsid sh "$0" </dev/null >/dev/null 2>&1 &`, udevScript]);
}

export function diskPath(disk: DiskRecord): string {
  return `/dev/loop${disk.loop}`;
}
