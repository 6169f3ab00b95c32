import type { Command } from "commander";
import type { ShownTokenReply } from "../api/contract/tokens.ts";
import { parseDuration } from "./duration.ts";
import type { CliIo } from "./io.ts";
import type { Table } from "./render/table.ts";
import { Session } from "./session.ts";

/** `microceph cluster add`, `cluster join` and `cluster token …` */
export function addTokenCommands(cluster: Command, io: CliIo): void {
  cluster
    .command("add")
    .description("Make a token by which one node joins: for networks without multicast, or without asking")
    .argument("<name>", "name that the node gets")
    .option("-t, --timeout <duration>", "how long it may be used: 90s, 30m, 12h, 7d", parseDuration, 10_800)
    .action(async (name: string, options: { readonly timeout: number }, command: Command) => {
      const session = new Session(io, command);
      const issued = await session.client.issueToken({ name, expire_after: options.timeout });
      await session.print(issued, ({ token }) => `${token}\n`);
    });

  cluster
    .command("join")
    .description("Join the cluster that a token is of")
    .argument("<token>", "as `microceph cluster add` has printed it on a member")
    .option("--availability-zone <zone>", "zone of this node: voters and monitors are spread over zones")
    .action(async (token: string, options: { readonly availabilityZone?: string }, command: Command) => {
      const session = new Session(io, command);
      const { availabilityZone } = options;
      const request = { token, ...(availabilityZone === undefined ? {} : { availabilityZone }) };
      const { result } = await session.finish(await session.client.joinByToken(request));
      await session.print(result, () => "");
    });

  const tokens = cluster.command("token").description("Tokens by which nodes join");

  tokens
    .command("list")
    .description("List the tokens, without their secrets")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command, { lists: true });
      await session.print(await session.client.tokens(), tokenTable);
    });

  tokens
    .command("revoke")
    .description("Take a token back that was not used")
    .argument("<name>", "name that it was made for")
    .action(async (name: string, _options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(await session.client.revokeToken(name), () => "");
    });
}

function tokenTable(tokens: readonly ShownTokenReply[]): Table {
  return {
    header: ["NAME", "EXPIRES AT", "USED BY"],
    rows: tokens.map(({ name, expires_at, used_by }) => [name, expires_at, used_by ?? ""]),
  };
}
