import type { Command } from "commander";
import type { ReplicatedFileSystem } from "../api/contract/file-replication.ts";
import type { CliIo } from "./io.ts";
import type { Table } from "./render/table.ts";
import { Session } from "./session.ts";

/** What completes `microceph replication VERB cephfs`. */
export type FileVerb = (command: Command, io: CliIo) => void;

interface What {
  readonly volume: string;
  readonly dirPath?: string;
  readonly subvolume?: string;
  readonly subvolumegroup?: string;
}

function named(command: Command): Command {
  return command
    .requiredOption("--volume <name>", "the file system: microceph fs list")
    .option("--dir-path <path>", "a folder of it, from its root")
    .option("--subvolume <name>", "or a subvolume of it")
    .option("--subvolumegroup <name>", "the group of the subvolume");
}

function whatOf({ volume, dirPath, subvolume, subvolumegroup }: What): {
  volume: string;
  dir_path?: string;
  subvolume?: string;
  subvolume_group?: string;
} {
  return {
    volume,
    ...(dirPath === undefined ? {} : { dir_path: dirPath }),
    ...(subvolume === undefined ? {} : { subvolume }),
    ...(subvolumegroup === undefined ? {} : { subvolume_group: subvolumegroup }),
  };
}

export const enableFiles: FileVerb = (command, io) => {
  named(command)
    .description("Mirror the snapshots of a folder to the file system of the same name at another site")
    .requiredOption("--remote <name>", "the other site")
    .action(async (options: What & { readonly remote: string }, self: Command) => {
      const session = new Session(io, self);
      const request = { ...whatOf(options), remote: options.remote };
      await session.print(await session.client.enableFileReplication(request), (one) => folderTable([one]));
    });
};

export const disableFiles: FileVerb = (command, io) => {
  named(command)
    .description("Mirror a folder, or with none named a whole file system, no more; the copies stay")
    .option("--force", "a file system of which folders are mirrored is meant")
    .action(async (options: What & { readonly force?: true }, self: Command) => {
      const session = new Session(io, self);
      const request = { ...whatOf(options), force: options.force ?? false };
      const reply = await session.client.disableFileReplication(request);
      const what = options.dirPath ?? options.subvolume;
      const of = what === undefined ? options.volume : `${what} of ${options.volume}`;
      await session.print(reply, () => `${of} is mirrored no more.\n`);
    });
};

export const listFiles: FileVerb = (command, io) => {
  command
    .description("Folders that are mirrored to another site, and how far they are")
    .action(async (_options: object, self: Command) => {
      const session = new Session(io, self, { lists: true });
      await session.print(await session.client.fileReplication(), folderTable);
    });
};

export const showFiles: FileVerb = (command, io) => {
  command
    .description("How far the folders of a file system are mirrored")
    .argument("<volume>", "the file system")
    .action(async (volume: string, _options: object, self: Command) => {
      const session = new Session(io, self);
      await session.print(await session.client.fileReplication(volume), folderTable);
    });
};

function folderTable(volumes: readonly ReplicatedFileSystem[]): Table {
  return {
    header: ["VOLUME", "FOLDER", "REMOTE", "STATE", "LAST SNAPSHOT", "SYNCED", "DELETED", "RENAMED"],
    rows: volumes.flatMap(({ volume, remotes, folders }) =>
      folders.map(({ path, state, last_snapshot, synced, deleted, renamed }) => [
        ...[volume, path, remotes.join(","), state, last_snapshot ?? ""],
        ...[synced, deleted, renamed].map(String),
      ]),
    ),
  };
}
