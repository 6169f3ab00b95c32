import type { Command } from "commander";
import { MicrocephError } from "../errors/microceph-error.ts";
import { addDiskAddCommand } from "./disk-add-command.ts";
import { addDiskAdoptCommand } from "./disk-adopt-command.ts";
import { addDiskRemoveCommand, addDiskReplaceCommand } from "./disk-remove-command.ts";
import type { CliIo } from "./io.ts";
import { osdNumber } from "./osd-number.ts";
import { diskList, diskListText } from "./render/disk-lists.ts";
import { printableJson } from "./render/sanitize.ts";
import { Session } from "./session.ts";

/** `microceph disk …` */
export function addDiskCommands(program: Command, io: CliIo): void {
  const disk = program
    .command("disk")
    .description("Add disks to Ceph, list, restart, encrypt, replace and remove them");
  addDiskAddCommand(disk, io);
  addDiskAdoptCommand(disk, io);
  addDiskRemoveCommand(disk, io);
  addDiskReplaceCommand(disk, io);
  addEncryptionSupport(disk, io);

  disk
    .command("list")
    .description("List the cluster's OSDs, the empty disks, and why the others are not available")
    .option("--json", "MicroCeph's JSON, the same as --format json")
    .option("--host-only", "only what is on this node")
    .option("--target <node>", "node whose empty disks come first (this one)")
    .action(async (options: { readonly json?: boolean; readonly hostOnly?: boolean }, command: Command) => {
      const session = new Session(io, command);
      const [configured, inventory] = await Promise.all([
        session.client.disks(),
        session.client.diskInventory(),
      ]);
      const list = diskList(configured, inventory, options.hostOnly ?? false);
      if (options.json) io.stdout.write(`${printableJson(list)}\n`);
      else await session.print(list, diskListText);
    });

  for (const [action, text] of [
    ["restart", "Restart one OSD and wait until it is up"],
    ["stop", "Stop one OSD; it stays stopped, also over a boot, until it is started"],
    ["start", "Start an OSD that was stopped and wait until it is up"],
    ["rotate-key", "Give an encrypted OSD another key, while it runs"],
  ] as const) {
    disk
      .command(action)
      .description(text)
      .argument("<osd>", "osd.N or N, on whichever node it is", osdNumber)
      .option("--target <node>", "its node (found by itself)")
      .action(async (osd: number, options: { readonly target?: string }, command: Command) => {
        const session = new Session(io, command);
        const client = session.client.withTarget(options.target ?? (await locationOf(session, osd)));
        await session.finish(await client.controlOsd(osd, action), client);
        await session.print({ osd, action }, () => "");
      });
  }
}

/** `microceph disk encryption-support`: where it is not, it fails with the reason, as in MicroCeph. */
function addEncryptionSupport(disk: Command, io: CliIo): void {
  disk
    .command("encryption-support")
    .description("Say whether this node can encrypt disks, or what is missing")
    .option("--target <node>", "node to ask (this one)")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command);
      const support = await session.client.encryptionSupport();
      if (support.supported || session.format !== "table") {
        await session.print(support, () => "supported\n");
      }
      if (support.supported) return;
      throw new MicrocephError(
        "ENCRYPTION_UNSUPPORTED",
        `Encryption is not supported on this node: ${support.reason_unsupported}`,
      );
    });
}

async function locationOf(session: Session, osd: number): Promise<string> {
  const found = (await session.client.disks()).find((one) => one.osd === osd);
  if (found === undefined) throw new MicrocephError("NOT_FOUND", `there is no osd.${osd}`);
  return found.location;
}
