import { type Command, InvalidArgumentError } from "commander";
import { MicrocephError } from "../errors/microceph-error.ts";
import { addDiskAddCommand } from "./disk-add-command.ts";
import type { CliIo } from "./io.ts";
import { diskList, diskListText } from "./render/disk-lists.ts";
import { printableJson } from "./render/sanitize.ts";
import { Session } from "./session.ts";

/** `microceph disk …` */
export function addDiskCommands(program: Command, io: CliIo): void {
  const disk = program.command("disk").description("Add disks to Ceph, list and restart them");
  addDiskAddCommand(disk, io);

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

function osdNumber(text: string): number {
  const number = /^(?:osd\.)?([0-9]{1,9})$/.exec(text)?.[1];
  if (number === undefined) throw new InvalidArgumentError("It is osd.N or N.");
  return Number(number);
}

async function locationOf(session: Session, osd: number): Promise<string> {
  const found = (await session.client.disks()).find((one) => one.osd === osd);
  if (found === undefined) throw new MicrocephError("NOT_FOUND", `there is no osd.${osd}`);
  return found.location;
}
