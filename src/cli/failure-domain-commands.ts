import { Argument, type Command } from "commander";
import type {
  FailureDomainReport,
  failureDomainRequest,
  MovedDataReport,
  Zone,
  ZoneReply,
} from "../api/contract/failure-domain.ts";
import type { Job } from "../api/contract/jobs.ts";
import type { Draft } from "../api/contract/shape.ts";
import type { CliIo } from "./io.ts";
import type { Table } from "./render/table.ts";
import { bytes as bytesText, counted } from "./render/words.ts";
import { Session } from "./session.ts";

type Level = Draft<typeof failureDomainRequest>["level"];
const levels: readonly Level[] = ["auto", "osd", "host", "rack"];

/** `microceph cluster failure-domain …` and `microceph cluster zone …` */
export function addFailureDomainCommands(cluster: Command, io: CliIo): void {
  const domain = cluster
    .command("failure-domain")
    .description("Over what the copies of data are spread: disks, hosts or racks");

  domain
    .command("show")
    .description("Show the failure domain and what is planned")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(await report(session, await session.client.planFailureDomain({})), domainText);
    });

  domain
    .command("plan")
    .description("Show what another failure domain would move, and change nothing")
    .addArgument(
      new Argument("<level>", "osd, host or rack; auto: what would come by itself").choices(levels),
    )
    .action(async (level: Level, _options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(
        await report(session, await session.client.planFailureDomain({ level })),
        domainText,
      );
    });

  domain
    .command("set")
    .description("Set the failure domain, or let it grow by itself again")
    .addArgument(new Argument("<level>", "auto, osd, host or rack").choices(levels))
    .option("--yes", "let move what the plan says, however much it is")
    .option(
      "--confirm-failure-domain-downgrade",
      "a narrower one is meant: copies may share what they do not share now",
    )
    .action(async (level: Level, options: SetOptions, command: Command) => {
      const session = new Session(io, command);
      const job = await session.client.setFailureDomain({
        level,
        consent: options.yes ?? false,
        confirmDowngrade: options.confirmFailureDomainDowngrade ?? false,
      });
      await session.print(await report(session, job), domainText);
    });

  const zone = cluster.command("zone").description("Where members stand: racks, rooms or power feeds");

  zone
    .command("list")
    .description("List the members' zones")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command, { lists: true });
      await session.print(await session.client.zones(), zoneTable);
    });

  zone
    .command("set")
    .description("Say in which zone a member stands; its host moves below the zone's rack in Ceph")
    .argument("<node>", "name, or PeerId prefix of six or more characters")
    .argument("<zone>", "letters, digits, '.', '_' and '-'")
    .option("--yes", "let move what that moves, however much it is")
    .action(async (node: string, name: string, options: { readonly yes?: boolean }, command: Command) => {
      await setZone(new Session(io, command), node, name, options.yes ?? false);
    });

  zone
    .command("unset")
    .description("Say that a member stands in no zone")
    .argument("<node>", "name, or PeerId prefix of six or more characters")
    .option("--yes", "let move what that moves, however much it is")
    .action(async (node: string, options: { readonly yes?: boolean }, command: Command) => {
      await setZone(new Session(io, command), node, null, options.yes ?? false);
    });
}

/** What the job found out, once it has ended. */
async function report(session: Session, job: Job): Promise<FailureDomainReport> {
  return (await session.finish(job)).result as unknown as FailureDomainReport;
}

interface SetOptions {
  readonly yes?: boolean;
  readonly confirmFailureDomainDowngrade?: boolean;
}

async function setZone(session: Session, node: string, zone: string | null, consent: boolean): Promise<void> {
  const { result } = await session.finish(await session.client.setZone({ node, zone, consent }));
  await session.print(result as unknown as ZoneReply, (clean) => {
    const where = clean.zone === null ? "in no zone" : `in zone ${clean.zone}`;
    return `${clean.name} stands ${where}. ${movedText(clean.moved)}\n`;
  });
}

function domainText(report: FailureDomainReport): string {
  const { current, defaultRule, wish, next, reasons, allowedBytes } = report;
  const lines = [
    `Failure domain  ${current ?? `not ours: new pools use the rule ${defaultRule ?? "of Ceph's own choice"}`}`,
    `Set to          ${wish === "auto" ? "auto: it grows when enough hosts or zones have disks" : wish}`,
  ];
  if (next !== null) {
    const free = next.moved.bytes <= allowedBytes;
    lines.push(
      `Planned         ${next.from} to ${next.to}: ${next.reason}`,
      `                ${movedText(next.moved)}${free ? "" : " That needs --yes."}`,
    );
    if (next.pools.length > 0) lines.push(`Pools           ${next.pools.join(", ")}`);
  } else {
    for (const reason of reasons) lines.push(`Why             ${reason}`);
  }
  return `${lines.join("\n")}\n`;
}

function movedText({ bytes, copies }: MovedDataReport): string {
  if (copies === 0) return "No data moves.";
  return `About ${bytesText(bytes, " ")} in ${counted(copies, "copy", "copies")} of placement groups move.`;
}

function zoneTable(zones: readonly Zone[]): Table {
  return {
    header: ["NAME", "ZONE", "BUCKET"],
    rows: zones.map(({ name, zone, bucket }) => [name, zone ?? "-", bucket ?? "-"]),
  };
}
