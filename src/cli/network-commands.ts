import type { Command } from "commander";
import type { NetworksReply, NetworksShown } from "../api/contract/networks.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import { borderedTable } from "./render/table.ts";
import { Session } from "./session.ts";

interface SetOptions {
  readonly public?: string;
  readonly cluster?: string;
  readonly skipRestart?: true;
}

/** `microceph cluster network …` */
export function addNetworkCommands(cluster: Command, io: CliIo): void {
  const network = cluster.command("network").description("Subnets in which Ceph's daemons are");

  network
    .command("show")
    .description("Show the subnets, and each member's address in them")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(await session.client.networks(), networksText);
    });

  network
    .command("set")
    .description("Change them: every ceph.conf follows, and OSDs are restarted in turn where they have to be")
    .option("--public <subnets>", "subnets (CIDR, comma list) of monitors, OSDs and clients")
    .option("--cluster <subnets>", "subnets for the OSDs among themselves; none: the public ones")
    .option("--skip-restart", "restart nothing; OSDs use another cluster network after their next start")
    .action(async (options: SetOptions, command: Command) => {
      const { public: publicNetwork, cluster: among, skipRestart } = options;
      if (publicNetwork === undefined && among === undefined) {
        throw new MicrocephError("USAGE", "give --public, --cluster, or both");
      }
      const session = new Session(io, command);
      const job = await session.client.changeNetworks({
        ...(publicNetwork === undefined ? {} : { publicNetwork }),
        ...(among === undefined ? {} : { clusterNetwork: among === "none" ? null : among }),
        skip_restart: skipRestart ?? false,
      });
      const { result } = await session.finish(job);
      await session.print(result as unknown as NetworksReply, replyText);
    });
}

function networksText({ publicNetwork, clusterNetwork, members }: NetworksShown): string {
  const table = borderedTable(
    ["NODE", "PUBLIC", "CLUSTER"],
    members.map(({ node, public: at, cluster }) => [node, at ?? "none", cluster ?? "none"]),
  );
  return `Public network: ${publicNetwork}\nCluster network: ${clusterNetwork ?? "the public network"}\n${table}`;
}

function replyText({ publicNetwork, clusterNetwork, restarted, pending }: NetworksReply): string {
  const lines = [
    `Public network: ${publicNetwork}`,
    `Cluster network: ${clusterNetwork ?? "the public network"}`,
    ...(restarted.length === 0 ? [] : [`Restarted: ${restarted.join(", ")}.`]),
    ...(pending ? ["OSDs use it after their next start: microceph cluster upgrade run --all"] : []),
  ];
  return `${lines.join("\n")}\n`;
}
