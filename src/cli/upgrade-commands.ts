import type { Command } from "commander";
import type { UpgradePlan, UpgradeReply } from "../api/contract/upgrade.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import { refreshObstacles } from "./refresh-obstacles.ts";
import { borderedTable } from "./render/table.ts";
import { Session } from "./session.ts";

interface UpgradeOptions {
  readonly all?: true;
  readonly force?: true;
}

/** `microceph cluster upgrade …` */
export function addUpgradeCommands(cluster: Command, io: CliIo): void {
  const upgrade = cluster
    .command("upgrade")
    .description("Have Ceph's daemons run what is installed, one after the other");

  upgrade
    .command("plan")
    .description(
      "Show which daemons do not run what their node has installed, in the order of their restarts",
    )
    .option("--all", "as if every daemon were to be restarted")
    .action(async ({ all = false }: { readonly all?: boolean }, command: Command) => {
      const session = new Session(io, command);
      await session.print(await session.client.planUpgrade(all), planText);
    });

  upgrade
    .command("check")
    .description(
      "Say whether all data is whole and served, so that this node's programs may be replaced; exit code 4 if not",
    )
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command);
      const obstacles = refreshObstacles(await session.client.status());
      if (obstacles.length > 0) throw new MicrocephError("UPGRADE_BLOCKED", obstacles.join("; "));
      await session.print({ obstacles }, () => "Nothing is in the way.\n");
    });

  upgrade
    .command("run")
    .description("Restart them one after the other, each only while all data is whole and stays served")
    .option("--all", "restart every daemon, also those that run what is installed")
    .option("--force", "go on where data is not served meanwhile, or is not whole")
    .action(async (options: UpgradeOptions, command: Command) => {
      const session = new Session(io, command);
      const request = { all: options.all ?? false, force: options.force ?? false };
      const { result } = await session.finish(await session.client.upgrade(request));
      const reply = result as unknown as UpgradeReply;
      for (const warning of reply.warnings) session.io.stderr.write(`Warning: ${warning}\n`);
      await session.print(reply, replyText);
    });
}

function planText({ steps, nodes, release, warnings }: UpgradePlan): string {
  const lines = nodes.map(
    ({ node, ceph, problem }) => `${node}: ${problem === "" ? `Ceph ${ceph} is installed` : problem}`,
  );
  const table =
    steps.length === 0
      ? "Every daemon runs what its node has installed.\n"
      : borderedTable(
          ["DAEMON", "NODE", "RUNNING", "INSTALLED"],
          steps.map(({ daemon, node, running, installed }) => [daemon, node, running, installed]),
        );
  const then =
    release === null ? "" : `Afterwards all OSDs run ${release}, and older ones may not join any more.\n`;
  return `${lines.join("\n")}\n${table}${then}${warnings.map((warning) => `Warning: ${warning}\n`).join("")}`;
}

function replyText({ restarted, release }: UpgradeReply): string {
  const what =
    restarted.length === 0
      ? "Every daemon runs what its node has installed."
      : `Restarted: ${restarted.join(", ")}.`;
  return `${what}\n${release === null ? "" : `OSDs older than ${release} may not join any more.\n`}`;
}
