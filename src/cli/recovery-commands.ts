import type { Command } from "commander";
import type { SelfStatus } from "../api/contract/mesh.ts";
import type { RebuildPlan, RebuildReply } from "../api/contract/monitor-rebuild.ts";
import type { RecoveryPlan, RecoveryReply } from "../api/contract/recovery.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import { collect } from "./option-values.ts";
import { borderedTable } from "./render/table.ts";
import { Session } from "./session.ts";

/** Milliseconds until the daemon must have started anew, and between two looks. */
const restartMs = 60_000;
const lookMs = 200;

interface RecoverOptions {
  readonly lost: readonly string[];
  readonly dryRun?: true;
  readonly monitorsFromOsds?: true;
  readonly yesIReallyMeanIt?: true;
}

/** `microceph cluster reset` and `microceph cluster recover` */
export function addRecoveryCommands(cluster: Command, io: CliIo): void {
  cluster
    .command("reset")
    .description("Make this node a fresh one with another key, when no cluster counts on it any more")
    .option("--keep-disks", "forget its OSDs, and leave what is on their disks as it is")
    .action(async (options: { readonly keepDisks?: true }, command: Command) => {
      const session = new Session(io, command);
      const { id } = await session.client.reset({ keep_disks: options.keepDisks ?? false });
      const self = await freshSelf(session, id);
      await session.print(self, (clean) => `${clean.name} is a fresh node now.\n`);
    });

  cluster
    .command("recover")
    .description(
      "Decide again although the majority of the voters is gone for good; run it on one that is left",
    )
    .option("--lost <node>", "a voter that is gone for good; name each of them", collect, [])
    .option("--dry-run", "only show what each member last knew, and what would be done")
    .option("--monitors-from-osds", "all of Ceph's monitors are lost: make one of what the OSDs have")
    .option("--yes-i-really-mean-it", "with --monitors-from-osds: do it")
    .action(async (options: RecoverOptions, command: Command) => {
      const session = new Session(io, command);
      if (options.monitorsFromOsds) return rebuild(session, options);
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

/** The guided rebuilding of the monitors: the plan first, then with consent, and every lost host of OSDs named. */
async function rebuild(session: Session, options: RecoverOptions): Promise<void> {
  const { client, io } = session;
  const plan = await client.planMonitorRebuild();
  if (options.dryRun) return session.print(plan, rebuildText);
  if (plan.refused !== null) throw new MicrocephError("RECOVERY_REFUSED", plan.refused);
  io.stderr.write(rebuildText(plan));
  const unnamed = plan.lost.filter((name) => !options.lost.includes(name));
  if (unnamed.length > 0 || options.yesIReallyMeanIt !== true) {
    const flags = [...plan.lost.map((name) => `--lost ${name}`), "--yes-i-really-mean-it"].join(" ");
    const first = unnamed.length > 0 ? `${unnamed.join(", ")} must be lost for good; ` : "";
    throw new MicrocephError(
      "RECOVERY_UNCONFIRMED",
      `${first}to do it: microceph cluster recover --monitors-from-osds ${flags}`,
    );
  }
  const { result } = await session.finish(await client.rebuildMonitors({ lost: [...options.lost] }));
  await session.print(result as unknown as RebuildReply, rebuiltText);
}

function rebuildText({ refused, hosts, steps }: RebuildPlan): string {
  const rows = hosts.map(({ name, presence, osds }) => [name, presence, String(osds)]);
  const known = borderedTable(["MEMBER", "PRESENCE", "OSDS"], rows);
  if (refused !== null) return `${known}Refused: ${refused}.\n`;
  return `${known}${steps.map((step) => `  - ${step}`).join("\n")}\n`;
}

function rebuiltText({ monitor, hosts, file_systems: fileSystems }: RebuildReply): string {
  const lines = hosts.flatMap(({ host, osds, left }) => [
    `${host}: ${osds.length === 0 ? "no OSD" : osds.map((osd) => `osd.${osd}`).join(", ")} gave maps`,
    ...left.map((why) => `${host}: not ${why}`),
  ]);
  const known = fileSystems.length === 0 ? [] : [`File systems known again: ${fileSystems.join(", ")}.`];
  return `${[`The monitor ${monitor} was made anew.`, ...lines, ...known].join("\n")}\n`;
}

/** The node once its daemon has started anew. Throws NOT_READY when that does not come. */
async function freshSelf(session: Session, former: string): Promise<SelfStatus> {
  const { client, io } = session;
  const startedAt = io.now();
  for (;;) {
    const self = await client.mesh().then(
      (status) => status.self,
      () => null,
    );
    if (self !== null && self.id !== former) return self;
    if (io.signal.aborted) throw new MicrocephError("CANCELLED", "no longer waiting; the reset goes on");
    if (io.now() - startedAt > restartMs)
      throw new MicrocephError("NOT_READY", "the daemon has not started anew");
    await io.pause(lookMs);
  }
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
