import type { Command } from "commander";
import type { RecoveryPlan, RecoveryReply } from "../api/contract/recovery.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import { borderedTable } from "./render/table.ts";
import { Session } from "./session.ts";

interface RecoverOptions {
  readonly lost: readonly string[];
  readonly dryRun?: true;
}

/** `microceph cluster recover` */
export function addRecoveryCommands(cluster: Command, io: CliIo): void {
  cluster
    .command("recover")
    .description(
      "Decide again although the majority of the voters is gone for good; run it on one that is left",
    )
    .option("--lost <node>", "a voter that is gone for good; name each of them", collect, [])
    .option("--dry-run", "only show what each member last knew, and what would be done")
    .action(async (options: RecoverOptions, command: Command) => {
      const session = new Session(io, command);
      const plan = await session.client.planRecovery();
      if (options.dryRun) return session.print(plan, planText);
      if (plan.refused !== null) throw new MicrocephError("RECOVERY_REFUSED", plan.refused);
      session.io.stderr.write(planText(plan));
      if (options.lost.length === 0) {
        const flags = plan.lost.map((name) => `--lost ${name}`).join(" ");
        throw new MicrocephError(
          "RECOVERY_UNCONFIRMED",
          `switch off ${plan.lost.join(", ")} for good first; then: microceph cluster recover ${flags}`,
        );
      }
      const job = await session.client.recover({ lost: [...options.lost] });
      const { result } = await session.finish(job);
      await session.print(result as unknown as RecoveryReply, replyText);
    });
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, ...value.split(",").filter((name) => name !== "")];
}

function planText({ survivor, refused, members, steps }: RecoveryPlan): string {
  const rows = members.map(({ name, voter, monitor, presence, last }) => [
    name,
    voter ? "yes" : "no",
    monitor ? "yes" : "no",
    presence,
    last === null ? "not known" : `${last.generation}.${last.revision}`,
  ]);
  const known = borderedTable(["MEMBER", "VOTER", "MONITOR", "PRESENCE", "LAST DECISION"], rows);
  if (refused !== null) return `${known}Refused: ${refused}.\n`;
  return `${known}${[`On ${survivor}:`, ...steps.map((step) => `  - ${step}`)].join("\n")}\n`;
}

function replyText({ survivor, ceph }: RecoveryReply): string {
  const monitors = ceph ? "Ceph's monitors answer." : "Ceph's monitors do not answer yet.";
  return `${survivor} decides alone now. ${monitors}\nGive it company again, or remove the lost: microceph cluster remove NODE --dead\n`;
}
