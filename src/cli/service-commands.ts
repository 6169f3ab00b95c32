import type { Command } from "commander";
import type { GatewayReport } from "../api/contract/gateways.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import { borderedTable } from "./render/table.ts";
import { Session } from "./session.ts";

interface EnableOptions {
  readonly target: readonly string[];
  readonly count?: number;
  readonly port?: number;
  readonly wait: boolean;
}

interface DisableOptions {
  readonly target: readonly string[];
  readonly all?: true;
  readonly wait: boolean;
}

/** `microceph enable …` and `microceph disable …` */
export function addServiceCommands(program: Command, io: CliIo): void {
  const enable = program.command("enable").description("Say which services are wanted, and where");
  enable
    .command("rgw")
    .description("S3 and Swift gateways: on this node, on others by name, or so many wherever they fit")
    .option("--target <node>", "member that runs one; may be given again (this node)", collect, [])
    .option("--count <n>", "so many in all; another member takes over when one is away for long", wholeNumber)
    .option("--port <port>", "where they listen (80, or as before)", portNumber)
    .option("--wait [bool]", "wait until they serve", truth, true)
    .action(async (options: EnableOptions, command: Command) => {
      const session = new Session(io, command);
      const client = session.client.withoutTarget();
      const job = await client.enableGateway({
        targets: [...options.target],
        ...(options.count === undefined ? {} : { count: options.count }),
        ...(options.port === undefined || options.port === 0 ? {} : { port: options.port }),
      });
      if (options.wait) await session.finish(job, client);
      await session.print(await client.gateways(), gatewaysText);
    });

  const disable = program.command("disable").description("Say which services are wanted no more");
  disable
    .command("rgw")
    .description("No S3 gateway on this node, on others by name, or anywhere; users and buckets stay")
    .option("--target <node>", "member that has one; may be given again (this node)", collect, [])
    .option("--all", "none is wanted any more, wherever they are")
    .option("--wait [bool]", "wait until they are taken off", truth, true)
    .action(async (options: DisableOptions, command: Command) => {
      if (options.all && options.target.length > 0) {
        throw new MicrocephError("USAGE", "--all goes without --target");
      }
      const session = new Session(io, command);
      const client = session.client.withoutTarget();
      const job = await client.disableGateway({ targets: [...options.target], all: options.all ?? false });
      if (options.wait) await session.finish(job, client);
      await session.print(await client.gateways(), gatewaysText);
    });
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, ...value.split(",").filter((name) => name !== "")];
}

function wholeNumber(text: string): number {
  if (!/^[1-9][0-9]{0,3}$/.test(text)) {
    throw new MicrocephError("USAGE", `--count takes a whole number from 1, not "${text.slice(0, 40)}"`);
  }
  return Number(text);
}

/** 0 is MicroCeph's word for the default. */
function portNumber(text: string): number {
  const port = /^(?:0|[1-9][0-9]{0,4})$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65_535) return port;
  throw new MicrocephError("USAGE", `--port takes a number up to 65535, not "${text.slice(0, 40)}"`);
}

function truth(text: string): boolean {
  if (/^(?:true|1|t)$/i.test(text)) return true;
  if (/^(?:false|0|f)$/i.test(text)) return false;
  throw new MicrocephError("USAGE", `"${text.slice(0, 40)}" is neither true nor false`);
}

function gatewaysText({ wanted, gateways }: GatewayReport): string {
  if (wanted === null && gateways.length === 0) return "No S3 gateway is wanted.\n";
  const rows = gateways.map(({ node, url, state }) => [node, url ?? "-", state]);
  return borderedTable(["NODE", "URL", "STATE"], rows);
}
