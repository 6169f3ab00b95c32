import type { Command } from "commander";
import type { ClientConfigRow, ConfigOption, ConfigReply, ConfigRow } from "../api/contract/ceph-config.ts";
import type { Job } from "../api/contract/jobs.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import type { Table } from "./render/table.ts";
import { Session } from "./session.ts";

interface ChangeOptions {
  readonly section?: string;
  readonly wait?: true;
  readonly skipRestart?: true;
}

const sectionOption = ["--section <who>", "who is told: global, osd, osd.3, client.rgw, … (global)"] as const;
const waitOption = ["--wait", "wait until daemons that have to be restarted are"] as const;
const skipOption = [
  "--skip-restart",
  "restart nothing; what is read only at the start waits for it",
] as const;

/** `microceph cluster config …` */
export function addConfigCommands(cluster: Command, io: CliIo): void {
  const config = cluster.command("config").description("Options of Ceph, every one of them");

  config
    .command("list")
    .description("List what is set")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command, { lists: true });
      await session.print(await session.client.config(), configTable);
    });

  config
    .command("get")
    .description("Show what an option is set to, and what it may be")
    .argument("<key>", "such as osd_max_backfills")
    .action(async (key: string, _options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(await session.client.configOption(key), optionText);
    });

  config
    .command("set")
    .description("Set an option; daemons that read it only at their start are restarted in turn")
    .argument("<key>", "such as osd_max_backfills")
    .argument("<value>")
    .option(...sectionOption)
    .option(...waitOption)
    .option(...skipOption)
    .action(async (key: string, value: string, options: ChangeOptions, command: Command) => {
      const session = new Session(io, command);
      await follow(session, options, await session.client.changeConfig({ key, value, ...asked(options) }));
    });

  config
    .command("reset")
    .description("Unset an option: Ceph's default holds again")
    .argument("<key>", "such as osd_max_backfills")
    .option(...sectionOption)
    .option(...waitOption)
    .option(...skipOption)
    .action(async (key: string, options: ChangeOptions, command: Command) => {
      const session = new Session(io, command);
      await follow(session, options, await session.client.resetConfig({ key, ...asked(options) }));
    });
}

function asked({ section, skipRestart }: ChangeOptions): { section?: string; skip_restart: boolean } {
  return { ...(section === undefined ? {} : { section }), skip_restart: skipRestart ?? false };
}

/** Whether Ceph took the value is known within seconds; restarts may take their time. */
const settingSeconds = 10;

async function follow(session: Session, { wait }: ChangeOptions, job: Job): Promise<void> {
  if (!wait) {
    const seen = await session.client.waitForJob(job.id, settingSeconds);
    if (seen.state === "running") {
      session.io.stderr.write(`It goes on: ${seen.step} (job ${job.id})\n`);
      return session.print(seen, () => "");
    }
  }
  const { result } = await session.finish(job);
  await session.print(result as unknown as ConfigReply, replyText);
}

function replyText({ restarted, pending }: ConfigReply): string {
  if (pending) return "Daemons heed it after their next start: microceph cluster upgrade run --all\n";
  return restarted.length === 0 ? "" : `Restarted: ${restarted.join(", ")}.\n`;
}

function configTable(rows: readonly ConfigRow[]): Table {
  return {
    header: ["#", "KEY", "VALUE", "SECTION"],
    rows: rows.map(({ key, value, section }, index) => [String(index), key, value, section]),
  };
}

function optionText(option: ConfigOption): string {
  const { key, type, description, min, max, choices, runtime, values } = option;
  const range = min === "" && max === "" ? "" : `, from ${min || "any"} to ${max || "any"}`;
  const lines = [
    ...values.map(({ section, value }) => `${key} = ${value} (${section})`),
    `default: ${option.default === "" ? "(none)" : option.default}`,
    `type: ${type}${range}${choices.length === 0 ? "" : `: ${choices.join(", ")}`}`,
    ...(description === "" ? [] : [description]),
    ...(runtime ? [] : ["Daemons read it only at their start."]),
  ];
  return `${lines.join("\n")}\n`;
}

interface HostOptions {
  readonly target?: string;
  readonly wait?: boolean;
  readonly yesIReallyMeanIt?: true;
}
const hostOption = ["--target <node>", "only on this member's host (all)"] as const;

/** `microceph client config …` */
export function addClientCommands(program: Command, io: CliIo): void {
  const client = program.command("client").description("What Ceph's clients on the members' hosts are told");
  const config = client
    .command("config")
    .description("The client's part of ceph.conf: rbd_cache and its sizes");

  config
    .command("list")
    .description("List what is set")
    .option(...hostOption)
    .action(async ({ target }: HostOptions, command: Command) => {
      const session = new Session(io, command, { lists: true });
      await session.print(await hosts(session, target), clientTable);
    });

  config
    .command("get")
    .description("Show one option")
    .argument("<key>")
    .option(...hostOption)
    .action(async (key: string, { target }: HostOptions, command: Command) => {
      const session = new Session(io, command, { lists: true });
      const rows = (await hosts(session, target)).filter((row) => row.key === key);
      if (rows.length === 0) throw new MicrocephError("NOT_FOUND", `${key} is not set`);
      await session.print(rows, clientTable);
    });

  config
    .command("set")
    .description("Set an option, on all hosts or on one")
    .argument("<key>")
    .argument("<value>")
    .option(...hostOption)
    .option("--wait [bool]", "as in MicroCeph; it is written at once")
    .action(async (key: string, value: string, { target }: HostOptions, command: Command) => {
      const session = new Session(io, command);
      const client = session.client.withoutTarget();
      await session.print(await client.setClientConfig(key, { value, host: target ?? "*" }), () => "");
    });

  config
    .command("reset")
    .description("Unset an option")
    .argument("<key>")
    .option(...hostOption)
    .option("--wait [bool]", "as in MicroCeph; it is written at once")
    .option("--yes-i-really-mean-it", "it is meant")
    .action(async (key: string, options: HostOptions, command: Command) => {
      const session = new Session(io, command);
      if (!options.yesIReallyMeanIt) {
        throw new MicrocephError("USAGE", "to reset a client's option give --yes-i-really-mean-it");
      }
      const client = session.client.withoutTarget();
      await session.print(await client.resetClientConfig(key, { host: options.target ?? "*" }), () => "");
    });
}

/** `--target` names a host here, and no member to ask. */
async function hosts(session: Session, target: string | undefined): Promise<readonly ClientConfigRow[]> {
  const rows = await session.client.withoutTarget().clientConfig();
  return target === undefined || target === "*" ? rows : rows.filter(({ host }) => host === target);
}

function clientTable(rows: readonly ClientConfigRow[]): Table {
  return {
    header: ["#", "KEY", "VALUE", "HOST"],
    rows: rows.map(({ key, value, host }, index) => [String(index), key, value, host]),
  };
}

/** `microceph log …` */
export function addLogCommands(program: Command, io: CliIo): void {
  const log = program.command("log").description("How much this node's daemon logs");

  log
    .command("set-level")
    .description("From now on, also after its next start")
    .argument("<level>", "0 to 6, or panic, fatal, error, warning, info, debug, trace")
    .action(async (level: string, _options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(await session.client.setLogLevel(level), () => "");
    });

  log
    .command("get-level")
    .description("Show it: 0 (panic) to 6 (trace)")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(await session.client.logLevel(), ({ level }) => `${level}\n`);
    });
}
