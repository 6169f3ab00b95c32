import { z } from "zod";
import type {
  ConfigOption,
  ConfigReply,
  ConfigRow,
  configChange,
  configReset,
} from "../api/contract/ceph-config.ts";
import type { Shape } from "../api/contract/shape.ts";
import type { CallOptions } from "../ceph/command/commands.ts";
import { isRefusal } from "../ceph/command/words.ts";
import { optionsOfCephConf } from "../ceph/config/ceph-conf.ts";
import { type RollingType, rollingOrder } from "../ceph/plan/rolling.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";
import { commandsOf, runtimeOf } from "./runtime-of.ts";
import { restartInTurn } from "./upgrade.ts";

const callMs = 30_000;

const dumpSchema = z.array(
  z.object({ section: z.string(), name: z.string(), value: z.string(), mask: z.string().default("") }),
);
const scalar = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const helpSchema = z.object({
  name: z.string(),
  type: z.string().default(""),
  desc: z.string().default(""),
  default: scalar.default(""),
  min: scalar.default(""),
  max: scalar.default(""),
  enum_values: z.array(z.string()).default([]),
  can_update_at_runtime: z.boolean().default(false),
});

type Change = Shape<typeof configChange>;
type Reset = Shape<typeof configReset>;

/** What is set in the monitors' database, for whom. */
export async function listConfig(cluster: ClusterRuntime, signal: AbortSignal): Promise<ConfigRow[]> {
  const said = await commandsOf(cluster).run(["config", "dump"], { deadlineMs: callMs, signal });
  return dumpSchema
    .parse(said)
    .map(({ section, name, value, mask }) => ({
      ...{ key: name, value: isSecret(name) ? "(hidden)" : value },
      section: mask === "" ? section : `${section}/${mask}`,
    }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.section < b.section ? -1 : 1));
}

/** Not shown in a list; who asks for one option by its name sees it. */
function isSecret(name: string): boolean {
  return /(?:password|secret|token)$/.test(name);
}

/** Throws NOT_FOUND for an option that this Ceph does not have. */
export async function showOption(
  cluster: ClusterRuntime,
  key: string,
  signal: AbortSignal,
): Promise<ConfigOption> {
  const ceph = commandsOf(cluster);
  const call = { deadlineMs: callMs, signal };
  const help = await helpOf(cluster, key, call);
  const dump = dumpSchema.parse(await ceph.run(["config", "dump"], call));
  return {
    ...{ key, type: help.type, description: help.desc, default: help.default, min: help.min, max: help.max },
    ...{ choices: help.enum_values, runtime: help.can_update_at_runtime },
    values: dump
      .filter(({ name }) => name === key)
      .map(({ section, mask, value }) => ({ section: mask === "" ? section : `${section}/${mask}`, value })),
  };
}

async function helpOf(
  cluster: ClusterRuntime,
  key: string,
  call: CallOptions,
): Promise<z.infer<typeof helpSchema>> {
  try {
    return helpSchema.parse(await commandsOf(cluster).run(["config", "help", key], call));
  } catch (error) {
    if (!isRefusal(error, "ENOENT")) throw error;
    throw new MicrocephError("NOT_FOUND", `Ceph has no option ${key}`, { data: { key } });
  }
}

/** Throws NOT_FOUND, SETTING_REFUSED. */
export async function checkConfig(
  cluster: ClusterRuntime,
  { key }: Reset,
  signal: AbortSignal,
): Promise<void> {
  if (optionsOfCephConf.has(key)) {
    throw new MicrocephError(
      "SETTING_REFUSED",
      `${key} is written into every ceph.conf by microceph itself, which wins over what is set here${hintFor(key)}`,
      { data: { key } },
    );
  }
  await helpOf(cluster, key, { deadlineMs: callMs, signal });
}

function hintFor(key: string): string {
  return /^(?:public|cluster)_network$/.test(key) ? ": microceph cluster network set" : "";
}

/**
 * The job of `cluster config set` and `reset`: Ceph itself checks the value. Where daemons read it only at their start
 * they are restarted in turn. Throws USAGE for a value that Ceph does not take, UPGRADE_BLOCKED.
 */
export async function changeConfig(daemon: Daemon, request: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const cluster = runtimeOf(daemon);
  const { key, section, skip_restart, value = null } = request as unknown as Reset & Partial<Change>;
  await cluster.whenCephAnswers(() => tools.report(0, "waiting for Ceph"), tools.signal);
  const ceph = commandsOf(cluster);
  const call = { deadlineMs: callMs, signal: tools.signal };
  const { can_update_at_runtime: runtime } = await helpOf(cluster, key, call);
  const before = await ceph.configGet(section, key, call);
  const isSame = value === null ? before === undefined : before === value;
  if (!isSame) {
    // Cut off after the change, the next run finds it made, and has to restart all the same.
    tools.remember({ begun: true });
    tools.report(10, `${key} is ${value === null ? "reset" : "set"} for ${section}`);
    if (value === null) await ceph.configRemove(section, key, call);
    else {
      await ceph.configSet(section, key, value, call).catch((error: unknown) => {
        if (!isRefusal(error, "EINVAL")) throw error;
        throw new MicrocephError("USAGE", error.message, { data: { key } });
      });
    }
  }
  const types = readersOf(key, section);
  // Gateways read nearly all of theirs at their start, whatever is said of it.
  const needed =
    (!runtime || (types.length === 1 && types[0] === "rgw")) && (!isSame || tools.memory !== null);
  const { restarted } =
    needed && !skip_restart
      ? await restartInTurn(daemon, { types, all: true, force: false }, tools)
      : { restarted: [] };
  const reply: ConfigReply = { key, section, value, restarted, pending: needed && skip_restart };
  return reply as unknown as Json;
}

/** Whose daemons read an option. */
export function readersOf(key: string, section: string): RollingType[] {
  const [told = ""] = section.split(".");
  const named = rollingOrder.find((type) => type === told);
  if (named !== undefined) return [named];
  const prefixes: Record<RollingType, RegExp> = {
    mon: /^(?:mon|paxos)_/,
    mgr: /^mgr_/,
    osd: /^(?:osd|bluestore|bluefs|bdev|rocksdb)_/,
    mds: /^mds_/,
    rgw: /^rgw_/,
    "rbd-mirror": /^rbd_mirror_/,
    "cephfs-mirror": /^cephfs_mirror_/,
    nfs: /^(?!)/,
  };
  const by = rollingOrder.filter((type) => prefixes[type].test(key));
  if (by.length > 0) return by;
  // Both mount file systems by Ceph's library for that.
  const mounting = ["cephfs-mirror", "nfs"] as const;
  if (told === "client") {
    const isOf = (type: RollingType): boolean => `${section}.`.startsWith(`client.${type}.`);
    const readers = key.startsWith("client_") ? mounting : (["rgw", "rbd-mirror", ...mounting] as const);
    return readers.filter((type) => section === told || isOf(type));
  }
  if (key.startsWith("client_")) return [...mounting];
  return key.startsWith("rbd_") ? [] : [...rollingOrder];
}
