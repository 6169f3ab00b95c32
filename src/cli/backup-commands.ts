import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Command } from "commander";
import type { BackupReply, RestoreReply } from "../api/contract/backup.ts";
import { MicrocephError, messageOf } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import { Session } from "./session.ts";

interface PassphraseOptions {
  readonly passphraseFile?: string;
}

const variable = "MICROCEPH_PASSPHRASE";
const passphraseOption = [
  "--passphrase-file <file>",
  `file whose first line is the passphrase; -: standard input (else $${variable})`,
] as const;

/** `microceph cluster backup` and `microceph cluster restore` */
export function addBackupCommands(cluster: Command, io: CliIo): void {
  cluster
    .command("backup <file>")
    .description("Write the cluster, but for its data, into a file that only a passphrase opens; on a voter")
    .option(...passphraseOption)
    .action(async (file: string, options: PassphraseOptions, command: Command) => {
      const session = new Session(io, command);
      const passphrase = await passphraseOf(io, options);
      const reply = await session.client.backup({ path: resolve(file), passphrase });
      await session.print(reply, writtenText);
    });
  cluster
    .command("restore <file>")
    .description("Make this fresh node the only voter of the cluster in a backup: when no voter is left")
    .option(...passphraseOption)
    .action(async (file: string, options: PassphraseOptions, command: Command) => {
      const session = new Session(io, command);
      const passphrase = await passphraseOf(io, options);
      const reply = await session.client.restore({ path: resolve(file), passphrase });
      await session.print(reply, restoredText);
    });
}

/** Never an argument: those are seen by every user of the host. Throws USAGE. */
async function passphraseOf(io: CliIo, options: PassphraseOptions): Promise<string> {
  const { passphraseFile: file } = options;
  if (file === "-") return (await io.ask("")) ?? "";
  if (file !== undefined) {
    const text = await readFile(file, "utf8").catch((error: unknown) => {
      throw new MicrocephError("USAGE", `the passphrase cannot be read: ${messageOf(error)}`);
    });
    return firstLine(text);
  }
  const set = io.env[variable];
  if (set !== undefined && set !== "") return firstLine(set);
  throw new MicrocephError("USAGE", `a passphrase is needed: --passphrase-file FILE, or $${variable}`);
}

function firstLine(text: string): string {
  return text.split(/\r?\n/)[0] ?? "";
}

function writtenText({ path, bytes, name, ceph_records: records }: BackupReply): string {
  const line = `The cluster ${name} is in ${path} (${bytes} bytes). Keep it and its passphrase apart, and off this cluster.\n`;
  return records
    ? line
    : `${line}Ceph's monitors did not answer: keys of users, settings and keys of encrypted disks are NOT in it.\n`;
}

function restoredText({ name, at, handle, ceph }: RestoreReply): string {
  const lines = [
    `This node is ${handle}, the only voter of the cluster ${name} as it was on ${at}.`,
    ...(ceph === null
      ? []
      : [
          "Next, on this node and on every other that has disks of it (they join as fresh nodes do):",
          "  microceph disk adopt --without-monitors",
          "then once, on any member:",
          "  microceph cluster recover --monitors-from-osds",
        ]),
    "Members that are gone for good are forgotten with: microceph cluster remove NODE --dead",
  ];
  return `${lines.join("\n")}\n`;
}
