import type { Command } from "commander";
import { parseDiskSpecs } from "../api/contract/disk-spec.ts";
import type { DiskReport } from "../api/contract/disks.ts";
import type { Job } from "../api/contract/jobs.ts";
import { isErrorCode } from "../errors/codes.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import { diskList, diskListText, diskReportTable } from "./render/lists.ts";
import { printableJson } from "./render/sanitize.ts";
import { Session } from "./session.ts";

/** `microceph disk …` */
export function addDiskCommands(program: Command, io: CliIo): void {
  const disk = program.command("disk").description("Add disks to Ceph and list them");

  disk
    .command("add")
    .description("Make OSDs: of block devices, or of COUNT files of SIZE for trying out")
    .argument("<spec...>", "paths of block devices, or loop,SIZE,COUNT with SIZE in M, G or T (loop,4G,3)")
    .option("--wipe", "erase what is on the devices")
    .option("--target <node>", "node whose disks they are (this one)")
    .action(async (specs: string[], options: { readonly wipe?: boolean }, command: Command) => {
      parseDiskSpecs(specs);
      const session = new Session(io, command, { lists: true });
      const started = await session.client.addDisks({ path: specs, wipe: options.wipe ?? false });
      const report = reportOf(await session.finish(started));
      await session.print(report, diskReportTable);
      const failed = report.report.filter((line) => line.report === "Failure");
      if (failed.length > 0) throw failure(failed, report.report.length);
    });

  disk
    .command("list")
    .description("List the disks of the cluster and the empty ones of this node")
    .option("--json", "MicroCeph's JSON, the same as --format json")
    .option("--host-only", "of the cluster's disks only those of this node")
    .option("--target <node>", "node whose empty disks are listed (this one)")
    .action(async (options: { readonly json?: boolean; readonly hostOnly?: boolean }, command: Command) => {
      const session = new Session(io, command);
      const [configured, available, self] = await Promise.all([
        session.client.disks(),
        session.client.availableDisks(),
        options.hostOnly ? session.client.server() : undefined,
      ]);
      const shown = self ? configured.filter((disk) => disk.location === self.name) : configured;
      const list = diskList(shown, available);
      if (options.json) io.stdout.write(`${printableJson(list)}\n`);
      else await session.print(list, diskListText);
    });
}

/** The result of a job of disks; an older or newer daemon may lack it. */
function reportOf(job: Job): DiskReport {
  const result = job.result as Partial<DiskReport> | null;
  if (!Array.isArray(result?.report))
    throw new MicrocephError("INTERNAL", "the daemon reports nothing of the disks");
  return { report: result.report };
}

/** When all failed for one reason, its code and so its exit code and remedy: each error ends with its code. */
function failure(failed: DiskReport["report"], all: number): MicrocephError {
  const codes = new Set(failed.map((line) => / \[([A-Z_]+)\]$/.exec(line.error)?.[1]));
  const [only] = codes;
  const shared = codes.size === 1 && isErrorCode(only) ? only : undefined;
  const texts = failed.map((line) => {
    const text = shared === undefined ? line.error : line.error.slice(0, -` [${shared}]`.length);
    // Most messages name the disk themselves.
    return text.includes(line.path) ? text : `${line.path}: ${text}`;
  });
  const message =
    failed.length === 1 ? `${texts[0]}` : `${failed.length} of ${all} disks failed: ${texts.join("; ")}`;
  return new MicrocephError(shared ?? "PROGRAM_FAILED", message, { data: { failed } });
}
