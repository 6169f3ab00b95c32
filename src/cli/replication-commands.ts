import { type Command, Option } from "commander";
import type { RemoteRow, ReplicatedPool, SiteReply } from "../api/contract/replication.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import {
  disableFiles,
  enableFiles,
  type FileVerb,
  listFiles,
  showFiles,
} from "./file-replication-commands.ts";
import type { CliIo } from "./io.ts";
import { confirmOption } from "./option-values.ts";
import type { Table } from "./render/table.ts";
import { Session } from "./session.ts";

interface Confirmed {
  readonly yesIReallyMeanIt?: true;
}

/** `microceph cluster export` */
export function addExportCommand(cluster: Command, io: CliIo): void {
  cluster
    .command("export <remote>")
    .description("A token with which another site, called so here, mirrors images and files with this one")
    .action(async (remote: string, _options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(await session.client.exportCluster({ remote }), ({ token }) => `${token}\n`);
    });
}

/** `microceph remote …` and `microceph replication …` */
export function addReplicationCommands(program: Command, io: CliIo): void {
  const remote = program.command("remote").description("Other sites that images and files are mirrored with");
  remote
    .command("import <name> <token>")
    .description("Know another site by the token that `cluster export` made there")
    .requiredOption("--local-name <name>", "what this site is called there")
    .action(
      async (name: string, token: string, options: { readonly localName: string }, command: Command) => {
        const session = new Session(io, command);
        const row = await session.client.importRemote(name, { token, local_name: options.localName });
        await session.print(row, () => `${name} is known, and answers.\n`);
      },
    );
  remote
    .command("list")
    .alias("ls")
    .description("Sites that this one reaches, or that were given a key of it")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command, { lists: true });
      await session.print(await session.client.remotes(), remoteTable);
    });
  remote
    .command("remove <name>")
    .description("Forget a site, and take back the key that it was given")
    .action(async (name: string, _options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(await session.client.removeRemote(name), () => `${name} is forgotten.\n`);
    });

  const replication = program.command("replication").description("Images and files mirrored between sites");
  /** What is done with images, and, with the same word, with files. */
  const verb = (name: string, description: string, ofFiles?: FileVerb): Command => {
    const both = replication.command(name).description(description);
    if (ofFiles !== undefined) ofFiles(both.command("cephfs"), io);
    return both.command("rbd").description(description);
  };

  verb("enable", "Mirror a pool, or one image, with another site, in both directions", enableFiles)
    .argument("<resource>", "POOL or POOL/IMAGE")
    .requiredOption("--remote <name>", "the other site")
    .addOption(new Option("--type <type>", "how").choices(["journal", "snapshot"]).default("journal"))
    .option("--schedule <interval>", "how often a snapshot is mirrored: 5m, 2h, 1d")
    .option("--skip-auto-enable", "images of the pool that have no journal are left as they are")
    .action(
      async (
        resource: string,
        options: {
          readonly remote: string;
          readonly type: "journal" | "snapshot";
          readonly schedule?: string;
          readonly skipAutoEnable?: true;
        },
        command: Command,
      ) => {
        const session = new Session(io, command);
        const { remote: site, type, schedule, skipAutoEnable = false } = options;
        const report = await session.client.enableReplication({
          ...{ ...resourceOf(resource), remote: site, type, skip_auto_enable: skipAutoEnable },
          ...(schedule === undefined ? {} : { schedule }),
        });
        await session.print(report, (one) => poolTable([one]));
      },
    );
  verb("disable", "Mirror a pool, or one image, no more", disableFiles)
    .argument("<resource>", "POOL or POOL/IMAGE")
    .option("--force", "that the copies at the other site go is meant")
    .action(async (resource: string, options: { readonly force?: true }, command: Command) => {
      const session = new Session(io, command);
      const reply = await session.client.disableReplication({
        ...resourceOf(resource),
        confirmed: options.force ?? false,
      });
      await session.print(reply, () => `${resource} is mirrored no more.\n`);
    });
  verb("list", "Images that are mirrored, as this site sees them", listFiles)
    .option("--pool <pool>", "of this pool only")
    .action(async (options: { readonly pool?: string }, command: Command) => {
      const session = new Session(io, command, { lists: true });
      await session.print(await session.client.replication(options.pool), poolTable);
    });
  verb("status", "How far the images of a pool, or one of them, are mirrored", showFiles)
    .argument("<resource>", "POOL or POOL/IMAGE")
    .action(async (resource: string, _options: object, command: Command) => {
      const session = new Session(io, command);
      const { pool, image } = resourceOf(resource);
      const pools = (await session.client.replication(pool)).map((one) => ({
        ...one,
        images: one.images.filter((each) => image === undefined || each.image === image),
      }));
      if (image !== undefined && pools.every(({ images }) => images.length === 0)) {
        throw new MicrocephError("NOT_FOUND", `${resource} is not mirrored`);
      }
      await session.print(pools, poolTable);
    });
  verb("configure", "How often a snapshot of an image is mirrored")
    .argument("<resource>", "POOL/IMAGE")
    .requiredOption("--schedule <interval>", "5m, 2h, 1d")
    .action(async (resource: string, options: { readonly schedule: string }, command: Command) => {
      const session = new Session(io, command);
      const { pool, image } = resourceOf(resource);
      if (image === undefined) throw new MicrocephError("USAGE", "a schedule is of one image: POOL/IMAGE");
      const request = { pool, image, schedule: options.schedule };
      await session.print(await session.client.configureReplication(request), (one) => poolTable([one]));
    });
  verb("resync", "Copy images anew from the other site, after both were written")
    .argument("<resource>", "POOL or POOL/IMAGE")
    .option(confirmOption, "what was written here alone is lost")
    .action(async (resource: string, options: Confirmed, command: Command) => {
      const session = new Session(io, command);
      const { yesIReallyMeanIt: confirmed = false } = options;
      const reply = await session.client.resyncReplication({ ...resourceOf(resource), confirmed });
      await session.print(reply, ({ images }) => `${images.join(", ")}: copied anew.\n`);
    });
  for (const [name, description, confirmation] of [
    [
      "promote",
      "Write here from now on whatever is mirrored with that site",
      "also where it has not handed over: what it did not send is lost",
    ],
    ["demote", "Leave it to that site to write whatever is mirrored with it", "as it is done in any case"],
  ] as const) {
    verb(name, description)
      .requiredOption("--remote <name>", "the other site")
      .option(confirmOption, confirmation)
      .action(async (options: Confirmed & { readonly remote: string }, command: Command) => {
        const session = new Session(io, command);
        const request = { remote: options.remote, force: options.yesIReallyMeanIt ?? false };
        const job = await (name === "promote"
          ? session.client.promoteSite(request)
          : session.client.demoteSite(request));
        const { result } = await session.finish(job);
        await session.print(result as SiteReply, ({ changed }) =>
          changed.length === 0 ? "Nothing was to be done.\n" : `${changed.join(", ")}: ${name}d.\n`,
        );
      });
  }
}

/** Throws USAGE. */
function resourceOf(text: string): { pool: string; image?: string } {
  const [pool = "", image, ...more] = text.split("/");
  if (pool === "" || image === "" || more.length > 0) {
    throw new MicrocephError("USAGE", `"${text.slice(0, 80)}" is neither POOL nor POOL/IMAGE`);
  }
  return image === undefined ? { pool } : { pool, image };
}

function remoteTable(rows: readonly RemoteRow[]): Table {
  const word = (is: boolean): string => (is ? "yes" : "no");
  return {
    header: ["REMOTE NAME", "LOCAL NAME", "IMPORTED", "EXPORTED"],
    rows: rows.map(({ name, local_name, imported, exported }) => [
      ...[name, local_name ?? "", word(imported), word(exported)],
    ]),
  };
}

function poolTable(pools: readonly ReplicatedPool[]): Table {
  return {
    header: ["POOL", "IMAGE", "TYPE", "IS PRIMARY", "STATE", "LAST UPDATE", "DESCRIPTION"],
    rows: pools.flatMap(({ images }) =>
      images.map(({ pool, image, type, is_primary, state, last_update, description }) => [
        ...[pool, image, type, is_primary ? "yes" : "no", state, last_update, description],
      ]),
    ),
  };
}
