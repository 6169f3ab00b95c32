import type { Command } from "commander";
import type { ApiClient } from "../api/client.ts";
import type { AdoptedDisk } from "../api/contract/disks.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import type { Table } from "./render/table.ts";
import { Session } from "./session.ts";

interface AdoptOptions {
  readonly dryRun?: boolean;
  readonly withoutMonitors?: boolean;
  readonly target?: string;
}

/** `microceph disk adopt` */
export function addDiskAdoptCommand(disk: Command, io: CliIo): void {
  disk
    .command("adopt")
    .description("Let OSDs of this cluster run again that lie on disks of this node; nothing is wiped")
    .option("--dry-run", "only say what is found")
    .option("--without-monitors", "believe the disks: no monitor can be asked, as after a restore")
    .option("--target <node>", "node whose disks are looked at (this one)")
    .action(async (options: AdoptOptions, command: Command) => {
      const session = new Session(io, command);
      const client = session.client.withTarget(options.target);
      const report = await adopted(session, client, options);
      await session.print({ report }, (clean) => reportTable(clean.report));
      const failed = report.filter((line) => line.report === "Failure");
      if (failed.length === 0) return;
      throw new MicrocephError("PROGRAM_FAILED", failed.map(({ error }) => error).join("; "), {
        data: { failed },
      });
    });
}

async function adopted(
  session: Session,
  client: ApiClient,
  { dryRun = false, withoutMonitors = false }: AdoptOptions,
): Promise<readonly AdoptedDisk[]> {
  const { result } = await session.finish(
    await client.adoptDisks({ dry_run: dryRun, without_monitors: withoutMonitors }),
    client,
  );
  const { report } = (result ?? {}) as { readonly report?: readonly AdoptedDisk[] };
  if (!Array.isArray(report)) throw new MicrocephError("INTERNAL", "the daemon reports nothing of the disks");
  return report;
}

function reportTable(report: readonly AdoptedDisk[]): string | Table {
  if (report.length === 0) {
    return "No disk of this node holds an OSD of this cluster that does not run here.\n";
  }
  return {
    header: ["OSD", "PATH", "STATUS"],
    rows: report.map(({ osd, path, report: status }) => [`${osd}`, path, status]),
  };
}
