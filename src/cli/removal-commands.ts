import type { Command } from "commander";
import type { RemovalPlan, RemovalReply } from "../api/contract/removal.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import { Session } from "./session.ts";

interface RemoveOptions {
  readonly dead?: true;
  readonly force?: true;
  readonly dryRun?: true;
  readonly cancel?: true;
  readonly revoke?: true;
  readonly confirmFailureDomainDowngrade?: true;
  readonly prohibitCrushScaledown?: true;
}

/** As `disk remove` has them. */
const downgradeOption = [
  "--confirm-failure-domain-downgrade",
  "copies may share hosts or racks afterwards, where too few are left",
] as const;
const scaledownOption = [
  "--prohibit-crush-scaledown",
  "where too few hosts or racks are left, keep the rule and have fewer copies",
] as const;

/** `microceph cluster remove` and `microceph cluster leave` */
export function addRemovalCommands(cluster: Command, io: CliIo): void {
  cluster
    .command("remove")
    .description("Move what a member carries to the others, then forget it")
    .argument("<node>", "name, or PeerId prefix of six or more characters")
    .option("--dead", "it failed and does not come back: the others act without it")
    .option("-f, --force", "as --dead if it has failed")
    .option("--revoke", "it may be in other hands: what it knew opens nothing any more")
    .option("--dry-run", "only say what would be done")
    .option("--cancel", "call a removal off; what has moved stays where it is")
    .option(...downgradeOption)
    .option(...scaledownOption)
    .action(async (node: string, options: RemoveOptions, command: Command) => {
      const session = new Session(io, command);
      if (options.cancel) return cancel(session, node, options);
      await remove(session, node, options);
    });

  cluster
    .command("leave")
    .description("Move what this node carries to the others, then leave the cluster")
    .option("--dry-run", "only say what would be done")
    .option(...downgradeOption)
    .option(...scaledownOption)
    .action(async (options: RemoveOptions, command: Command) => {
      const session = new Session(io, command);
      await remove(session, (await session.client.mesh()).self.id, options);
    });
}

async function cancel(session: Session, node: string, options: RemoveOptions): Promise<void> {
  if (options.dead || options.force || options.dryRun) {
    throw new MicrocephError("USAGE", "--cancel goes with no other option");
  }
  await session.print(
    await session.client.cancelRemoval({ node }),
    ({ name }) => `${name} stays a member.\n`,
  );
}

async function remove(session: Session, node: string, options: RemoveOptions): Promise<void> {
  const request = {
    ...{ node, dead: options.dead ?? false, force: options.force ?? false, revoke: options.revoke ?? false },
    confirm_crush_downgrade: options.confirmFailureDomainDowngrade ?? false,
    prohibit_crush_scaledown: options.prohibitCrushScaledown ?? false,
  };
  const plan = await session.client.planRemoval(request);
  if (options.dryRun) return session.print(plan, planText);
  // What is about to happen is said before it does, and not among the results.
  session.io.stderr.write(planText(plan));
  const { result } = await session.finish(await session.client.removeMember(request));
  await session.print(result as unknown as RemovalReply, replyText);
}

function replyText({ name, left = [] }: RemovalReply): string {
  return [`${name} is no member any more.`, ...left.map((text) => `Not replaced: ${text}`), ""].join("\n");
}

function planText({ name, dead, steps, left }: RemovalPlan): string {
  const head = dead ? `${name} is removed as dead, by the others alone:` : `${name} leaves:`;
  return `${[head, ...steps.map((step) => `  - ${step}`), `Afterwards ${left}.`].join("\n")}\n`;
}
