import { mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { isMicrocephError, MicrocephError } from "../../errors/microceph-error.ts";
import { isOsdId, type OsdId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { runProgram } from "../../process/run-program.ts";
import type { CephPaths } from "../config/ceph-paths.ts";
import { isCephKey, osdCapabilities } from "../config/keyring.ts";
import { askAdminSocket } from "./admin-socket.ts";
import type { CephAhead } from "./ceph-ahead.ts";
import { CephChild, mostBytes } from "./ceph-child.ts";
import type {
  CallOptions,
  CephCommands,
  CephHealth,
  CephStatus,
  CrushRule,
  MdsStat,
  MgrStat,
  MonMap,
  MonStatus,
  NewOsd,
  OsdDump,
  OsdStat,
  OsdTree,
  OsdUsage,
  PlacementGroup,
  Pool,
  QuorumStatus,
} from "./commands.ts";
import {
  crushRulesSchema,
  okToStopSchema,
  osdDfSchema,
  osdDumpSchema,
  osdNewSchema,
  osdStatSchema,
  osdTreeSchema,
  placementGroupsSchema,
  poolsSchema,
  poolUsageSchema,
  safeToDestroySchema,
} from "./osd-schemas.ts";
import { monMapSchema, parseAnswer, parseMonStatus } from "./schemas.ts";
import { servedWithout } from "./served-without.ts";
import {
  authEntrySchema,
  configDumpSchema,
  healthSchema,
  mdsStatSchema,
  mgrStatSchema,
  quorumStatusSchema,
  statusSchema,
} from "./status-schemas.ts";
import { checkWords, isRefusal, needsOwnProcess, parseOutput, refusalIn, refusedError } from "./words.ts";

export interface CephClientOptions {
  readonly paths: CephPaths;
  /** Seconds to wait for the first answer of a monitor; default 5. */
  readonly connectTimeoutSeconds?: number;
}

export interface CephClientDeps {
  readonly log: Logger;
  /** Runs a program to its end; `runProgram` outside tests. */
  readonly run: typeof runProgram;
  /** Where a `ceph` may wait that was started before. */
  readonly ahead?: CephAhead;
}

const defaultDeadlineMs = 10_000;
/** For a `ceph` of its own, whose start alone takes a quarter of a minute on a slow machine. */
const processDeadlineMs = 60_000;

/** `CephCommands` on a real cluster, as client.admin. */
export class CephClient implements CephCommands {
  readonly #paths: CephPaths;
  readonly #arguments: readonly string[];
  readonly #run: typeof runProgram;
  readonly #child: CephChild;

  constructor(options: CephClientOptions, deps: CephClientDeps) {
    this.#paths = options.paths;
    this.#run = deps.run;
    this.#arguments = cephArguments(options);
    const { log, ahead } = deps;
    this.#child = new CephChild(
      { argv: childArgv(this.#arguments), ...(ahead === undefined ? {} : { ahead }) },
      { log },
    );
  }

  /** Start the `ceph` of a client that will be made with these options. `keepMs`: milliseconds that it waits for it. */
  static startAhead(ahead: CephAhead, options: CephClientOptions, keepMs: number): void {
    ahead.start(childArgv(cephArguments(options)), { maxBytes: mostBytes, keepMs });
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }

  reconnect(): void {
    this.#child.reconnect();
  }

  async monStatus(handle: string, options: CallOptions = {}): Promise<MonStatus> {
    const request = { prefix: "mon_status" };
    return parseMonStatus(await askAdminSocket(this.#paths.adminSocket("mon", handle), request, options));
  }

  async quorumStatus(options?: CallOptions): Promise<QuorumStatus> {
    return parseAnswer("quorum_status", quorumStatusSchema, await this.#read(["quorum_status"], options));
  }

  async monMap(options?: CallOptions): Promise<MonMap> {
    return parseAnswer("mon dump", monMapSchema, await this.#read(["mon", "dump"], options));
  }

  async monRemove(name: string, options?: CallOptions): Promise<void> {
    await this.run(["mon", "remove", name], options);
  }

  async health(options?: CallOptions): Promise<CephHealth> {
    return parseAnswer("health", healthSchema, await this.#read(["health"], options));
  }

  async status(options?: CallOptions): Promise<CephStatus> {
    return parseAnswer("status", statusSchema, await this.#read(["status"], options));
  }

  async mgrStat(options?: CallOptions): Promise<MgrStat> {
    return parseAnswer("mgr stat", mgrStatSchema, await this.#read(["mgr", "stat"], options));
  }

  async mdsStat(options?: CallOptions): Promise<MdsStat> {
    return parseAnswer("mds stat", mdsStatSchema, await this.#read(["mds", "stat"], options));
  }

  async osdNew(uuid: string, options: CallOptions & { readonly id?: OsdId } = {}): Promise<NewOsd> {
    const words = ["osd", "new", uuid, ...(isOsdId(options.id) ? [String(options.id)] : [])];
    const osd = parseAnswer("osd new", osdNewSchema, await this.run(words, options));
    return { osd, key: await this.authGetOrCreate(`osd.${osd}`, osdCapabilities, options) };
  }

  async osdStat(options?: CallOptions): Promise<OsdStat> {
    return parseAnswer("osd stat", osdStatSchema, await this.#read(["osd", "stat"], options));
  }

  async osdTree(options?: CallOptions): Promise<OsdTree> {
    return parseAnswer("osd tree", osdTreeSchema, await this.#read(["osd", "tree"], options));
  }

  async osdDf(options?: CallOptions): Promise<OsdUsage[]> {
    return parseAnswer("osd df", osdDfSchema, await this.#read(["osd", "df"], options));
  }

  async placementGroupsOf(osd: OsdId, options?: CallOptions): Promise<PlacementGroup[]> {
    const words = ["pg", "ls-by-osd", `osd.${osd}`];
    return parseAnswer("pg ls-by-osd", placementGroupsSchema, await this.#read(words, options));
  }

  /**
   * The answer alone tells. Asked for JSON, Ceph refuses nothing here: the command succeeds for an OSD that serves
   * data, too (seen with Ceph 16; as text it ends with EBUSY).
   */
  async safeToDestroy(osd: OsdId, options?: CallOptions): Promise<boolean | null> {
    const reply = await orUnknown(this.#read(["osd", "safe-to-destroy", String(osd)], options));
    if (typeof reply === "boolean" || reply === null) return reply;
    return parseAnswer("osd safe-to-destroy", safeToDestroySchema(osd), reply);
  }

  /**
   * Ceph judges by what OSDs told the manager some seconds ago: one that has gone down since counts there still. Of such
   * the OSD map knows.
   */
  async okToStop(osds: readonly OsdId[], options?: CallOptions): Promise<boolean | null> {
    const reply = await orUnknown(this.#read(["osd", "ok-to-stop", ...osds.map(String)], options));
    if (typeof reply === "boolean" || reply === null) return reply;
    if (!parseAnswer("osd ok-to-stop", okToStopSchema, reply).ok_to_stop) return false;
    return servedWithout(osds, this, options);
  }

  async osdDump(options?: CallOptions): Promise<OsdDump> {
    return parseAnswer("osd dump", osdDumpSchema, await this.#read(["osd", "dump"], options));
  }

  async crushRules(options?: CallOptions): Promise<CrushRule[]> {
    return parseAnswer(
      "osd crush rule dump",
      crushRulesSchema,
      await this.#read(["osd", "crush", "rule", "dump"], options),
    );
  }

  crushMapBinary(options?: CallOptions): Promise<Uint8Array> {
    return this.#binary(["osd", "getcrushmap"], options);
  }

  async poolUsage(options?: CallOptions): Promise<ReadonlyMap<string, number>> {
    return parseAnswer("df", poolUsageSchema, await this.#read(["df"], options));
  }

  async createReplicatedRule(name: string, failureDomain: string, options?: CallOptions): Promise<number> {
    // Ceph answers an existing name with success, whatever that rule says.
    await this.run(["osd", "crush", "rule", "create-replicated", name, "default", failureDomain], options);
    const rule = (await this.crushRules(options)).find((each) => each.name === name);
    if (rule?.failureDomain !== failureDomain) {
      throw new MicrocephError("CEPH_REFUSED", `the CRUSH rule ${name} is not one over ${failureDomain}`, {
        data: { errno: "EEXIST", rule: name, failureDomain: rule?.failureDomain ?? null },
      });
    }
    return rule.id;
  }

  async pools(options?: CallOptions): Promise<Pool[]> {
    return parseAnswer(
      "osd pool ls detail",
      poolsSchema,
      await this.#read(["osd", "pool", "ls", "detail"], options),
    );
  }

  async setPool(
    pool: string,
    key: string,
    value: string,
    options: CallOptions & { readonly force?: boolean } = {},
  ): Promise<void> {
    const force = options.force === true ? ["--yes-i-really-mean-it"] : [];
    await this.run(["osd", "pool", "set", pool, key, value, ...force], options);
  }

  async createPool(
    pool: string,
    options: CallOptions & { readonly pgNum?: number; readonly rule?: string; readonly size?: number } = {},
  ): Promise<void> {
    const { pgNum, rule, size } = options;
    const words = ["osd", "pool", "create", pool];
    if (pgNum !== undefined) words.push(String(pgNum), String(pgNum));
    words.push("replicated");
    if (rule !== undefined) words.push(rule);
    await this.run(words, options);
    if (size === undefined) return;
    const made = (await this.pools(options)).find(({ name }) => name === pool);
    if (made && made.size !== size) await this.setPool(pool, "size", String(size), options);
  }

  async enableApplication(pool: string, application: string, options?: CallOptions): Promise<void> {
    await this.run(["osd", "pool", "application", "enable", pool, application], options);
  }

  async configSet(who: string, key: string, value: string, options?: CallOptions): Promise<void> {
    await this.run(["config", "set", who, key, value], options);
  }

  async configRemove(who: string, key: string, options?: CallOptions): Promise<void> {
    await this.run(["config", "rm", who, key], options);
  }

  async configGet(who: string, key: string, options?: CallOptions): Promise<string | undefined> {
    const entries = parseAnswer(
      "config dump",
      configDumpSchema,
      await this.#read(["config", "dump"], options),
    );
    return entries.find((each) => each.section === who && each.name === key && each.mask === "")?.value;
  }

  async authGetOrCreate(
    entity: string,
    capabilities: Readonly<Record<string, string>>,
    options?: CallOptions,
  ): Promise<string> {
    const pairs = Object.entries(capabilities).flat();
    const found = await this.run(["auth", "get-or-create", entity, ...pairs], options).catch(
      (error: unknown) => {
        // It exists with other capabilities, which are somebody's choice.
        if (isRefusal(error, "EINVAL")) return this.run(["auth", "get", entity], options);
        throw error;
      },
    );
    const [entry] = parseAnswer("auth get", authEntrySchema, found);
    if (!isCephKey(entry?.key)) throw new MicrocephError("CEPH_REFUSED", `Ceph gave no key for ${entity}`);
    return entry.key;
  }

  async authRemove(entity: string, options?: CallOptions): Promise<void> {
    await this.run(["auth", "rm", entity], options);
  }

  async secret(key: string, options?: CallOptions): Promise<string | undefined> {
    try {
      // Not through the child: what it answers is kept for a while.
      const value = await this.#once(["config-key", "get", key], options);
      return typeof value === "string" ? value : undefined;
    } catch (error) {
      if (isRefusal(error, "ENOENT")) return undefined;
      throw error;
    }
  }

  async setSecret(key: string, value: string, options?: CallOptions): Promise<void> {
    await this.runWithInput(["config-key", "set", key], value, options);
  }

  runWithInput(words: readonly string[], input: string, options?: CallOptions): Promise<Json> {
    return this.#once(words, options, { args: ["-i", "-"], input, secrets: [input] });
  }

  async removeSecret(key: string, options?: CallOptions): Promise<void> {
    await this.run(["config-key", "rm", key], options);
  }

  /** A command that always answers in JSON. */
  #read(words: readonly string[], options: CallOptions = {}): Promise<Json> {
    const deadlineMs = options.deadlineMs ?? defaultDeadlineMs;
    return this.#child.run(words, { ...options, deadlineMs, answers: true });
  }

  run(words: readonly string[], options: CallOptions = {}): Promise<Json> {
    if (needsOwnProcess(words)) return this.#once(words, options);
    return this.#child.run(words, { ...options, deadlineMs: options.deadlineMs ?? defaultDeadlineMs });
  }

  /** What a command writes into a file. */
  async #binary(words: readonly string[], options?: CallOptions): Promise<Uint8Array> {
    const folder = await mkdtemp(join(this.#paths.run, "answer-"));
    try {
      const path = join(folder, "file");
      await this.#once(words, options, { args: ["-o", path] });
      return await readFile(path);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** A process for one command: for those that need input or output files. */
  async #once(
    words: readonly string[],
    options: CallOptions = {},
    how: {
      readonly args?: readonly string[];
      /** What is written to its standard input: it is in no file, which would outlive a daemon that is killed. */
      readonly input?: string;
      readonly secrets?: readonly string[];
    } = {},
  ): Promise<Json> {
    checkWords(words);
    try {
      const args = [...this.#arguments, ...(how.args ?? []), ...words];
      // One that waits for its input must not outlive this process: it would take the end of it for all.
      const [program, all] =
        how.input === undefined
          ? (["ceph", args] as const)
          : (["setpriv", ["--pdeathsig", "KILL", "ceph", ...args]] as const);
      const result = await this.#run(program, all, {
        deadlineMs: options.deadlineMs ?? processDeadlineMs,
        ...(how.input === undefined ? {} : { input: how.input }),
        ...(options.signal ? { signal: options.signal } : {}),
        ...(how.secrets ? { secrets: how.secrets } : {}),
      });
      return parseOutput(result.stdout);
    } catch (error) {
      if (!isMicrocephError(error, "PROGRAM_FAILED")) throw error;
      const stderr = String(error.data.stderr ?? "");
      const refusal = refusalIn(stderr);
      if (refusal) throw refusedError(words, refusal);
      throw new MicrocephError(
        "CEPH_UNREACHABLE",
        `the monitors do not answer: ${stderr.trim().split("\n").slice(-2).join("; ").slice(0, 500)}`,
        { cause: error },
      );
    }
  }
}

function cephArguments({ paths, connectTimeoutSeconds = 5 }: CephClientOptions): readonly string[] {
  return [
    ...["-c", paths.cephConf, "--name", "client.admin"],
    ...["-f", "json", "--connect-timeout", String(connectTimeoutSeconds)],
    // No socket of its own: a killed child would leave it behind.
    "--admin_socket=",
  ];
}

/** setpriv: the child must not outlive a killed daemon while it waits for a quorum. */
function childArgv(args: readonly string[]): readonly [string, ...string[]] {
  return ["setpriv", "--pdeathsig", "KILL", "ceph", ...args];
}

/** A question that Ceph may refuse instead of answering no. False for EBUSY, null for what it cannot tell. */
async function orUnknown(asked: Promise<Json>): Promise<Json> {
  try {
    return await asked;
  } catch (error) {
    if (isRefusal(error, "EBUSY")) return false;
    if (isMicrocephError(error, "CEPH_REFUSED")) return null;
    throw error;
  }
}
