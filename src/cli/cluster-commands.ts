import { type Command, Option } from "commander";
import type { MigrationReply } from "../api/contract/migration.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import { addBackupCommands } from "./backup-commands.ts";
import { addConfigCommands } from "./config-commands.ts";
import { addFailureDomainCommands } from "./failure-domain-commands.ts";
import type { CliIo } from "./io.ts";
import { addMaintenanceCommands } from "./maintenance-commands.ts";
import { addNetworkCommands } from "./network-commands.ts";
import { addRecoveryCommands } from "./recovery-commands.ts";
import { addRemovalCommands } from "./removal-commands.ts";
import { clusterTable } from "./render/lists.ts";
import { addExportCommand } from "./replication-commands.ts";
import { type Format, formats, Session } from "./session.ts";
import { addTokenCommands } from "./token-commands.ts";
import { addUpgradeCommands } from "./upgrade-commands.ts";

interface BootstrapOptions {
  readonly name?: string;
  readonly microcephIp?: string;
  readonly monIp?: string;
  readonly publicNetwork?: string;
  readonly clusterNetwork?: string;
  readonly availabilityZone?: string;
  readonly v2Only?: true;
}

/** `microceph cluster …` */
export function addClusterCommands(program: Command, io: CliIo): void {
  const cluster = program
    .command("cluster")
    .description("Found the cluster, list its members, say where they stand");

  cluster
    .command("bootstrap")
    .description("Found a cluster on this node now, instead of waiting for others")
    .option("--name <name>", "name of the cluster")
    .option("--microceph-ip <address>", "address of this node, and of the first Ceph monitor")
    .option("--mon-ip <address>", "address of this node for the first Ceph monitor, if another")
    .option(
      "--public-network <cidr>",
      "network of Ceph's clients, a subnet of this node; others between commas",
    )
    .option("--cluster-network <cidr>", "network between the OSDs, a subnet of this node")
    .option("--availability-zone <zone>", "zone of this node: voters and monitors are spread over zones")
    .option("--v2-only", "daemons speak the second messenger protocol alone (port 3300)")
    .action(async (options: BootstrapOptions, command: Command) => {
      const session = new Session(io, command);
      const { result } = await session.finish(await session.client.bootstrap(bootstrapFields(options)));
      await session.print(result, (done) => {
        const fsid =
          typeof done === "object" && done !== null && "fsid" in done ? ` (Ceph ${String(done.fsid)})` : "";
        return `The cluster is founded${fsid}. Next: microceph disk add …, microceph status\n`;
      });
    });

  cluster
    .command("list")
    .description("List the members")
    .addOption(new Option("-f <format>", "short for --format").choices(formats))
    .action(async (options: { readonly f?: Format }, command: Command) => {
      const session = new Session(io, command, { format: options.f, lists: true });
      await session.print(await session.client.members(), clusterTable);
    });

  cluster
    .command("rename")
    .description("Give a member another name; Ceph goes on to know it by its handle")
    .argument("<node>", "name, or PeerId prefix of six or more characters")
    .argument("<name>", "letters, digits, '.', '_' and '-'")
    .action(async (node: string, name: string, _options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(
        await session.client.renameMember(node, name),
        (clean) => `${node} is called ${clean.name} now.\n`,
      );
    });

  cluster
    .command("migrate")
    .description("Have one member's vote, monitor, manager and metadata server go to another")
    .argument("<source>", "name, or PeerId prefix of six or more characters")
    .argument("<destination>", "name, or PeerId prefix of six or more characters")
    .action(async (source: string, destination: string, _options: object, command: Command) => {
      const session = new Session(io, command);
      const { result } = await session.finish(await session.client.migrate({ source, destination }));
      await session.print(
        result as unknown as MigrationReply,
        (done) => `${done.moved.join(", ")} moved from ${done.source} to ${done.destination}.\n`,
      );
    });

  addConfigCommands(cluster, io);
  addNetworkCommands(cluster, io);
  addTokenCommands(cluster, io);
  addMaintenanceCommands(cluster, io);
  addUpgradeCommands(cluster, io);
  addRecoveryCommands(cluster, io);
  addBackupCommands(cluster, io);
  addExportCommand(cluster, io);
  addRemovalCommands(cluster, io);
  addFailureDomainCommands(cluster, io);
}

/** Only what was given: the daemon has the defaults. */
function bootstrapFields(options: BootstrapOptions): BootstrapOptions {
  for (const [field, value] of Object.entries(options)) {
    if (value === "") throw new MicrocephError("USAGE", `--${kebab(field)} was given without a value`);
  }
  const { name, microcephIp, monIp, publicNetwork, clusterNetwork, availabilityZone, v2Only } = options;
  const given = { name, microcephIp, monIp, publicNetwork, clusterNetwork, availabilityZone, v2Only };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function kebab(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
