import type { Command } from "commander";
import { notInitialized } from "../api/not-initialized.ts";
import type { CliIo } from "./io.ts";
import { deploymentSummary } from "./render/deployment-summary.ts";
import { statusOverview } from "./render/status-overview.ts";
import { Session } from "./session.ts";

/** `microceph status` */
export function addStatusCommand(program: Command, io: CliIo): void {
  program
    .command("status")
    .description("Show health, members, services and disks")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command);
      const report = await session.client.status();
      if (session.format === "table" && !io.stdout.isTTY) {
        // Scripts and charms read MicroCeph's layout, and its words where there is no cluster yet.
        if (report.cluster === null) throw notInitialized();
        if (report.lease.quorum === "lost") {
          io.stderr.write(
            "Warning: no quorum: a majority of the voters cannot be reached, nothing can be decided.\n",
          );
        }
        return session.print(report, deploymentSummary);
      }
      await session.print(report, (clean) => statusOverview(clean, session.paint));
    });
}
