import { z } from "zod";
import type { MigrationReply, migrationRequest } from "../api/contract/migration.ts";
import type { Shape } from "../api/contract/shape.ts";
import { decidedMonitors } from "../ceph/control/ceph-planner.ts";
import { countedWish } from "../ceph/control/counted-wish.ts";
import { placedDaemons } from "../ceph/control/placed-daemons.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import { isPeerId, type PeerId } from "../ids/ids.ts";
import type { Json } from "../ids/json.ts";
import { type NamedMember, namedMembers } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import { daemonLimit, leavingOf } from "./cluster/seat-control.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";
import { resolveNode } from "./resolve-node.ts";
import { runtimeOf } from "./runtime-of.ts";

/** Milliseconds that a migration has; after them its wish is taken back. */
const migrationMs = 900_000;

const seats = ["voter", "mon", "mgr", "mds"] as const;

const memorySchema = z.object({
  from: z.custom<PeerId>(isPeerId),
  to: z.custom<PeerId>(isPeerId),
  /** Unix time in milliseconds. */
  until: z.number(),
  moved: z.array(z.enum(seats)),
  /** Whether the wish has been said; a run that was cut off before says it again. */
  wished: z.boolean(),
});

type Seat = (typeof seats)[number];

/** Throws NOT_FOUND, AMBIGUOUS_NODE, USAGE, MEMBER_DEAD, NOTHING_TO_MOVE, WISH_CONFLICT. */
export function checkMigration(daemon: Daemon, asked: Shape<typeof migrationRequest>): void {
  const cluster = runtimeOf(daemon);
  const [from, to] = both(cluster, asked);
  if (from.id === to.id) throw new MicrocephError("USAGE", "source and destination are the same member");
  const { labels } = cluster.document.view();
  for (const member of [from, to]) {
    const { id, name } = member;
    if (leavingOf(labels[id]?.leaving) !== null) {
      throw new MicrocephError("USAGE", `${name} leaves the cluster: its seats move by themselves`);
    }
    const state = id === cluster.self ? "alive" : (cluster.presence.stateOf(id) ?? "suspect");
    if (state !== "alive") {
      const hint = `${name} is ${state}: what it carried is moved by \`cluster remove --dead\`, or after its grace time`;
      throw new MicrocephError("MEMBER_DEAD", hint, { data: { node: name } });
    }
  }
  const moved = movable(cluster, from, to);
  if (moved.length === 0) {
    throw new MicrocephError(
      "NOTHING_TO_MOVE",
      `${from.name} carries no vote, monitor, manager or metadata server that ${to.name} has not got itself`,
    );
  }
  for (const seat of moved) refuseAgainstWish(cluster, seat, from, to);
}

/** Throws WISH_CONFLICT: what was said by name for good would move it back, or keep it. */
function refuseAgainstWish(cluster: ClusterRuntime, seat: Seat, from: NamedMember, to: NamedMember): void {
  const daemon = seat === "voter" ? "mon" : seat;
  const { targets, off } = countedWish(daemon, cluster.document.view().services);
  const told = off.includes(to.id)
    ? { node: to.name, verb: "disable", contrary: "enable" }
    : targets.includes(from.id)
      ? { node: from.name, verb: "enable", contrary: "disable" }
      : null;
  if (told === null) return;
  const { node, verb, contrary } = told;
  throw new MicrocephError(
    "WISH_CONFLICT",
    `\`${verb} ${daemon}\` was said of ${node}: take that back first, by microceph ${contrary} ${daemon} --target ${node}`,
    { data: { node, daemon } },
  );
}

function both(cluster: ClusterRuntime, asked: Shape<typeof migrationRequest>): [NamedMember, NamedMember] {
  const members = namedMembers(cluster);
  return [resolveNode(asked.source, members), resolveNode(asked.destination, members)];
}

/** What a member carries, by the journal. */
function carried(cluster: ClusterRuntime, { id, handle }: NamedMember): Set<Seat> {
  const entries = cluster.journal.entries();
  const has = new Set<Seat>();
  if (cluster.voters().includes(id)) has.add("voter");
  if ([...decidedMonitors(entries)].some((one) => one === handle)) has.add("mon");
  for (const { type, handle: host, open } of placedDaemons(entries)) {
    if (host === handle && !open && (type === "mgr" || type === "mds")) has.add(type);
  }
  return has;
}

/** What one has that the other has not, and that is not wanted of every member. */
function movable(cluster: ClusterRuntime, from: NamedMember, to: NamedMember): Seat[] {
  const [has, other] = [carried(cluster, from), carried(cluster, to)];
  const everywhere = cluster.journal.members().size <= daemonLimit;
  const isSeat = (seat: Seat): boolean => seat === "voter" || seat === "mon";
  return seats.filter((seat) => has.has(seat) && !other.has(seat) && (isSeat(seat) || !everywhere));
}

/**
 * The job of `cluster migrate`: the wish goes into the document, and the holder of the lease follows it as it does
 * when a member leaves: another has each seat before it is given up. Done, called off or in vain, the wish is taken
 * back: it is about now, not for ever. Throws CANCELLED, DEADLINE_EXCEEDED.
 */
export async function migrateSeats(daemon: Daemon, request: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const cluster = runtimeOf(daemon);
  const { document } = cluster;
  let memory = memorySchema.safeParse(tools.memory).data;
  if (memory === undefined) {
    const [from, to] = both(cluster, request as unknown as Shape<typeof migrationRequest>);
    const moved = movable(cluster, from, to);
    memory = { from: from.id, to: to.id, until: daemon.now() + migrationMs, moved, wished: false };
    tools.remember({ ...memory });
  }
  const { from, to, until, wished } = memory;
  let { moved } = memory;
  const remember = (): void => tools.remember({ from, to, until, moved, wished: true });
  if (!wished) {
    document.setLabels(to, { seats: "preferred" });
    document.setLabels(from, { seats: "away" });
    remember();
    cluster.wake("migration");
  }
  const named = (peer: PeerId): NamedMember => {
    const member = namedMembers(cluster).find(({ id }) => id === peer);
    if (member === undefined) throw new MicrocephError("CANCELLED", "one of the two is no member any more");
    return member;
  };
  try {
    for (;;) {
      const left = movable(cluster, named(from), named(to));
      // What was being placed there when it began.
      const came = left.filter((seat) => !moved.includes(seat));
      if (came.length > 0) {
        moved = seats.filter((seat) => moved.includes(seat) || came.includes(seat));
        remember();
      }
      // Given to the one, and taken from the other: until then both carry it.
      const doubled = moved.filter((seat) => !left.includes(seat) && carried(cluster, named(from)).has(seat));
      if (left.length === 0 && doubled.length === 0) break;
      if (document.view().labels[from]?.seats !== "away") {
        throw new MicrocephError("CANCELLED", `the migration away from ${named(from).name} was called off`);
      }
      if (daemon.now() > until) {
        throw new MicrocephError(
          "DEADLINE_EXCEEDED",
          `${named(from).name} still carries ${[...left, ...doubled].join(", ")}: microceph mesh explain seats`,
        );
      }
      tools.report(
        Math.round((100 * (2 * (moved.length - left.length) - doubled.length)) / (2 * moved.length)),
        left.length > 0 ? `waiting for ${words(left)}` : `${named(from).name} gives up ${words(doubled)}`,
      );
      await daemon.events.next(tools.signal, 1_000);
    }
    const reply: MigrationReply = { source: named(from).name, destination: named(to).name, moved };
    return reply as unknown as Json;
  } finally {
    // A daemon that stops takes the job up again, and the wish stays until then.
    if (!tools.signal.aborted) {
      for (const peer of [from, to]) document.setLabels(peer, { seats: null });
    }
  }
}

function words(of: readonly Seat[]): string {
  const names = { voter: "the vote", mon: "the monitor", mgr: "the manager", mds: "the metadata server" };
  return of.map((seat) => names[seat]).join(", ");
}
