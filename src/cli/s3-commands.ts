import type { Command } from "commander";
import type { S3Bucket, S3UserRow } from "../api/contract/s3.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import { s3UserText } from "./render/s3-user.ts";
import type { Table } from "./render/table.ts";
import { bytes as bytesText } from "./render/words.ts";
import { Session } from "./session.ts";

interface CreateOptions {
  readonly displayName?: string;
  readonly swift?: true;
}

interface KeyOptions {
  readonly new?: true;
  readonly swift?: true;
}

/** `microceph s3 …` */
export function addS3Commands(program: Command, io: CliIo): void {
  const s3 = program.command("s3").description("Users and buckets of the S3 gateways");
  const user = s3.command("user").description("S3 users and their keys");

  user
    .command("create")
    .description("Make a user with a key, and print what awscli, s3cmd, rclone and swift need")
    .argument("<name>", "letters, digits, dot, underscore and hyphen")
    .option("--display-name <text>", "name for people (the user's name)")
    .option("--swift", "with a key for Swift, too")
    .action(async (name: string, options: CreateOptions, command: Command) => {
      const session = new Session(io, command);
      const { displayName, swift = false } = options;
      const request = { name, swift, ...(displayName === undefined ? {} : { display_name: displayName }) };
      await session.print(await session.client.createS3User(request), s3UserText);
    });

  user
    .command("list")
    .description("List the users")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command, { lists: true });
      await session.print(await session.client.s3Users(), userTable);
    });

  user
    .command("key")
    .description("Show a user's keys, and what awscli, s3cmd, rclone and swift need")
    .argument("<name>")
    .option("--new", "give it one more key first")
    .option("--swift", "with --new: a key for Swift, instead of the one that was there")
    .action(async (name: string, options: KeyOptions, command: Command) => {
      if (options.swift && !options.new) throw new MicrocephError("USAGE", "--swift goes with --new");
      const session = new Session(io, command);
      const { client } = session;
      const type = options.swift ? "swift" : "s3";
      const user = await (options.new ? client.createS3Key(name, { type }) : client.s3User(name));
      await session.print(user, s3UserText);
    });

  user
    .command("remove")
    .description("Remove a user")
    .argument("<name>")
    .option("--purge-data", "with its buckets, and all that is in them")
    .action(async (name: string, options: { readonly purgeData?: true }, command: Command) => {
      const session = new Session(io, command);
      const request = { purge_data: options.purgeData ?? false };
      const { result } = await session.finish(await session.client.removeS3User(name, request));
      await session.print(result, () => `${name} is removed.\n`);
    });

  s3.command("bucket")
    .description("Buckets of all users")
    .command("list")
    .description("List the buckets with their owners and sizes")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command, { lists: true });
      await session.print(await session.client.s3Buckets(), bucketTable);
    });
}

function userTable(users: readonly S3UserRow[]): Table {
  return { header: ["USER"], rows: users.map(({ name }) => [name]) };
}

function bucketTable(buckets: readonly S3Bucket[]): Table {
  return {
    header: ["BUCKET", "OWNER", "OBJECTS", "SIZE"],
    rows: buckets.map(({ name, owner, objects, bytes }) => [name, owner, String(objects), bytesText(bytes)]),
  };
}
