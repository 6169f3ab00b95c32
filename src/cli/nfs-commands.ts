import { type Command, Option } from "commander";
import type { NfsExportRow } from "../api/contract/nfs.ts";
import type { PlacedReport } from "../api/contract/placed-services.ts";
import type { CliIo } from "./io.ts";
import { collect } from "./option-values.ts";
import type { Table } from "./render/table.ts";
import { Session } from "./session.ts";

interface CreateOptions {
  readonly fs: string;
  readonly path: string;
  readonly readOnly?: true;
  readonly squash: "none" | "root" | "all";
  readonly client: readonly string[];
}

/** `microceph nfs export …` */
export function addNfsCommands(program: Command, io: CliIo): void {
  const exports = program
    .command("nfs")
    .description("Folders of file systems that NFS clients can mount")
    .command("export")
    .description("Folders of file systems, and who may mount them");

  exports
    .command("create")
    .description("Show a folder of a file system to NFS clients, at every gateway")
    .argument("<pseudo-path>", "the path by which clients know it: /share")
    .requiredOption("--fs <name>", "the file system: microceph fs list")
    .option("--path <path>", "the folder of it that they see; it must be there", "/")
    .option("--read-only", "they may not write")
    .addOption(
      new Option("--squash <whose>", "whose requests are made as nobody's")
        .choices(["none", "root", "all"])
        .default("none"),
    )
    .option(
      "--client <address>",
      "address or network that may mount it; may be given again (all)",
      collect,
      [],
    )
    .action(async (pseudo: string, options: CreateOptions, command: Command) => {
      const session = new Session(io, command);
      const { fs, path, readOnly = false, squash, client: clients } = options;
      const request = { pseudo_path: pseudo, fs, path, read_only: readOnly, squash, clients: [...clients] };
      const made = await session.client.createExport(request);
      const gateways = await session.client.nfs();
      await session.print(made, () => madeText(made, gateways));
    });

  exports
    .command("list")
    .alias("ls")
    .description("List what is exported")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command, { lists: true });
      await session.print(await session.client.exports(), exportTable);
    });

  exports
    .command("remove")
    .description("Show a folder to NFS clients no more; the files stay")
    .argument("<pseudo-path>")
    .action(async (pseudo: string, _options: object, command: Command) => {
      const session = new Session(io, command);
      const removed = await session.client.removeExport({ pseudo_path: pseudo });
      await session.print(removed, () => `${pseudo} is exported no more.\n`);
    });
}

function exportTable(rows: readonly NfsExportRow[]): Table {
  return {
    header: ["PSEUDO PATH", "FILE SYSTEM", "PATH", "ACCESS", "SQUASH", "CLIENTS"],
    rows: rows.map(({ pseudo_path, fs, path, read_only, squash, clients }) => [
      ...[pseudo_path, fs, path, read_only ? "read only" : "read and write", squash],
      clients.length === 0 ? "all" : clients.join(","),
    ]),
  };
}

function madeText({ pseudo_path }: NfsExportRow, { wanted, nodes }: PlacedReport): string {
  const first = nodes.find(({ state, url }) => state === "placed" && url !== null);
  if (wanted === null || first?.url == null) {
    return `${pseudo_path} is exported once there is a gateway: microceph enable nfs --cluster-id NAME\n`;
  }
  const { hostname, port } = new URL(first.url);
  const at = port === "" || port === "2049" ? "" : `-o port=${port} `;
  return `${pseudo_path} is exported. Mount it with:\n  mount -t nfs4 ${at}${hostname}:${pseudo_path} /mnt\n`;
}
