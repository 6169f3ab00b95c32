import { z } from "zod";
import type { RecoveryPlan, RecoveryReply } from "../api/contract/recovery.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { PeerId } from "../ids/ids.ts";
import type { Json } from "../ids/json.ts";
import type { DecisionNumber } from "../state/journal/types.ts";
import { fsidOf, recoveryOf } from "./cluster/cluster-facts.ts";
import { type NamedMember, namedMembers } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import { methods } from "./cluster/member-rpc.ts";
import { dropRecoveryWish, putRecoveryWish, type RecoveryWish, recoveryWish } from "./cluster/recovery.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";
import { resolveNode } from "./resolve-node.ts";
import { runtimeOf } from "./runtime-of.ts";

const askMs = 1_500;
/** Milliseconds in which a daemon that has just started learns who does not answer. */
const presenceMs = 30_000;
/** Milliseconds that the job waits for Ceph's monitors once the cluster decides again. */
const cephMs = 240_000;

const headReply = z.object({
  head: z.object({ generation: z.int().min(0), revision: z.int().min(0) }).nullable(),
});

interface Known extends NamedMember {
  readonly voter: boolean;
  readonly presence: string;
  readonly last: DecisionNumber | null;
}

interface Survey {
  readonly members: readonly Known[];
  readonly refused: string | null;
  readonly generation: number;
}

/** What every member that can be reached last knew, and whether this node may decide alone. */
async function survey(cluster: ClusterRuntime, signal: AbortSignal): Promise<Survey> {
  const { presence, self, mesh, journal, quorum } = cluster;
  const voters = cluster.voters();
  const members = await Promise.all(
    namedMembers(cluster).map(async (member): Promise<Known> => {
      const state = member.id === self ? "alive" : (presence.stateOf(member.id) ?? "failed");
      const asked =
        state === "failed"
          ? null
          : await mesh
              .request(
                member.id,
                methods.journalPull,
                { after: 0, hash: "", limit: 0 },
                { deadlineMs: askMs, signal },
              )
              .then((reply) => headReply.parse(reply).head)
              .catch(() => null);
      const last = member.id === self ? journal.head() : asked;
      return { ...member, voter: voters.includes(member.id), presence: state, last };
    }),
  );
  members.sort((a, b) => (a.name < b.name ? -1 : 1));
  const seats = members.filter(({ voter }) => voter);
  // Who answers is there; presence takes a while to tell, after this daemon's own start too.
  const there = seats.filter(({ id, last }) => id === self || last !== null);
  const own = journal.head()?.revision ?? 0;
  const ahead = there.find(({ id, last }) => id !== self && (last?.revision ?? 0) > own);
  const names = there.map(({ name }) => name).join(", ");
  const refused = ((): string | null => {
    if (quorum.report().ok || there.length * 2 > seats.length) {
      return `a majority of the voters is there (${names || "another side"}): nothing has to be recovered`;
    }
    if (!cluster.seat.seated) {
      return `this node has no vote, so it has no copy to recover from; run it on ${names || "a voter"}`;
    }
    if (ahead !== undefined) return `${ahead.name} knows later decisions than this node; run it there`;
    return null;
  })();
  const generations = members.map(({ last }) => last?.generation ?? 0);
  return { members, refused, generation: Math.max(1, ...generations) + 1 };
}

/** What a recovery would do, with what each member last knew. */
export async function planRecovery(daemon: Daemon, signal: AbortSignal): Promise<RecoveryPlan> {
  const cluster = runtimeOf(daemon);
  const { members, refused, generation } = await survey(cluster, signal);
  const { nodes } = cluster.document.view();
  const monitors = new Set(cluster.deps.cephNode.access?.monitors.map(({ name }) => name));
  const lost = members.filter(({ voter, presence }) => voter && presence === "failed");
  const lostMonitors = lost.filter(({ handle }) => monitors.has(handle ?? ""));
  const names = lost.map(({ name }) => name).join(", ");
  return {
    survivor: daemon.settings.name,
    refused,
    generation,
    lost: lost.map(({ name }) => name),
    members: members.map(({ id, handle, name, voter, presence, last }) => ({
      ...{ name, voter, presence, last: last && { ...last } },
      monitor: monitors.has(handle ?? "") || (nodes[id]?.services.includes("mon") ?? false),
    })),
    steps: [
      `this node becomes the only voter, under generation ${generation}: what only ${names || "the lost"} knew is lost`,
      ...(lostMonitors.length > 0 && lostMonitors.length * 2 >= monitors.size
        ? [
            `the monitors ${lostMonitors.map(({ handle }) => handle).join(", ")} leave the monitor map, the others get it without them`,
          ]
        : []),
      `whoever of them comes back has neither vote nor monitor until it is given them again`,
    ],
  };
}

function calledLost(cluster: ClusterRuntime, names: readonly string[]): PeerId[] {
  return names.map((name) => resolveNode(name, namedMembers(cluster), "dead").id);
}

/** The members that an operator declares lost. Throws RECOVERY_REFUSED. */
function declared(cluster: ClusterRuntime, { members, refused }: Survey, names: readonly string[]): PeerId[] {
  if (refused !== null) throw new MicrocephError("RECOVERY_REFUSED", refused);
  const chosen = calledLost(cluster, names);
  const state = new Map(members.map((member) => [member.id, member]));
  const alive = chosen.find((id) => state.get(id)?.presence !== "failed");
  if (alive !== undefined) {
    throw new MicrocephError(
      "RECOVERY_REFUSED",
      `${state.get(alive)?.name} is ${state.get(alive)?.presence}, not failed`,
    );
  }
  const missing = members.find(
    ({ id, voter, presence }) => voter && presence === "failed" && !chosen.includes(id),
  );
  if (missing !== undefined) {
    throw new MicrocephError(
      "RECOVERY_REFUSED",
      `the voter ${missing.name} does not answer either; if it is gone for good, name it too`,
    );
  }
  return chosen;
}

/**
 * A survey that is certain about those who are declared lost: a daemon that was started again in the middle of this
 * holds them for alive or suspect at first, although they do not answer.
 */
async function surveyOnceCertain(daemon: Daemon, names: readonly string[], tools: JobTools): Promise<Survey> {
  const cluster = runtimeOf(daemon);
  const end = performance.now() + presenceMs;
  for (;;) {
    const found = await survey(cluster, tools.signal);
    const chosen = calledLost(cluster, names);
    const unsure = found.members.filter(
      ({ id, presence, last }) => chosen.includes(id) && presence !== "failed" && last === null,
    );
    if (found.refused !== null || unsure.length === 0 || performance.now() >= end) return found;
    tools.report(5, `making certain that ${unsure.map(({ name }) => name).join(", ")} cannot be reached`);
    await daemon.events.next(tools.signal, 500);
  }
}

/** Refuse at once what could not be recovered. */
export async function checkRecovery(
  daemon: Daemon,
  lost: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const cluster = runtimeOf(daemon);
  declared(cluster, await survey(cluster, signal), lost);
}

/**
 * The job of `cluster recover`: what was declared goes to disk; then this voter's etcd becomes a cluster of its
 * own, the journal says so under a new generation, and the monitors that are left get a map of them alone. Taken up
 * again after a crash at any step it completes.
 */
export async function recoverCluster(daemon: Daemon, request: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const cluster = runtimeOf(daemon);
  let wish: RecoveryWish | undefined = recoveryWish.safeParse(tools.memory).data;
  if (wish === undefined) {
    const { lost } = request as { lost: string[] };
    const known = await surveyOnceCertain(daemon, lost, tools);
    wish = { generation: known.generation, lost: declared(cluster, known, lost) };
    tools.remember({ ...wish });
  }
  const { generation } = wish;
  const isSaid = (): boolean => (recoveryOf(cluster.journal.entries())?.generation ?? 1) >= generation;
  if (!isSaid()) {
    putRecoveryWish(cluster.deps.store, wish);
    if (cluster.seat.generation < generation) {
      // Until here nothing has changed, and after a crash the others may be back.
      const { refused } = await survey(cluster, tools.signal);
      if (refused !== null) {
        dropRecoveryWish(cluster.deps.store);
        throw new MicrocephError("RECOVERY_REFUSED", refused);
      }
      tools.report(20, "this voter's etcd becomes a cluster of its own");
      await cluster.seat.recover(generation);
    }
    while (!isSaid()) {
      tools.report(40, "taking the lease, and recording who is left");
      cluster.wake("recovery");
      await daemon.events.next(tools.signal, 500);
    }
  }
  const end = performance.now() + cephMs;
  const hasCeph = fsidOf(cluster.journal.entries()) !== null;
  while (hasCeph && !cluster.cephView.answers && performance.now() < end) {
    tools.report(60, "waiting for Ceph's monitors");
    cluster.cephView.refresh();
    await daemon.events.next(tools.signal, 1_000);
  }
  const reply: RecoveryReply = {
    ...{ survivor: daemon.settings.name, generation },
    ceph: hasCeph && cluster.cephView.answers,
  };
  return { ...reply };
}
