import type { Argument, Command, Option } from "commander";
import { buildProgram } from "../../src/cli/program.ts";

/** A program that is only looked at. */
const nowhere = { write: () => undefined, isTTY: false };

/** docs/reference/cli.md: every command with its arguments and options. */
export function cliPage(): string {
  const program = buildProgram({
    stdout: nowhere,
    stderr: nowhere,
    env: {},
    signal: new AbortController().signal,
    now: () => 0,
    pause: async () => undefined,
    ask: async () => null,
    every: () => () => undefined,
  });
  return [
    "# `microceph`",
    "<!-- Written by scripts/generate-docs.ts. -->",
    `${program.description()}. Every command needs the daemon, but for help and \`--version\`.`,
    "The answer goes to standard output; progress, warnings and errors go to standard error.",
    "Exit codes: 0 done, 1 failed, 2 not understood, 3 not ready, 4 refused for safety; [errors](errors.md) has each.",
    "## Options of every command",
    options(program.options),
    ...leaves(program).flatMap(({ path, command }) => section(path, command)),
  ]
    .filter((part) => part !== "")
    .join("\n\n")
    .concat("\n");
}

interface Leaf {
  readonly path: string;
  readonly command: Command;
}

function leaves(command: Command, path = command.name()): Leaf[] {
  if (command.commands.length === 0) return [{ path, command }];
  return command.commands.flatMap((child) => leaves(child, `${path} ${child.name()}`));
}

function section(path: string, command: Command): string[] {
  const usage = command.registeredArguments.map(argumentUsage).map((text) => ` ${text}`);
  return [
    `## \`${path}${usage.join("")}\``,
    `${command.description()}.`,
    command.registeredArguments
      .map((argument) => `- \`${argument.name()}\`: ${described(argument)}`)
      .join("\n"),
    options(command.options),
  ];
}

function argumentUsage(argument: Argument): string {
  const name = argument.name().toUpperCase() + (argument.variadic ? "…" : "");
  return argument.required ? name : `[${name}]`;
}

function options(list: readonly Option[]): string {
  return list.map((option) => `- \`${option.flags}\`: ${described(option)}`).join("\n");
}

function described(item: Argument | Option): string {
  const choices = item.argChoices ? ` (one of ${item.argChoices.join(", ")})` : "";
  const fallback = item.defaultValue === undefined ? "" : `; default ${String(item.defaultValue)}`;
  return `${item.description}${choices}${fallback}`;
}
