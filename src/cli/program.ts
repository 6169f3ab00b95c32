import { Command, CommanderError, Option } from "commander";
import { type ExitCode, isMicrocephError, MicrocephError } from "../errors/microceph-error.ts";
import { installedVersions } from "../version/installed.ts";
import { addClusterCommands } from "./cluster-commands.ts";
import { addClientCommands, addLogCommands } from "./config-commands.ts";
import { addDiskCommands } from "./disk-commands.ts";
import { addEventCommands } from "./event-commands.ts";
import { reportFailure } from "./failure.ts";
import { addFileSystemCommands } from "./file-system-commands.ts";
import { addInitCommand } from "./init-command.ts";
import type { CliIo } from "./io.ts";
import { addMeshCommands } from "./mesh-commands.ts";
import { addNfsCommands } from "./nfs-commands.ts";
import { addPoolCommands } from "./pool-commands.ts";
import { addReplicationCommands } from "./replication-commands.ts";
import { addS3Commands } from "./s3-commands.ts";
import { addServiceCommands } from "./service-commands.ts";
import { formats } from "./session.ts";
import { addStatusCommand } from "./status-command.ts";
import { addWaitreadyCommand } from "./waitready-command.ts";

/** What adds commands, and the words at which they start; in the order in which help lists them. */
const groups: readonly {
  readonly words: readonly string[];
  readonly add: (to: Command, io: CliIo) => void;
}[] = [
  { words: ["init"], add: addInitCommand },
  { words: ["cluster"], add: addClusterCommands },
  { words: ["disk"], add: addDiskCommands },
  { words: ["mesh"], add: addMeshCommands },
  { words: ["enable", "certificate", "disable"], add: addServiceCommands },
  { words: ["s3"], add: addS3Commands },
  { words: ["pool"], add: addPoolCommands },
  { words: ["fs"], add: addFileSystemCommands },
  { words: ["nfs"], add: addNfsCommands },
  { words: ["remote", "replication"], add: addReplicationCommands },
  { words: ["client"], add: addClientCommands },
  { words: ["log"], add: addLogCommands },
  { words: ["events", "metrics"], add: addEventCommands },
  { words: ["status"], add: addStatusCommand },
  { words: ["waitready"], add: addWaitreadyCommand },
];

/**
 * The command line: with all commands for help, for the reference page and where the arguments name none of them;
 * else with those of the named group alone, because describing all takes longer than running most of them.
 */
export function buildProgram(io: CliIo, args: readonly string[] = []): Command {
  const program = new Command("microceph")
    .description("Ceph that clusters itself: asks the microcephd of this node")
    .version("", "--version", "print the versions of the product, Ceph, etcd and the mesh protocol")
    .helpOption("-h, --help", "print help")
    .option("--state-dir <dir>", "state directory of the daemon (/var/lib/microceph; MICROCEPH_STATE_DIR)")
    .addOption(
      new Option("--format <format>", "output; csv and compact for plain lists only")
        .choices(formats)
        .default("table"),
    )
    .option("-d, --debug", "show requests, error data and stacks")
    .option("-v, --verbose", "show requests")
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      // The versions are asked of the programs first.
      writeOut: (text) => (text === "\n" ? undefined : io.stdout.write(text)),
      // Usage errors are reported with their code, once, in runCli.
      writeErr: () => undefined,
    });
  const word = commandWord(program, args);
  const named = groups.find(({ words }) => word !== undefined && words.includes(word));
  for (const { add } of named === undefined ? groups : [named]) add(program, io);
  for (const command of [program, ...program.commands]) {
    if (command.commands.length > 0) command.usage("[options] COMMAND");
  }
  return program;
}

/** The word at which commander will look for a command: the first that is neither an option nor an option's value. */
function commandWord(program: Command, args: readonly string[]): string | undefined {
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? "";
    if (!arg.startsWith("-")) return arg;
    const option = program.options.find(({ long, short }) => arg === long || arg === short);
    if (option?.required) at += 1;
    // `--format=json`, or one that only a command has: commander knows.
    else if (option === undefined) return undefined;
  }
  return undefined;
}

/** Run one command line (without program names); the exit code. Everything is printed. */
export async function runCli(args: readonly string[], io: CliIo): Promise<ExitCode> {
  const program = buildProgram(io, args);
  if (args.length === 0) {
    program.outputHelp();
    return 0;
  }
  try {
    await program.parseAsync([...args], { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError && error.code === "commander.version") {
      io.stdout.write(await installedVersions());
      return 0;
    }
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    return reportFailure(coded(error, program, args), io, {
      debug: args.includes("--debug") || args.includes("-d"),
    });
  }
}

/** What commander refuses is a usage error. */
function coded(error: unknown, program: Command, args: readonly string[]): unknown {
  if (isMicrocephError(error) || !(error instanceof CommanderError)) return error;
  if (error.code === "commander.help") {
    const group = program.commands.find((command) => args.includes(command.name())) ?? program;
    const names = group.commands.map((command) => command.name()).join(", ");
    return new MicrocephError("USAGE", `\`microceph ${group.name()}\` takes one of: ${names}`);
  }
  return new MicrocephError("USAGE", error.message.replace(/^error: /, "").replaceAll("\n", " "));
}
