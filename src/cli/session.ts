import { resolve } from "node:path";
import type { Command } from "commander";
import { ApiClient } from "../api/client.ts";
import type { Job } from "../api/contract/jobs.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import { followJob } from "./job-progress.ts";
import { type Paint, paintFor } from "./render/paint.ts";
import { printableData, printableJson } from "./render/sanitize.ts";
import { borderedTable, compactTable, csvTable, type Table } from "./render/table.ts";
import { yamlText } from "./render/yaml.ts";

/** The last two are for single lists only, as in LXD. */
export const formats = ["table", "json", "yaml", "csv", "compact"] as const;
export type Format = (typeof formats)[number];

/** Longest path that `connect` takes (unix(7)). */
const longestSocketPath = 107;
const defaultStateDir = "/var/lib/microceph";

/** Options that every command has. */
interface GlobalOptions {
  readonly stateDir?: string;
  readonly format?: Format;
  readonly verbose?: boolean;
  readonly debug?: boolean;
  readonly target?: string;
}

/** One run of one command: the daemon to ask and the way to print. */
export class Session {
  readonly io: CliIo;
  readonly client: ApiClient;
  readonly format: Format;
  /** Colours of standard output. */
  readonly paint: Paint;

  /** `lists`: the command prints one list, in any format. Throws USAGE, PATH_TOO_LONG. */
  constructor(
    io: CliIo,
    command: Command,
    own: { readonly format?: Format | undefined; readonly lists?: true } = {},
  ) {
    const options: GlobalOptions = command.optsWithGlobals();
    this.io = io;
    this.format = own.format ?? options.format ?? "table";
    if ((this.format === "csv" || this.format === "compact") && !own.lists) {
      throw new MicrocephError(
        "USAGE",
        `--format ${this.format} is for plain lists: use table, json or yaml`,
      );
    }
    this.paint = paintFor(io.stdout.isTTY, io.env);
    const socketPath = resolve(stateDirOf(options, io), "control.socket");
    if (Buffer.byteLength(socketPath) > longestSocketPath) {
      throw new MicrocephError("PATH_TOO_LONG", `the path is too long for a socket: ${socketPath}`);
    }
    const traced = options.verbose === true || options.debug === true;
    this.client = new ApiClient({
      socketPath,
      ...(options.target === undefined ? {} : { target: options.target }),
      ...(traced ? { trace: (line: string) => io.stderr.write(`${line}\n`) } : {}),
    });
  }

  /** Print data as the format asks; text and tables are made of data without control characters. */
  async print<T>(data: T, render: (clean: T) => string | Table): Promise<void> {
    if (this.format === "json") return this.io.stdout.write(`${printableJson(data, 2)}\n`);
    if (this.format === "yaml") return this.io.stdout.write(yamlText(data));
    const rendered = render(printableData(data));
    if (typeof rendered === "string") return this.io.stdout.write(rendered);
    const { header, rows } = rendered;
    if (this.format === "csv") return this.io.stdout.write(csvTable(rows));
    const table = this.format === "compact" ? compactTable : borderedTable;
    this.io.stdout.write(table(header, rows));
  }

  /**
   * Follow a job to its end with its progress on standard error; `label` tells it from others that are followed
   * at the same time. Throws the job's error when it failed.
   */
  finish(job: Job, client: ApiClient = this.client, label?: string): Promise<Job> {
    return followJob(client, job, this.io, label);
  }
}

function stateDirOf(options: GlobalOptions, io: CliIo): string {
  const given = options.stateDir ?? io.env.MICROCEPH_STATE_DIR;
  return given === undefined || given === "" ? defaultStateDir : given;
}
