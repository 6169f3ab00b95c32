import type { Command } from "commander";
import type { PoolRow, ReplicasPlan } from "../api/contract/pools.ts";
import type { CliIo } from "./io.ts";
import { confirmOption, numberFromOne } from "./option-values.ts";
import { borderedTable, type Table } from "./render/table.ts";
import { bytes as bytesText } from "./render/words.ts";
import { Session } from "./session.ts";

interface CreateOptions {
  readonly size?: number;
  readonly pgNum?: number;
  readonly application?: string;
  readonly yesIReallyMeanIt?: true;
}
interface ReplicasOptions {
  readonly size: number;
  readonly dryRun?: true;
  readonly yesIReallyMeanIt?: true;
}

/** `microceph pool …` */
export function addPoolCommands(program: Command, io: CliIo): void {
  const pool = program.command("pool").description("Pools, and how many copies they keep");

  pool
    .command("list")
    .alias("ls")
    .description("List the pools")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command, { lists: true });
      await session.print(await session.client.pools(), poolTable);
    });

  pool
    .command("create")
    .description("Make a replicated pool, spread over what the cluster's failure domain says")
    .argument("<name>", "letters, digits, '.', '_' and '-'")
    .option("--size <n>", "copies (what new pools get)", numberFromOne)
    .option("--pg-num <n>", "placement groups (Ceph chooses)", numberFromOne)
    .option("--application <name>", "what it is for: rbd, cephfs, rgw or another word (rbd)")
    .option(confirmOption, "a single copy is meant")
    .action(async (name: string, options: CreateOptions, command: Command) => {
      const session = new Session(io, command);
      const { size, pgNum, application, yesIReallyMeanIt: confirmed = false } = options;
      const made = await session.client.createPool({
        ...{ name, confirmed },
        ...(size === undefined ? {} : { size }),
        ...(pgNum === undefined ? {} : { pg_num: pgNum }),
        ...(application === undefined ? {} : { application }),
      });
      await session.print(made, (row) => `${row.pool} is made, with ${row.size} copies.\n`);
    });

  pool
    .command("remove")
    .description("Remove a pool with all that is in it")
    .argument("<name>")
    .option(confirmOption, "all that is in it goes")
    .action(async (name: string, options: { readonly yesIReallyMeanIt?: true }, command: Command) => {
      const session = new Session(io, command);
      const { yesIReallyMeanIt: confirmed = false } = options;
      const { result } = await session.finish(await session.client.removePool(name, { confirmed }));
      await session.print(result, () => `${name} is removed.\n`);
    });

  pool
    .command("set-rf")
    .description("Have pools keep another number of copies")
    .argument("[pool...]", '"*": every pool and what new ones get; "" or none: only what new ones get')
    .requiredOption("--size <n>", "copies", numberFromOne)
    .option("--dry-run", "only say what it means")
    .option(confirmOption, "a single copy of what is there is meant")
    .action(async (pools: readonly string[], options: ReplicasOptions, command: Command) => {
      const session = new Session(io, command);
      const { size, dryRun, yesIReallyMeanIt: confirmed = false } = options;
      const request = { pools, size, confirmed };
      if (dryRun) return session.print(await session.client.planReplicas(request), planText);
      const { result } = await session.finish(await session.client.setReplicas(request));
      await session.print(result as unknown as ReplicasPlan, planText);
    });
}

function poolTable(pools: readonly PoolRow[]): Table {
  return {
    header: ["NAME", "SIZE", "CRUSH RULE", "MIN SIZE", "PGS", "APPLICATION", "STORED"],
    rows: pools.map(({ pool, size, crush_rule, min_size, pg_num, applications, bytes }) => [
      ...[pool, String(size), crush_rule, String(min_size), String(pg_num), applications.join(",")],
      bytes === null ? "" : bytesText(bytes),
    ]),
  };
}

function planText({ size, min_size, default: isDefault, pools, warnings }: ReplicasPlan): string {
  const table =
    pools.length === 0
      ? ""
      : borderedTable(
          ["POOL", "FROM", "TO", "CRUSH RULE", "OVER", "PGS", "WRITTEN"],
          pools.map(({ pool, from, to, crush_rule, failure_domain, places, pg_num, bytes }) => [
            ...[pool, String(from), String(to), crush_rule, `${places} ${failure_domain}s`, String(pg_num)],
            bytes === null ? "?" : bytes < 0 ? `${bytesText(-bytes)} freed` : bytesText(bytes),
          ]),
        );
  const news = isDefault ? `New pools: ${size} copies, ${min_size} of them to write.\n` : "";
  return `${table}${news}${warnings.map((warning) => `Warning: ${warning}\n`).join("")}`;
}
