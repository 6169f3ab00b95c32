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

/** The whole command line, for running it and for its reference page. */
export function buildProgram(io: CliIo): Command {
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
  addInitCommand(program, io);
  addClusterCommands(program, io);
  addDiskCommands(program, io);
  addMeshCommands(program, io);
  addServiceCommands(program, io);
  addS3Commands(program, io);
  addPoolCommands(program, io);
  addFileSystemCommands(program, io);
  addNfsCommands(program, io);
  addReplicationCommands(program, io);
  addClientCommands(program, io);
  addLogCommands(program, io);
  addEventCommands(program, io);
  addStatusCommand(program, io);
  addWaitreadyCommand(program, io);
  for (const command of [program, ...program.commands]) {
    if (command.commands.length > 0) command.usage("[options] COMMAND");
  }
  return program;
}

/** Run one command line (without program names); the exit code. Everything is printed. */
export async function runCli(args: readonly string[], io: CliIo): Promise<ExitCode> {
  const program = buildProgram(io);
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
