import { z } from "zod";
import type { RemovalPlan, RemovalReply } from "../api/contract/removal.ts";
import { seatTarget } from "../ceph/plan/seats.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import { isPeerId, type PeerId } from "../ids/ids.ts";
import type { Json } from "../ids/json.ts";
import { type NamedMember, namedMembers, osdsOf } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import { leavingOf } from "./cluster/seat-control.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";
import { checkSpare, type SpareConsent } from "./removal-check.ts";
import { resolveNode } from "./resolve-node.ts";
import { hadSeat, revoke, revokeSetting } from "./revocation.ts";
import { commandsOf, runtimeOf } from "./runtime-of.ts";

interface RemovalRequest extends SpareConsent {
  /** What it knew is to open nothing any more. */
  readonly revoke?: boolean;
  readonly node: string;
  readonly dead: boolean;
  readonly force: boolean;
}

/** `wished`: whether the wish has been said; a run that was cut off before says it again. */
const memorySchema = z.object({
  peer: z.custom<PeerId>(isPeerId),
  name: z.string(),
  leaving: z.enum(["moving", "dead"]),
  /** How its OSDs are to go. */
  osds: z.enum(["drain", "fewer-copies"]).default("drain"),
  wished: z.boolean(),
  revoke: z.boolean().default(false),
  handle: z.string().default(""),
  /** It has seen all keys that Ceph's monitors keep. */
  hadSeat: z.boolean().default(false),
});

/** Long enough for the monitors to find each other again after a host died. */
const callMs = 60_000;
const lowerHint = "lower the pools' size first, or add disks elsewhere";

/** Of a node that was installed anew its former self is meant by `--dead` and `--force`. */
function spokenOf({ dead, force }: Pick<RemovalRequest, "dead" | "force">): "alive" | "dead" {
  return dead || force ? "dead" : "alive";
}

/** What the removal of a member would do, from what is known here. Throws what refuses it. */
export function planRemoval(
  daemon: Daemon,
  request: Pick<RemovalRequest, "node" | "dead" | "force" | "revoke">,
): RemovalPlan {
  const cluster = runtimeOf(daemon);
  const { id, handle, name } = memberNamed(cluster, request.node, spokenOf(request));
  const { journal, document, presence, self } = cluster;
  const { labels } = document.view();
  const staying = [...journal.members().keys()].filter(
    (peer) => peer !== id && leavingOf(labels[peer]?.leaving) === null,
  );
  if (staying.length === 0) {
    throw new MicrocephError(
      "LAST_MEMBER",
      `${name} is the last member: there is no other to move anything to`,
    );
  }
  const state = id === self ? "alive" : (presence.view().get(id)?.state ?? "suspect");
  const dead = request.dead || (request.force && state === "failed");
  if (dead && state !== "failed") {
    throw new MicrocephError("MEMBER_ALIVE", `${name} is ${state}, not failed`, { data: { node: name } });
  }
  if (!dead && state === "failed") {
    throw new MicrocephError("MEMBER_DEAD", `${name} does not answer, so it cannot move what it carries`, {
      data: { node: name },
    });
  }
  const seats = seatTarget(staying.length);
  const services = document.view().nodes[id]?.services ?? [];
  const osds = osdsOf(cluster, id).map(({ osd }) => osd);
  const steps = [
    ...(services.includes("mon")
      ? ["its monitor leaves the monitor map, another host's takes its place if one is wanted"]
      : []),
    ...(cluster.voters().includes(id)
      ? ["its vote is taken away, another member gets one if one is wanted"]
      : []),
    ...(osds.length > 0
      ? [
          `the data of ${osds.map((osd) => `osd.${osd}`).join(", ")} moves to other disks, then the disks are emptied`,
        ]
      : []),
    ...["mgr", "mds"]
      .filter((type) => services.includes(type))
      .map((type) => `its ${type} is replaced by another host's`),
    "its keys and its place in the CRUSH map go, and it is handed its tombstone: this identity never comes back",
    ...(request.revoke
      ? [
          "Ceph's administrator and monitors get other keys: the monitors restart at once, and Ceph stands still for some seconds",
          ...(hadSeat(cluster, id, handle)
            ? ["it has seen the keys of gateways and encrypted OSDs: those are replaced, too"]
            : []),
        ]
      : []),
  ];
  return { name, handle, dead, osds, steps, left: tolerance(staying.length, seats) };
}

/** The job of `cluster remove` and `cluster leave`: the wish goes into the document; here it is waited for. */
export async function removeMember(daemon: Daemon, request: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const asked = request as unknown as RemovalRequest;
  let target = memorySchema.safeParse(tools.memory).data;
  if (target === undefined) {
    const { dead, osds } = planRemoval(daemon, asked);
    const cluster = runtimeOf(daemon);
    const { id, name } = memberNamed(cluster, asked.node, spokenOf(asked));
    // Of one that is dead the copies are lost already: what is asked of the others is only that they serve all.
    let mode: "drain" | "fewer-copies" = dead ? "fewer-copies" : "drain";
    if (!dead && osds.length > 0) {
      tools.report(1, "checking that the others can do without its disks");
      const call = { deadlineMs: callMs, signal: tools.signal };
      mode = await checkSpare(cluster, commandsOf(cluster), { osds, name, how: lowerHint }, asked, call);
    }
    const { handle } = namedMembers(cluster).find((one) => one.id === id) ?? { handle: "" };
    target = {
      ...{ peer: id, name, leaving: dead ? "dead" : "moving", osds: mode, wished: false },
      ...{ revoke: asked.revoke ?? false, handle, hadSeat: hadSeat(cluster, id, handle) },
    };
    tools.remember({ ...target });
  }
  const { peer, name, leaving } = target;
  if (!target.wished) {
    const cluster = runtimeOf(daemon);
    // Before it is said that it leaves: what is wished of its disks then would be less.
    for (const { uuid, osd } of osdsOf(cluster, peer)) {
      cluster.document.setRemoval(uuid, { osd, mode: target.osds });
    }
    if (target.revoke) cluster.document.setSetting(revokeSetting(target.handle), peer);
    cluster.document.setLabels(peer, { leaving });
    tools.remember({ ...target, wished: true });
    cluster.wake("removal");
  }
  for (;;) {
    const { lifecycle } = daemon.membership;
    if (lifecycle.state === "removed" && lifecycle.tombstone.peer === peer) break;
    const { cluster } = daemon;
    if (cluster !== null) {
      if (cluster.journal.tombstones().has(peer) && !cluster.journal.members().has(peer)) break;
      if (leavingOf(cluster.document.view().labels[peer]?.leaving) === null) {
        throw new MicrocephError("CANCELLED", `the removal of ${name} was called off`);
      }
      tools.report(...progressOf(cluster, peer));
    }
    await daemon.events.next(tools.signal, 1_000);
  }
  const left =
    target.revoke && daemon.membership.lifecycle.state !== "removed"
      ? await revoke(daemon, { peer, handle: target.handle, hadSeat: target.hadSeat }, tools)
      : [];
  const reply: RemovalReply = { name, id: peer, ...(target.revoke ? { left } : {}) };
  return reply as unknown as Json;
}

/** Take the wish back that a member leaves; what has moved stays where it is. */
export function cancelRemoval(daemon: Daemon, node: string): RemovalReply {
  const cluster = runtimeOf(daemon);
  const { id, name, handle } = memberNamed(cluster, node);
  cluster.document.setLabels(id, { leaving: null });
  cluster.document.setSetting(revokeSetting(handle), null);
  // Its disks stay, too: what has left them comes back.
  const { removals, nodes } = cluster.document.view();
  for (const { uuid } of nodes[id]?.osds ?? []) {
    if (removals[uuid] !== undefined) cluster.document.setRemoval(uuid, null);
  }
  cluster.wake("removal called off");
  return { name, id };
}

function memberNamed(
  cluster: ClusterRuntime,
  text: string,
  spokenOf: "alive" | "dead" = "alive",
): NamedMember {
  return resolveNode(text, namedMembers(cluster), spokenOf);
}

/** How far it is, from the journal's copy and the members' own words. */
function progressOf(cluster: ClusterRuntime, peer: PeerId): [number, string] {
  const facts = cluster.document.view().nodes[peer];
  const osds = (facts?.osds ?? []).map(({ osd }) => `osd.${osd}`);
  if (facts?.services.includes("mon")) return [20, "its monitor is moved"];
  if (cluster.voters().includes(peer)) return [40, "its vote is moved"];
  if (osds.length > 0) return [60, `the data of ${osds.join(", ")} moves to other disks`];
  return [90, "it is forgotten"];
}

/** What the cluster survives afterwards, honestly. */
function tolerance(members: number, seats: number): string {
  const dies = Math.floor((seats - 1) / 2);
  const survives =
    dies === 0
      ? "no loss of the node with the vote and the monitor"
      : dies === 1
        ? "the loss of one node"
        : `the loss of ${dies} nodes`;
  return `${members} ${members === 1 ? "member" : "members"} with ${seats} ${seats === 1 ? "vote" : "votes"} will survive ${survives}`;
}
