import { type Command, Option } from "commander";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import { osdNumber } from "./osd-number.ts";
import { Session } from "./session.ts";

interface RemoveOptions {
  readonly bypassSafetyChecks?: true;
  readonly confirmFailureDomainDowngrade?: true;
  readonly prohibitCrushScaledown?: true;
  readonly timeout: string;
  readonly cancel?: true;
}

/** `microceph disk remove` */
export function addDiskRemoveCommand(disk: Command, io: CliIo): void {
  disk
    .command("remove")
    .description("Take an OSD out of Ceph: its data moves to the others first, then its disk is emptied")
    .argument("<osd>", "osd.N or N, on whichever node it is, also when that node is dead", osdNumber)
    .option("--bypass-safety-checks", "remove it at once, whatever it holds: what only it has is lost")
    .addOption(
      new Option(
        "--confirm-failure-domain-downgrade",
        "let copies share a host when too few hosts or racks have OSDs without it",
      ).conflicts("prohibitCrushScaledown"),
    )
    .option("--prohibit-crush-scaledown", "keep the failure domain then, with fewer copies than wanted")
    .option("--timeout <seconds>", "how long to wait here; the removal goes on all the same", "1800")
    .option("--cancel", "call a removal off: the OSD gets its data back")
    .action(async (osd: number, options: RemoveOptions, command: Command) => {
      const session = new Session(io, command);
      if (options.cancel) {
        const cancelled = await session.client.cancelDiskRemoval(osd);
        return session.print(cancelled, () => `osd.${osd} stays.\n`);
      }
      await remove(session, osd, options);
    });
}

interface ReplaceOptions {
  readonly wipe?: true;
  readonly encrypt?: true;
  readonly bypassSafetyChecks?: true;
  readonly target?: string;
}

/** `microceph disk replace` */
export function addDiskReplaceCommand(disk: Command, io: CliIo): void {
  disk
    .command("replace")
    .description("Give an OSD another disk: it keeps its number and its weight, and its data is copied once")
    .argument("<osd>", "osd.N or N, also when its disk is dead", osdNumber)
    .argument("<disk>", "the new disk, a block device of the same node")
    .option("--wipe", "erase what is on the new disk")
    .option("--encrypt", "encrypt the OSD")
    .option("--bypass-safety-checks", "at once, whatever the old one holds: what only it has is lost")
    .option("--target <node>", "node of the new disk (the OSD's)")
    .action(async (osd: number, path: string, options: ReplaceOptions, command: Command) => {
      const session = new Session(io, command);
      const found = (await session.client.disks()).find((one) => one.osd === osd)?.location;
      const client = session.client.withTarget(options.target ?? found);
      const job = await client.replaceDisk(osd, {
        path,
        wipe: options.wipe ?? false,
        encrypt: options.encrypt ?? false,
        bypass_safety_checks: options.bypassSafetyChecks ?? false,
      });
      await session.finish(job, client);
      await session.print(
        { osd, path },
        () => `Replaced the disk of osd.${osd} by ${path}; its data is copied back\n`,
      );
    });
}

async function remove(session: Session, osd: number, options: RemoveOptions): Promise<void> {
  const seconds = Number(options.timeout);
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 7 * 86_400) {
    throw new MicrocephError("USAGE", `--timeout takes whole seconds, not "${options.timeout}"`);
  }
  const job = await session.client.removeDisk(osd, {
    bypass_safety_checks: options.bypassSafetyChecks ?? false,
    confirm_crush_downgrade: options.confirmFailureDomainDowngrade ?? false,
    prohibit_crush_scaledown: options.prohibitCrushScaledown ?? false,
  });
  const { result } = await withTimeout(session.finish(job), seconds, osd);
  await session.print(result, (clean) => {
    const cleaned =
      typeof clean === "object" && clean !== null && "cleaned" in clean && clean.cleaned === true;
    return cleaned
      ? `Removed osd.${osd}\n`
      : `Removed osd.${osd}; its host does not answer and empties the disk when it comes back\n`;
  });
}

async function withTimeout<T>(work: Promise<T>, seconds: number, osd: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const text = `osd.${osd} is not removed after ${seconds} s; the removal goes on`;
      reject(new MicrocephError("DEADLINE_EXCEEDED", text));
    }, seconds * 1000);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
