import type { Command } from "commander";
import type { FileSystemRow } from "../api/contract/file-systems.ts";
import type { CliIo } from "./io.ts";
import { confirmOption, numberFromOne } from "./option-values.ts";
import type { Table } from "./render/table.ts";
import { bytes as bytesText } from "./render/words.ts";
import { Session } from "./session.ts";

interface CreateOptions {
  readonly size?: number;
  readonly yesIReallyMeanIt?: true;
}

/** `microceph fs …` */
export function addFileSystemCommands(program: Command, io: CliIo): void {
  const fs = program.command("fs").description("File systems (CephFS)");

  fs.command("list")
    .alias("ls")
    .description("List the file systems, and who serves them")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command, { lists: true });
      await session.print(await session.client.fileSystems(), fileSystemTable);
    });

  fs.command("create")
    .description("Make a file system, with the two pools it is kept in")
    .argument("<name>", "letters, digits, '.', '_' and '-'")
    .option("--size <n>", "copies (what new pools get)", numberFromOne)
    .option(confirmOption, "a single copy is meant")
    .action(async (name: string, options: CreateOptions, command: Command) => {
      const session = new Session(io, command);
      const { size, yesIReallyMeanIt: confirmed = false } = options;
      const request = { name, confirmed, ...(size === undefined ? {} : { size }) };
      await session.print(await session.client.createFileSystem(request), madeText);
    });

  fs.command("remove")
    .description("Remove a file system, its pools and all files")
    .argument("<name>")
    .option(confirmOption, "all files go")
    .action(async (name: string, options: { readonly yesIReallyMeanIt?: true }, command: Command) => {
      const session = new Session(io, command);
      const { yesIReallyMeanIt: confirmed = false } = options;
      const { result } = await session.finish(await session.client.removeFileSystem(name, { confirmed }));
      await session.print(result, () => `${name} is removed.\n`);
    });
}

function fileSystemTable(rows: readonly FileSystemRow[]): Table {
  return {
    header: ["NAME", "METADATA POOL", "DATA POOLS", "ACTIVE", "STANDBY", "STORED"],
    rows: rows.map(({ name, metadata_pool, data_pools, active, standby, bytes }) => [
      ...[name, metadata_pool, data_pools.join(","), active.join(","), String(standby)],
      bytes === null ? "" : bytesText(bytes),
    ]),
  };
}

function madeText({ name, active, standby }: FileSystemRow): string {
  const served =
    active.length + standby === 0
      ? "No metadata server is there to serve it yet: see microceph status.\n"
      : "";
  return `${name} is made. Mount it with:\n  ceph-fuse --client_fs ${name} /mnt\n${served}`;
}
