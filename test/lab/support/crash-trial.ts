import { existsSync, globSync } from "node:fs";
import { basename, join } from "node:path";
import { findDaemon } from "../../../scripts/lab/node-daemon.ts";
import { type DaemonStep, disarm } from "../../../scripts/lab/node-steps.ts";
import { processesOf } from "../../../scripts/lab/processes.ts";
import { LabCluster, minutes } from "./cluster.ts";
import { type CrashOperation, crashOperations, type Trial } from "./crash-operations.ts";
import { Lab } from "./lab.ts";

export interface CrashPlan {
  readonly operation: string;
  readonly victim: string;
  /** Counted from when the operation is set off. */
  readonly step: number;
  /** Also give every node a disk afterwards and wait for HEALTH_OK; default: yes. */
  readonly thorough?: boolean;
}

/**
 * Carry an operation out in a lab of its own, end one daemon with SIGKILL at one of its steps, start it again,
 * and see that there is one whole result and nothing beside it. The step at which it was ended; undefined when
 * the operation was over before.
 */
export async function crashTrial(purpose: string, plan: CrashPlan): Promise<DaemonStep | undefined> {
  const operation = crashOperations[plan.operation];
  const victimOf = operation?.victims[plan.victim];
  if (operation === undefined || victimOf === undefined) {
    throw new RangeError(`there is no ${plan.victim} of ${plan.operation}`);
  }
  const nodes = operation.hosts ?? operation.nodes.length;
  const lab = await Lab.up(purpose, { nodes, bare: true, steps: true, expect: 3 });
  try {
    const trial = { lab, cluster: new LabCluster(lab) };
    await operation.prepare(trial);
    const victim = victimOf(trial);
    await lab.crashAtStep(victim, plan.step);
    const begun = operation.begin(trial);
    const step = await crashOrEnd(operation, trial, victim);
    if (step === undefined) {
      disarm(lab.hosts.node(victim).files);
      await begun;
      return undefined;
    }
    await goneDaemon(lab, victim);
    await lab.start(victim);
    await begun;
    await operation.again?.(trial);
    await operation.end(trial);
    await operation.after?.(trial);
    await oneWholeResult(operation, trial);
    if (plan.thorough !== false) await healthyWithDisks(operation, trial);
    for (const node of operation.nodes) await nothingLeftOver(trial, node);
    return step;
  } finally {
    await lab.down();
  }
}

/** It writes down at which step it ends, and ends then: until it has, there is nothing to start again. */
async function goneDaemon(lab: Lab, node: string): Promise<void> {
  await lab.waitFor(
    `the daemon of ${node} to be gone`,
    async () => findDaemon(processesOf(lab.hosts.node(node).holder)) === undefined,
    { ...minutes(1), everyMs: 20 },
  );
}

async function crashOrEnd(
  operation: CrashOperation,
  trial: Trial,
  victim: string,
): Promise<DaemonStep | undefined> {
  let ended = false;
  // Its waits end by themselves when the lab is gone.
  operation.end(trial).then(
    () => {
      ended = true;
    },
    () => undefined,
  );
  const found = await trial.lab.waitFor(
    `${victim} to be ended at its step, or the operation to be over`,
    async () => {
      const step = trial.lab.crashedAt(victim);
      return step !== undefined || ended ? { step } : undefined;
    },
    { ...minutes(5), everyMs: 20 },
  );
  return found.step;
}

/** One cluster, with one Ceph, as many voters and monitors as wanted, and no learner left. */
async function oneWholeResult({ nodes, seats }: CrashOperation, trial: Trial): Promise<void> {
  const { lab, cluster } = trial;
  await cluster.formed(nodes);
  await cluster.seated("n1", seats);
  for (const node of nodes) await cluster.settled(node);
  const { fsid } = (await lab.mesh("n1")).cluster ?? {};
  for (const node of nodes) {
    const said = (await cluster.ceph(node, "fsid")).trim();
    if (said !== fsid) throw new Error(`${node} has Ceph ${said}, the cluster ${fsid}`);
  }
  const monitors = await cluster.monitors("n1");
  if (monitors.length !== seats) throw new Error(`monitors ${monitors.join()} instead of ${seats}`);
  const voter = (await lab.mesh("n1")).members.find((member) => member.voter)?.name ?? "n1";
  const etcd = await etcdMembers(lab, voter);
  if (etcd.length !== seats || etcd.some(({ isLearner }) => isLearner === true)) {
    throw new Error(`etcd has ${JSON.stringify(etcd)} instead of ${seats} voters`);
  }
}

/** HEALTH_OK needs as many OSDs as there are copies. */
async function healthyWithDisks({ nodes }: CrashOperation, trial: Trial): Promise<void> {
  for (const node of nodes) await addDisk(trial, node);
  await trial.cluster.healthy("n1");
}

async function addDisk({ cluster }: Trial, node: string): Promise<void> {
  if ([...cluster.daemons(node).keys()].some((name) => name.startsWith("osd."))) return;
  await cluster.run("n1", "disk", "add", "loop,1G,1", "--target", node);
}

async function etcdMembers(lab: Lab, node: string): Promise<{ name?: string; isLearner?: boolean }[]> {
  const list = (await lab.json(node, [
    ...["env", "ETCDCTL_API=3", "etcdctl", "--endpoints", "unix:///var/lib/microceph/etcd/client:1"],
    ...["member", "list", "-w", "json"],
  ])) as { members: { name?: string; isLearner?: boolean }[] };
  return list.members;
}

/** Each program once, and no half of anything: what is being written just now is whole a moment later. */
async function nothingLeftOver({ lab }: Trial, node: string): Promise<void> {
  const programs = lab
    .processes(node)
    .map(({ args }) => ({ program: basename(args[0] ?? ""), line: args.join(" ") }));
  const counts = new Map<string, number>();
  for (const { program, line } of programs) {
    if (!/^(etcd|radosgw|ceph-[a-z]+)$/.test(program)) continue;
    const what = program === "etcd" ? program : line.replace(/ -c .*/, "");
    counts.set(what, (counts.get(what) ?? 0) + 1);
    if (/--mkfs/.test(line)) throw new Error(`${node}: a left-over ${line}`);
  }
  for (const [what, count] of counts) {
    if (count !== 1) throw new Error(`${node}: ${count} times ${what}`);
  }
  const { state } = lab.hosts.node(node).files;
  const halves = new Set(globSync(["data/*/*new-*", "**/.*.tmp", "*.tmp"], { cwd: state }));
  await lab.waitFor(
    `${node} to have nothing left over`,
    async (note) => {
      for (const half of halves) if (!existsSync(join(state, half))) halves.delete(half);
      note([...halves]);
      return halves.size === 0;
    },
    minutes(0.5),
  );
  if (!existsSync(join(state, "state.db"))) throw new Error(`${node} has no state`);
}
