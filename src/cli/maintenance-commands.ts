import type { Command } from "commander";
import type { MaintenanceReport } from "../api/contract/maintenance.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import { truth } from "./option-values.ts";
import { Session } from "./session.ts";

interface EnterOptions {
  readonly force?: true;
  readonly dryRun?: true;
  readonly setNoout: boolean;
  readonly stopOsds: boolean;
  readonly checkOnly?: true;
  readonly ignoreCheck?: true;
}
type ExitOptions = Pick<EnterOptions, "dryRun" | "checkOnly" | "ignoreCheck">;

/** `microceph cluster maintenance …`, with MicroCeph's options. */
export function addMaintenanceCommands(cluster: Command, io: CliIo): void {
  const maintenance = cluster
    .command("maintenance")
    .description("Take a member out of service for a while, and back");

  maintenance
    .command("enter")
    .description(
      "Prepare a member for maintenance: its data is not moved, what is active there is handed over",
    )
    .argument("<node>", "name, or PeerId prefix of six or more characters")
    .option("--force", "go on although a check fails")
    .option("--dry-run", "only say what would be done")
    .option("--set-noout [bool]", "Ceph does not move the data of this host meanwhile", truth, true)
    .option("--stop-osds [bool]", "stop the host's OSDs", truth, false)
    .option("--check-only", "only check")
    .option("--ignore-check", "do not check")
    .action(async (node: string, options: EnterOptions, command: Command) => {
      await run(new Session(io, command), node, {
        status: "maintenance",
        ...flags(options),
        force: options.force ?? false,
        set_noout: options.setNoout,
        stop_osds: options.stopOsds,
      });
    });

  maintenance
    .command("exit")
    .description("Bring a member back into service: what maintenance has changed is put back")
    .argument("<node>", "name, or PeerId prefix of six or more characters")
    .option("--dry-run", "only say what would be done")
    .option("--check-only", "only check")
    .option("--ignore-check", "do not check")
    .action(async (node: string, options: ExitOptions, command: Command) => {
      await run(new Session(io, command), node, { status: "non-maintenance", ...flags(options) });
    });
}

function flags(options: ExitOptions): { dry_run: boolean; check_only: boolean; ignore_check: boolean } {
  const { dryRun = false, checkOnly = false, ignoreCheck = false } = options;
  return { dry_run: dryRun, check_only: checkOnly, ignore_check: ignoreCheck };
}

async function run(
  session: Session,
  node: string,
  request: Parameters<Session["client"]["maintenance"]>[1],
): Promise<void> {
  const { result } = await session.finish(await session.client.maintenance(node, request));
  const report = result as unknown as MaintenanceReport;
  for (const warning of report.warnings) session.io.stderr.write(`Warning: ${warning}\n`);
  await session.print(report, (clean) => stepsText(clean, request.dry_run ?? false));
  const failed = report.steps.find(({ error }) => error !== "");
  if (!report.done && failed !== undefined) {
    throw new MicrocephError("MAINTENANCE_FAILED", `${report.node}: ${failed.error}`, {
      data: { node: report.node, step: failed.name },
    });
  }
}

/** As MicroCeph prints them. */
function stepsText({ steps }: MaintenanceReport, dryRun: boolean): string {
  return steps
    .map(({ name, error }) =>
      dryRun ? `${name}\n` : `${name} ${error === "" ? "(succeeded)" : `(failed: ${error})`}\n`,
    )
    .join("");
}
