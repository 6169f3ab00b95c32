import { type Command, InvalidArgumentError, Option } from "commander";
import type { CliIo } from "./io.ts";
import { eventLine } from "./render/event-line.ts";
import { printable, printableData, printableJson } from "./render/sanitize.ts";
import { Session } from "./session.ts";

/** `microceph events` and `microceph metrics` */
export function addEventCommands(program: Command, io: CliIo): void {
  program
    .command("events")
    .description("Show what happened lately, or with --follow what happens")
    .option("--follow", "go on until Ctrl-C; without --since only what is new")
    .addOption(new Option("--since <number>", "only the events after this number").argParser(numberArgument))
    .option("--type <type...>", "only these types; osd.* stands for all that begin with osd.")
    .action(async (options: EventOptions, command: Command) => {
      const session = new Session(io, command);
      const { since, follow = false, type: types = [] } = options;
      const events = session.client.events({
        ...(since === undefined ? {} : { since }),
        follow,
        ...(follow ? { signal: io.signal } : {}),
      });
      for await (const event of events) {
        // What is missing is said whatever was asked for.
        if (event.type !== "events.gap" && !isWanted(event.type, types)) continue;
        // One line each in every format: a stream has no end to wait for.
        io.stdout.write(
          session.format === "table"
            ? eventLine(printableData(event), session.paint)
            : `${session.format === "yaml" ? "--- " : ""}${printableJson(event)}\n`,
        );
      }
    });

  program
    .command("metrics")
    .description("Show the figures of this node's daemon in Prometheus' text format")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command);
      const text = await session.client.metrics();
      io.stdout.write(text.split("\n").map(printable).join("\n"));
    });
}

interface EventOptions {
  readonly follow?: boolean;
  readonly since?: number;
  readonly type?: readonly string[];
}

function isWanted(type: string, types: readonly string[]): boolean {
  if (types.length === 0) return true;
  return types.some((one) => (one.endsWith("*") ? type.startsWith(one.slice(0, -1)) : type === one));
}

function numberArgument(text: string): number {
  if (!/^[0-9]{1,15}$/.test(text)) throw new InvalidArgumentError("It takes a whole number.");
  return Number(text);
}
