import type { Command } from "commander";
import type { ApiClient } from "../api/client.ts";
import { checkDiskRequest, type DiskRequest } from "../api/contract/disk-request.ts";
import type { DiskReport } from "../api/contract/disks.ts";
import type { Job } from "../api/contract/jobs.ts";
import { isErrorCode } from "../errors/codes.ts";
import { isMicrocephError, MicrocephError, messageOf } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import { diskReportTable, dryRunData, dryRunText } from "./render/disk-lists.ts";
import { printableJson } from "./render/sanitize.ts";
import { Session } from "./session.ts";

interface AddOptions {
  readonly allAvailable?: boolean;
  readonly wipe?: boolean;
  readonly encrypt?: boolean;
  readonly walDevice?: string;
  readonly walWipe?: boolean;
  readonly walEncrypt?: boolean;
  readonly dbDevice?: string;
  readonly dbWipe?: boolean;
  readonly dbEncrypt?: boolean;
  readonly osdMatch?: string;
  readonly walMatch?: string;
  readonly walSize?: string;
  readonly dbMatch?: string;
  readonly dbSize?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly target?: string;
}

const matchHelp = `
Expressions: and(…) or(…) not(x) in(@v, a, b…) re('pattern', @v) eq ne gt ge lt le
Variables:   @type @vendor @model @size @devnode @host
For example: --osd-match "and(eq(@type,'sata'),ge(@size,4TB))" --db-match "eq(@type,'nvme')" --db-size 60GiB`;

/** `microceph disk add` */
export function addDiskAddCommand(disk: Command, io: CliIo): void {
  disk
    .command("add")
    .description("Make OSDs: of block devices, or of COUNT files of SIZE for trying out")
    .argument("[spec...]", "paths of block devices, or loop,SIZE,COUNT with SIZE in M, G or T (loop,4G,3)")
    .option("--all-available", "every disk that is available")
    .option("--wipe", "erase what is on the devices")
    .option("--encrypt", "encrypt the OSDs")
    .option("--wal-device <path>", "device for the write-ahead log of the one OSD")
    .option("--wal-wipe", "erase what is on it, or on the disks that --wal-match finds")
    .option("--wal-encrypt", "encrypt the write-ahead log")
    .option("--db-device <path>", "device for the database of the one OSD")
    .option("--db-wipe", "erase what is on it, or on the disks that --db-match finds")
    .option("--db-encrypt", "encrypt the database")
    .option("--osd-match <expression>", "every disk that matches and is no OSD yet")
    .option("--wal-match <expression>", "disks on which partitions for write-ahead logs are made")
    .option("--wal-size <size>", "size of each (4GiB)")
    .option("--db-match <expression>", "disks on which partitions for databases are made")
    .option("--db-size <size>", "size of each (60GiB)")
    .option("--dry-run", "only show what --osd-match would make")
    .option("--json", "the dry run as MicroCeph's JSON")
    .option("--target <node>", "node whose disks they are (this one), or all")
    .addHelpText("after", matchHelp)
    .action(async (specs: string[], options: AddOptions, command: Command) => {
      const request = requestOf(specs, options);
      const session = new Session(io, command, { lists: true });
      const report =
        options.target === "all" ? await addOnAll(session, request) : await addOn(session, request);
      if (options.json) return io.stdout.write(`${printableJson(dryRunData(report))}\n`);
      if (options.dryRun) return session.print(dryRunData(report), () => dryRunText(report));
      await session.print(report, diskReportTable);
      if (report.report.length === 0) io.stderr.write("Nothing to do: no disk is left that fits.\n");
      const failed = report.report.filter((line) => line.report === "Failure");
      if (failed.length > 0) throw failure(failed, report.report.length);
    });
}

/** Throws USAGE for what cannot go together. */
function requestOf(specs: readonly string[], options: AddOptions): DiskRequest {
  if (options.json && !options.dryRun) throw new MicrocephError("USAGE", "--json requires --dry-run");
  const said: DiskRequest = {
    path: specs,
    all_available: options.allAvailable,
    wipe: options.wipe ?? false,
    encrypt: options.encrypt,
    waldev: options.walDevice,
    walwipe: options.walWipe,
    walencrypt: options.walEncrypt,
    dbdev: options.dbDevice,
    dbwipe: options.dbWipe,
    dbencrypt: options.dbEncrypt,
    osd_match: options.osdMatch,
    wal_match: options.walMatch,
    wal_size: options.walSize,
    db_match: options.dbMatch,
    db_size: options.dbSize,
    dry_run: options.dryRun,
  };
  checkDiskRequest(said);
  // A daemon of an earlier version takes what it knows.
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
}

async function addOn(session: Session, request: DiskRequest): Promise<DiskReport> {
  return reportOf(await session.finish(await session.client.addDisks(draft(request))));
}

/** On every member at once; one that does not answer fails for itself. */
async function addOnAll(session: Session, request: DiskRequest): Promise<DiskReport> {
  const local = session.client.withoutTarget();
  const names = (await local.mesh()).members.map(({ name }) => name).sort();
  if (names.length === 0) throw new MicrocephError("NOT_INITIALIZED", "Daemon not yet initialized");
  const reports = await Promise.all(
    names.map(async (name): Promise<DiskReport> => {
      const client: ApiClient = local.withTarget(name);
      try {
        const job = await session.finish(await client.addDisks(draft(request)), client, name);
        return prefixed(name, reportOf(job));
      } catch (error) {
        if (isMicrocephError(error, "USAGE")) throw error;
        const code = isMicrocephError(error) ? ` [${error.code}]` : "";
        return { report: [{ path: name, report: "Failure", error: `${messageOf(error)}${code}` }] };
      }
    }),
  );
  const dryRuns = reports.flatMap(({ dryRun }) => (dryRun ? [dryRun] : []));
  return {
    report: reports.flatMap(({ report }) => report),
    ...(dryRuns.length === 0
      ? {}
      : {
          dryRun: {
            devices: dryRuns.flatMap(({ devices }) => devices),
            plan: dryRuns.flatMap(({ plan }) => plan),
          },
        }),
  };
}

function prefixed(name: string, { report, dryRun }: DiskReport): DiskReport {
  const on = <T extends { readonly path: string }>(one: T): T => ({ ...one, path: `${name}:${one.path}` });
  return {
    report: report.map(on),
    ...(dryRun ? { dryRun: { devices: dryRun.devices.map(on), plan: dryRun.plan.map(on) } } : {}),
  };
}

function draft(request: DiskRequest): Parameters<ApiClient["addDisks"]>[0] {
  return request as Parameters<ApiClient["addDisks"]>[0];
}

/** The result of a job of disks; an older or newer daemon may lack it. */
function reportOf(job: Job): DiskReport {
  const result = job.result as Partial<DiskReport> | null;
  if (!Array.isArray(result?.report))
    throw new MicrocephError("INTERNAL", "the daemon reports nothing of the disks");
  return { report: result.report, ...(result.dryRun ? { dryRun: result.dryRun } : {}) };
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
