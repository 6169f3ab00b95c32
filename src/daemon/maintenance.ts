import { z } from "zod";
import type { MaintenanceReport, MaintenanceStep, maintenanceRequest } from "../api/contract/maintenance.ts";
import type { Shape } from "../api/contract/shape.ts";
import type { CallOptions, CephCommands } from "../ceph/command/commands.ts";
import { decidedMonitors } from "../ceph/control/ceph-planner.ts";
import { failOver, managers } from "../ceph/control/fail-over.ts";
import { MicrocephError, messageOf } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import { type NamedMember, namedMembers, osdsOf } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import { type Maintained, maintainedOf, setMaintained } from "./cluster/maintained.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";
import { finishOn } from "./member-job.ts";
import { resolveNode } from "./resolve-node.ts";
import { commandsOf, runtimeOf } from "./runtime-of.ts";
import { areSpare } from "./spare-osds.ts";

export type MaintenanceRequest = Shape<typeof maintenanceRequest> & { readonly node: string };

const callMs = 60_000;
const stopMs = 120_000;

/** One thing to do; `run` throws what keeps it from being done. */
interface Step {
  readonly name: string;
  readonly check: boolean;
  run(): Promise<void>;
}

/** Throws NOT_FOUND, USAGE. */
export function checkMaintenance(daemon: Daemon, request: MaintenanceRequest): void {
  memberNamed(runtimeOf(daemon), request.node);
  if (request.check_only && request.ignore_check) {
    throw new MicrocephError("USAGE", "--check-only and --ignore-check exclude each other");
  }
}

function memberNamed(cluster: ClusterRuntime, node: string): NamedMember {
  return resolveNode(node, namedMembers(cluster));
}

/**
 * The job of `cluster maintenance enter` and `exit`. Each step looks before it acts, and what is to be put back is
 * written down before it is changed: run again after a crash it ends where it should. `force` goes on past checks.
 */
export async function maintain(daemon: Daemon, asked: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const request = asked as unknown as MaintenanceRequest;
  const cluster = runtimeOf(daemon);
  const member = memberNamed(cluster, request.node);
  const work = new Maintenance(daemon, cluster, member, tools.signal);
  const enter = request.status === "maintenance";
  const steps = (enter ? work.entering(request) : work.leaving()).filter(({ check }) =>
    check ? !request.ignore_check : !request.check_only,
  );
  const outcomes: MaintenanceStep[] = [];
  const report = (done: boolean): Json => {
    const warnings = enter ? work.warnings() : [];
    const said: MaintenanceReport = { node: member.name, done, steps: outcomes, warnings };
    return said as unknown as Json;
  };
  for (const [index, { name, check, run }] of steps.entries()) {
    tools.report(Math.floor((100 * index) / steps.length), name);
    let error = "";
    if (!request.dry_run) {
      try {
        await run();
      } catch (failure) {
        if (tools.signal.aborted) throw failure;
        error = messageOf(failure);
      }
    }
    outcomes.push({ name, error });
    if (error !== "" && !(check && request.force)) return report(false);
  }
  return report(true);
}

class Maintenance {
  readonly #daemon: Daemon;
  readonly #cluster: ClusterRuntime;
  readonly #ceph: CephCommands;
  readonly #member: NamedMember;
  readonly #osds: readonly number[];
  readonly #signal: AbortSignal;

  constructor(daemon: Daemon, cluster: ClusterRuntime, member: NamedMember, signal: AbortSignal) {
    this.#daemon = daemon;
    this.#cluster = cluster;
    this.#ceph = commandsOf(cluster);
    this.#member = member;
    this.#osds = osdsOf(cluster, member.id).map(({ osd }) => osd);
    this.#signal = signal;
  }

  /** What nobody else can take over while the member is away. */
  warnings(): string[] {
    const { journal } = this.#cluster;
    const { handle, name, id } = this.#member;
    const monitors = decidedMonitors(journal.entries());
    const warnings: string[] = [];
    const left = [...monitors].filter((one) => one !== handle).length;
    if (monitors.has(handle as never) && left * 2 <= monitors.size) {
      warnings.push(`without ${name} no monitor quorum is left: Ceph stands still while it is down`);
    }
    const voters = this.#cluster.voters();
    if (voters.includes(id) && (voters.length - 1) * 2 <= voters.length) {
      warnings.push(`without ${name} nothing can be decided while it is down`);
    }
    if (journal.members().size === 2) {
      warnings.push("of two members the other one has the only copy of what is written meanwhile");
    }
    return warnings;
  }

  entering({ set_noout, stop_osds }: MaintenanceRequest): Step[] {
    const { handle, name } = this.#member;
    const osds = this.#osds.join(" ");
    const steps: Step[] = [
      {
        name: `Check if osds [${osds}] in node '${name}' are ok-to-stop.`,
        check: true,
        run: () => this.#okToStop(),
      },
      {
        name: `Check if there are at least a majority of mon services, 1 mds service, and 1 mgr service in the cluster besides those in node '${name}'.`,
        check: true,
        run: () => this.#othersServe(),
      },
    ];
    steps.push({
      name: `Remember that node '${name}' is in maintenance.`,
      check: false,
      run: async () => {
        const before = maintainedOf(this.#cluster.document, handle);
        const flags = set_noout ? await this.#hostFlags() : [];
        // One that somebody set before stays when maintenance ends.
        const noout = set_noout && !flags.includes("noout");
        this.#remember({
          at: before?.at ?? new Date(this.#daemon.now()).toISOString(),
          noout: before?.noout || noout,
          stopped: before?.stopped ?? [],
        });
      },
    });
    if (set_noout) {
      steps.push(
        {
          name: `Run \`ceph osd set-group noout ${handle}\`.`,
          check: false,
          run: async () => {
            if (this.#osds.length > 0) await this.#run("osd", "set-group", "noout", handle);
          },
        },
        {
          name: `Assert node '${name}' has 'noout' flag set.`,
          check: false,
          run: () => this.#assertNoout(true),
        },
      );
    }
    steps.push({
      name: `Hand over what is active in node '${name}': manager and metadata server.`,
      check: false,
      run: () => this.#failOver(),
    });
    if (stop_osds) {
      steps.push({
        name: `Stop osd service in node '${name}'.`,
        check: false,
        run: async () => {
          const { nodes } = this.#cluster.document.view();
          const running = (nodes[this.#member.id]?.osds ?? [])
            .filter(({ osd, state }) => this.#osds.includes(osd) && state !== "stopped")
            .map(({ osd }) => osd);
          const memory = maintainedOf(this.#cluster.document, handle);
          if (memory) {
            const stopped = [...new Set([...memory.stopped, ...running])].sort((a, b) => a - b);
            this.#remember({ ...memory, stopped });
          }
          await this.#control("stop", running);
        },
      });
    }
    return steps;
  }

  leaving(): Step[] {
    const { handle, name } = this.#member;
    const memory = maintainedOf(this.#cluster.document, handle);
    const stopped = (memory?.stopped ?? []).filter((osd) => this.#osds.includes(osd));
    const steps: Step[] = [];
    if (stopped.length > 0) {
      steps.push({
        name: `Start osd service in node '${name}'.`,
        check: false,
        run: () => this.#control("start", stopped),
      });
    }
    if (memory === null || memory.noout) {
      steps.push(
        {
          name: `Run \`ceph osd unset-group noout ${handle}\`.`,
          check: false,
          run: async () => {
            if (this.#osds.length > 0) await this.#run("osd", "unset-group", "noout", handle);
          },
        },
        {
          name: `Assert node '${name}' has 'noout' flag unset.`,
          check: false,
          run: () => this.#assertNoout(false),
        },
      );
    }
    steps.push({
      name: `Forget that node '${name}' is in maintenance.`,
      check: false,
      run: async () => this.#remember(null),
    });
    return steps;
  }

  #call(): CallOptions {
    return { deadlineMs: callMs, signal: this.#signal };
  }

  async #run(...words: string[]): Promise<Json> {
    return this.#ceph.run(words, this.#call());
  }

  #remember(memory: Maintained | null): void {
    setMaintained(this.#cluster.document, this.#member.handle, memory);
    this.#cluster.wake("maintenance");
  }

  async #okToStop(): Promise<void> {
    if (this.#osds.length === 0) return;
    if (await areSpare(this.#daemon, this.#ceph, this.#osds, { deadlineMs: callMs, signal: this.#signal }))
      return;
    throw new MicrocephError("OSD_NEEDED", `osds [${this.#osds.join(" ")}] cannot be safely stopped`);
  }

  async #othersServe(): Promise<void> {
    const { handle } = this.#member;
    const [{ quorum, monMap }, mgr, mds] = await Promise.all([
      this.#ceph.quorumStatus(this.#call()),
      managers(this.#ceph, this.#call()),
      this.#ceph.mdsStat(this.#call()),
    ]);
    const missing: string[] = [];
    if (quorum.filter((name) => name !== handle).length * 2 <= monMap.monitors.length) {
      missing.push("a majority of mon services");
    }
    if (![mgr.active, ...mgr.standbys].some((name) => name !== null && name !== handle)) {
      missing.push("1 mgr service");
    }
    if (![...mds.active, ...mds.standby].some((name) => name !== handle)) missing.push("1 mds service");
    if (missing.length > 0) {
      throw new MicrocephError(
        "NO_QUORUM",
        `besides those in node '${this.#member.name}' there are less than ${missing.join(" and ")}`,
      );
    }
  }

  /** Flags of the CRUSH bucket of the member's host. */
  async #hostFlags(): Promise<readonly string[]> {
    const { crush_node_flags: flags } = dumpSchema.parse(await this.#run("osd", "dump"));
    return flags[this.#member.handle] ?? [];
  }

  async #assertNoout(wanted: boolean): Promise<void> {
    if (this.#osds.length === 0 || (await this.#hostFlags()).includes("noout") === wanted) return;
    throw new MicrocephError(
      "PROGRAM_FAILED",
      `the host ${this.#member.handle} has ${wanted ? "no 'noout' flag" : "the 'noout' flag still"}`,
    );
  }

  async #failOver(): Promise<void> {
    for (const type of ["mgr", "mds"] as const) {
      await failOver(this.#ceph, type, this.#member.handle, this.#call());
    }
  }

  /** On the member itself, by its own job. */
  async #control(action: "stop" | "start", osds: readonly number[]): Promise<void> {
    for (const osd of osds) {
      const context = { deadlineMs: stopMs, signal: this.#signal };
      await finishOn(
        this.#cluster,
        this.#member.id,
        { method: "POST", path: `/1.0/disks/${osd}/${action}`, body: {} },
        context,
      );
    }
  }
}

const dumpSchema = z.object({ crush_node_flags: z.record(z.string(), z.array(z.string())).default({}) });
