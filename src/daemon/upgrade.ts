import { z } from "zod";
import type { Shape } from "../api/contract/shape.ts";
import {
  type InstalledPrograms,
  installedPrograms,
  type UpgradePlan,
  type UpgradeReply,
  type upgradeRequest,
} from "../api/contract/upgrade.ts";
import type { CallOptions, CephCommands } from "../ceph/command/commands.ts";
import { failOver, managers } from "../ceph/control/fail-over.ts";
import {
  nextRelease,
  planRolling,
  type RollingFacts,
  type RollingType,
  type RunningDaemon,
  refusedLeap,
  rollingOrder,
  shortVersion,
} from "../ceph/plan/rolling.ts";
import { MicrocephError, messageOf } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import { type NamedMember, namedMembers, osdsOf } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import type { Daemon } from "./daemon.ts";
import { changeConfigJob, networksJob, upgradeJob } from "./job-kinds.ts";
import type { JobTools } from "./jobs.ts";
import { askMember, finishOn } from "./member-job.ts";
import { commandsOf, runtimeOf } from "./runtime-of.ts";
import { areSpare } from "./spare-osds.ts";

type UpgradeRequest = Shape<typeof upgradeRequest>;

/** Jobs that restart daemons in turn: one at a time. */
const rollingJobs: readonly string[] = [upgradeJob, changeConfigJob, networksJob];
const callMs = 30_000;
const askMs = 10_000;
/** Milliseconds that one daemon has to come back. */
const restartMs = 300_000;
/** Milliseconds that the cluster has to become whole between two steps. */
const calmMs = 600_000;
/** As above, where it was said to go on all the same. */
const forcedCalmMs = 60_000;
/** Milliseconds for which Ceph must say that an OSD cannot be spared, while all data is whole. */
const neededMs = 30_000;

const monMetadata = z.array(z.object({ name: z.string(), ceph_version: z.string().default("") }));
const osdMetadata = z.array(z.object({ id: z.int(), ceph_version: z.string().default("") }));
const osdMap = z.object({
  require_osd_release: z.string().default(""),
  osds: z.array(z.object({ osd: z.int(), up: z.int() })).default([]),
});
const mappedService = z
  .object({
    daemons: z
      .record(
        z.string(),
        z.union([
          z.string(),
          z.object({ metadata: z.object({ id: z.string(), ceph_version: z.string().default("") }) }),
        ]),
      )
      .default({}),
  })
  .default({ daemons: {} });
const serviceMap = z.object({
  services: z
    .object({ rgw: mappedService, "rbd-mirror": mappedService, "cephfs-mirror": mappedService })
    .default({
      rgw: { daemons: {} },
      "rbd-mirror": { daemons: {} },
      "cephfs-mirror": { daemons: {} },
    }),
});

interface Gathered extends RollingFacts {
  readonly nodes: UpgradePlan["nodes"];
  readonly names: ReadonlyMap<string, NamedMember>;
}

/** What an upgrade would restart, and in which order. Throws what Ceph's monitors refuse. */
export async function planUpgrade(daemon: Daemon, all: boolean, signal: AbortSignal): Promise<UpgradePlan> {
  const cluster = runtimeOf(daemon);
  const facts = await gather(cluster, signal);
  const ceph = commandsOf(cluster);
  const { monMap } = await ceph.quorumStatus({ deadlineMs: callMs, signal });
  const steps = planRolling(facts, all);
  const warnings: string[] = [];
  const refused = refusedLeap(facts);
  if (refused !== null) warnings.push(refused);
  const versions = new Set(facts.installed.values());
  if (versions.size > 1) {
    const list = [...versions].map(shortVersion).sort().join(" and ");
    warnings.push(`members have different versions installed (${list}): install the same on all`);
  }
  if (monMap.monitors.length < 3 && steps.some(({ type }) => type === "mon")) {
    warnings.push(
      "there are fewer than three monitors: Ceph stands still for the seconds in which one restarts",
    );
  }
  return {
    steps: steps.map(({ type, id, host, running, installed }) => ({
      ...{ daemon: `${type}.${id}`, node: facts.names.get(host)?.name ?? host },
      ...{ running: shortVersion(running), installed: shortVersion(installed) },
    })),
    nodes: facts.nodes,
    release: nextRelease(facts),
    warnings,
  };
}

/** Throws UPGRADE_BLOCKED when another member is upgrading already. */
export async function checkUpgrade(daemon: Daemon, signal: AbortSignal): Promise<void> {
  const cluster = runtimeOf(daemon);
  const jobs = z.array(z.object({ kind: z.string(), state: z.string() }).loose());
  await Promise.all(
    namedMembers(cluster).map(async ({ id, name, alive }) => {
      if (!alive) return;
      const answer = await askMember(
        cluster,
        id,
        { method: "GET", path: "/1.0/jobs", body: null },
        { deadlineMs: askMs, signal },
      ).catch(() => []);
      const running = jobs
        .safeParse(answer)
        .data?.some(({ kind, state }) => rollingJobs.includes(kind) && state === "running");
      if (running) throw new MicrocephError("UPGRADE_BLOCKED", `restarts in turn run already, on ${name}`);
    }),
  );
}

const memorySchema = z.object({
  steps: z.array(z.object({ type: z.enum(rollingOrder), id: z.string(), host: z.string() })),
  done: z.array(z.string()),
  warnings: z.array(z.string()),
});

interface InTurn {
  /** Kinds of daemons; null: all. */
  readonly types: readonly RollingType[] | null;
  /** Also those that run what is installed. */
  readonly all: boolean;
  readonly force: boolean;
}

/**
 * Restart one daemon after the other, each only while all data is whole and served without it. Taken up again it goes
 * on with what is left. Throws UPGRADE_BLOCKED.
 */
export async function restartInTurn(
  daemon: Daemon,
  { types, all, force }: InTurn,
  tools: JobTools,
): Promise<{ restarted: string[]; warnings: string[] }> {
  const cluster = runtimeOf(daemon);
  let memory = memorySchema.safeParse(tools.memory).data;
  if (memory === undefined) {
    tools.report(0, "looking at what runs and what is installed");
    const facts = await gather(cluster, tools.signal);
    const refused = refusedLeap(facts);
    if (refused !== null) throw new MicrocephError("UPGRADE_BLOCKED", refused);
    const steps = planRolling(facts, all)
      .filter(({ type }) => types === null || types.includes(type))
      .map(({ type, id, host }) => ({ type, id, host }));
    memory = { steps, done: [], warnings: [] };
    tools.remember(memory as unknown as Json);
  }
  const { steps, done, warnings } = memory;
  const work = new Rolling(daemon, cluster, force, tools, warnings);
  for (const [index, step] of steps.entries()) {
    const name = `${step.type}.${step.id}`;
    if (done.includes(name)) continue;
    const percent = Math.floor((100 * index) / (steps.length + 1));
    await work.calm(percent, name, step.type === "osd" ? Number(step.id) : null);
    await work.restart(percent, step);
    done.push(name);
    tools.remember({ steps, done, warnings } as unknown as Json);
  }
  if (steps.length > 0) await work.calm(99, "the end", null);
  return { restarted: done, warnings };
}

/** The job of `cluster upgrade run`. Run again it restarts those that do not run what is installed. */
export async function upgradeCluster(daemon: Daemon, asked: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const cluster = runtimeOf(daemon);
  const { all, force } = asked as unknown as UpgradeRequest;
  await cluster.whenCephAnswers(() => tools.report(0, "waiting for Ceph"), tools.signal);
  const { restarted, warnings } = await restartInTurn(daemon, { types: null, all, force }, tools);
  const reply: UpgradeReply = { restarted, release: await requireRelease(cluster, tools.signal), warnings };
  return reply as unknown as Json;
}

/** Once every OSD runs a newer release, older ones may not join any more: Ceph then uses what is new in it. */
async function requireRelease(cluster: ClusterRuntime, signal: AbortSignal): Promise<string | null> {
  const facts = await gather(cluster, signal);
  const release = nextRelease(facts);
  const isDone = planRolling(facts, false).every(({ type }) => type !== "osd");
  if (release === null || !isDone) return null;
  const call = { deadlineMs: callMs, signal };
  await commandsOf(cluster).run(["osd", "require-osd-release", release], call);
  return release;
}

class Rolling {
  readonly #daemon: Daemon;
  readonly #cluster: ClusterRuntime;
  readonly #force: boolean;
  readonly #tools: JobTools;
  readonly #warnings: string[];

  constructor(daemon: Daemon, cluster: ClusterRuntime, force: boolean, tools: JobTools, warnings: string[]) {
    this.#daemon = daemon;
    this.#cluster = cluster;
    this.#force = force;
    this.#tools = tools;
    this.#warnings = warnings;
  }

  get #ceph(): CephCommands {
    return commandsOf(this.#cluster);
  }

  #call(): CallOptions {
    return { deadlineMs: callMs, signal: this.#tools.signal };
  }

  /** Wait until nothing is out of quorum, all data is whole, and it stays served without this OSD. */
  async calm(percent: number, before: string, osd: number | null): Promise<void> {
    const end = performance.now() + (this.#force ? forcedCalmMs : calmMs);
    let neededSince: number | null = null;
    for (;;) {
      const restless = await this.#restless().catch((error: unknown) => {
        if (this.#tools.signal.aborted) throw error;
        return [messageOf(error)];
      });
      const needed =
        restless.length === 0 &&
        osd !== null &&
        !(await areSpare(this.#daemon, this.#ceph, [osd], {
          deadlineMs: callMs,
          signal: this.#tools.signal,
        }));
      if (restless.length === 0 && !needed) return;
      neededSince = needed ? (neededSince ?? performance.now()) : null;
      const why = needed ? `data is not served while osd.${osd} restarts` : restless.join("; ");
      // With all data whole that changes by itself only where a manager has not heard of everything yet.
      const isNeeded = neededSince !== null && performance.now() - neededSince > neededMs;
      if (isNeeded || performance.now() > end) {
        if (!this.#force) throw new MicrocephError("UPGRADE_BLOCKED", `before ${before}: ${why}`);
        this.#warnings.push(`before ${before}: ${why}`);
        return;
      }
      this.#tools.report(percent, `before ${before}: ${why}`);
      await this.#daemon.events.next(this.#tools.signal, 1_000);
    }
  }

  async #restless(): Promise<string[]> {
    const [{ quorum, monMap }, status] = await Promise.all([
      this.#ceph.quorumStatus(this.#call()),
      this.#ceph.status(this.#call()),
    ]);
    const out = monMap.monitors.map(({ name }) => name).filter((name) => !quorum.includes(name));
    const { pgs } = status;
    const clean = Object.entries(pgs.states)
      .filter(([state]) => state.startsWith("active+clean"))
      .reduce((sum, [, count]) => sum + count, 0);
    return [
      ...(out.length > 0 ? [`the monitor of ${out.join(", ")} is out of quorum`] : []),
      ...(status.mgr.available ? [] : ["no manager is active"]),
      ...(clean < pgs.total
        ? [`${pgs.total - clean} of ${pgs.total} placement groups are not active+clean`]
        : []),
    ];
  }

  async restart(percent: number, step: Pick<RunningDaemon, "type" | "id" | "host">): Promise<void> {
    const { type, id, host } = step;
    const member = namedMembers(this.#cluster).find(({ handle }) => handle === host);
    if (member === undefined) return;
    this.#tools.report(percent, `${type}.${id} on ${member.name} is restarted`);
    if (type === "mgr" || type === "mds") await failOver(this.#ceph, type, host, this.#call());
    const path = type === "osd" ? `/1.0/disks/${id}/restart` : `/1.0/services/${type}/restart`;
    await finishOn(
      this.#cluster,
      member.id,
      { method: "POST", path, body: {} },
      { deadlineMs: restartMs, signal: this.#tools.signal },
    );
  }
}

/** What runs by Ceph's own words, and what each member that answers has installed. */
async function gather(cluster: ClusterRuntime, signal: AbortSignal): Promise<Gathered> {
  const ceph = commandsOf(cluster);
  const call = { deadlineMs: callMs, signal };
  const members = namedMembers(cluster);
  const asked = members.map((member) => installedOn(cluster, member, signal));
  const [mons, mgrs, mdss, osds, active, mds, services, dump, ...nodes] = await Promise.all([
    ceph.run(["mon", "metadata"], call).then((said) => monMetadata.parse(said)),
    ceph.run(["mgr", "metadata"], call).then((said) => monMetadata.parse(said)),
    ceph.run(["mds", "metadata"], call).then((said) => monMetadata.parse(said)),
    ceph.run(["osd", "metadata"], call).then((said) => osdMetadata.parse(said)),
    managers(ceph, call),
    ceph.mdsStat(call),
    ceph.run(["service", "dump"], call).then((said) => serviceMap.parse(said)),
    ceph.run(["osd", "dump"], call).then((said) => osdMap.parse(said)),
    ...asked,
  ]);
  const hostOf = new Map<number, string>(
    members.flatMap(({ id, handle }) =>
      osdsOf(cluster, id).map(({ osd }): [number, string] => [osd, handle]),
    ),
  );
  const mapped = (service: keyof typeof services.services) =>
    Object.values(services.services[service].daemons).flatMap((one) =>
      typeof one === "string"
        ? []
        : [{ name: one.metadata.id.replace(/^rgw\./, ""), ceph_version: one.metadata.ceph_version }],
    );
  const named = (
    type: RunningDaemon["type"],
    daemons: readonly { readonly name: string; readonly ceph_version: string }[],
    isActive: (name: string) => boolean,
  ): RunningDaemon[] =>
    daemons.map(({ name, ceph_version }) => ({
      ...{ type, id: name, host: name, running: ceph_version },
      ...{ active: isActive(name), down: false },
    }));
  const daemons = [
    ...named("mon", mons, () => false),
    ...named("mgr", mgrs, (name) => name === active.active),
    ...osds.map(
      ({ id, ceph_version }): RunningDaemon => ({
        ...{ type: "osd", id: String(id), host: hostOf.get(id) ?? "", running: ceph_version, active: false },
        down: dump.osds.find(({ osd }) => osd === id)?.up !== 1,
      }),
    ),
    ...named("mds", mdss, (name) => mds.active.includes(name)),
    ...named("rgw", mapped("rgw"), () => false),
    ...named("rbd-mirror", mapped("rbd-mirror"), () => false),
    ...named("cephfs-mirror", mapped("cephfs-mirror"), () => false),
    ...nodes.flatMap(({ handle, programs }) => gatewayOf(handle, programs)),
  ].filter(({ running }) => running !== "");
  const installed = new Map(
    nodes.flatMap(({ handle, programs }): [string, string][] =>
      programs === null || programs.ceph === "" ? [] : [[handle, programs.ceph]],
    ),
  );
  return {
    daemons,
    installed,
    requiredRelease: dump.require_osd_release,
    names: new Map(members.map((member) => [member.handle, member])),
    nodes: nodes
      .map(({ name, programs, problem }) => ({
        ...{
          node: name,
          ceph: shortVersion(programs?.ceph ?? ""),
          product: programs?.product ?? "",
          problem,
        },
      }))
      .sort((a, b) => a.node.localeCompare(b.node, "en", { numeric: true })),
  };
}

/** A node's NFS gateway: Ceph's maps do not have it, so its host says whether it runs what is installed. */
function gatewayOf(handle: string, programs: InstalledPrograms | null): RunningDaemon[] {
  const { nfs = null } = programs ?? {};
  if (nfs === null) return [];
  const { installed, replaced } = nfs;
  const running = replaced ? "an earlier one" : installed;
  return [{ type: "nfs", id: handle, host: handle, running, installed, active: false, down: false }];
}

async function installedOn(
  cluster: ClusterRuntime,
  { id, name, handle, alive }: NamedMember,
  signal: AbortSignal,
): Promise<{ name: string; handle: string; programs: InstalledPrograms | null; problem: string }> {
  if (!alive) {
    const problem = "it is away: what it has installed runs once it is back";
    return { name, handle, programs: null, problem };
  }
  try {
    const request = { method: "GET", path: "/1.0/programs", body: null } as const;
    const said = await askMember(cluster, id, request, { deadlineMs: askMs, signal });
    const programs = installedPrograms.parse(said);
    return { name, handle, programs, problem: programs.ceph === "" ? "Ceph is not installed there" : "" };
  } catch (error) {
    signal.throwIfAborted();
    return { name, handle, programs: null, problem: messageOf(error).slice(0, 500) };
  }
}
