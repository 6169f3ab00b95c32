import { z } from "zod";
import { type Shape, text, time } from "./shape.ts";

const peer = z.string().max(64).describe("PeerId");
const handle = z.string().max(253).nullable().describe("handle of the member; null while it is not known");
const subject = z.object({ peer, handle });
const lease = z.object({ holder: peer, epoch: z.int().describe("create revision of the lease") });
const number = z.object({ generation: z.int(), revision: z.int() });
const osd = z.object({ osd: z.int().min(0), host: z.string().max(253).nullable() });
const monitor = z.object({ name: z.string().max(253), quorum: z.array(z.string().max(253)).max(64) });
const disk = z.object({ ...subject.shape, path: z.string().max(512), osd: z.int().min(0).nullable() });
const service = z.object({ ...subject.shape, service: z.string().max(128) });
const nothing = z.object({});

/** Every type of event, its data, and in the description what happened. */
export const eventData = {
  "daemon.started": z
    .object({ version: z.string().max(64) })
    .describe("this daemon is up; events before it are of earlier runs"),
  "events.gap": z
    .object({
      from: z.int().min(0),
      to: z.int().min(0).describe("first and last number that cannot be shown"),
      reason: z.enum(["not-kept", "unknown-number", "crash", "origin"]),
    })
    .describe(
      "events are missing: `not-kept` any more, of numbers that this node has never given (`unknown-number`), " +
        "lost in a `crash` of this daemon, or no longer kept by their `origin`, whose own numbers these are",
    ),
  "peer.seen": z
    .object({ peer, name: z.string().max(64), address: z.string().max(64), state: z.string().max(16) })
    .describe("a node that is no fellow member answers in the lobby of some member"),
  "peer.lost": z
    .object({ peer, name: z.string().max(64) })
    .describe("it is seen by nobody any more, or became a member"),
  "member.joined": subject.describe("its admission is decided"),
  "member.removed": subject.describe("its removal is decided"),
  "member.alive": subject.describe("it answers"),
  "member.suspect": subject.describe("it does not answer"),
  "member.failed": subject.describe("others do not reach it either"),
  "member.left": subject.describe("it said goodbye"),
  "claim.released": z
    .object({ reason: text })
    .describe("this node is free of a claim that was not completed"),
  "lease.taken": lease.describe("who may decide from now on"),
  "lease.lost": lease.describe("it may no longer decide"),
  "quorum.lost": nothing.describe("no majority of the voters: nothing can be decided"),
  "quorum.restored": nothing.describe("decisions can be made"),
  "decision.made": z
    .object({
      id: z.string().max(64),
      kind: z.string().max(64),
      state: z.enum(["open", "done", "abandoned"]),
      number,
      reason: text,
      agent: peer.nullable(),
      at: time.describe("when it was written, by the writer's clock"),
    })
    .describe("a decision was opened, given a new number, or ended"),
  "voter.seated": subject.describe("it votes from now on"),
  "voter.lost": subject.describe("the data of its etcd is lost; it is seated anew"),
  "osd.added": osd.describe("the OSD is in Ceph's map"),
  "osd.removed": osd.describe("the OSD is no longer in Ceph's map"),
  "osd.up": osd.describe("it serves"),
  "osd.down": osd.describe("it does not answer its peers"),
  "osd.in": osd.describe("it holds data"),
  "osd.out": osd.describe("its data goes elsewhere"),
  "mon.up": monitor.describe("the monitor is in the quorum"),
  "mon.down": monitor.describe("the monitor is not in the quorum"),
  "ceph.reachable": nothing.describe("Ceph's monitors answer this node"),
  "ceph.unreachable": nothing.describe("Ceph's monitors do not answer this node"),
  "health.changed": z
    .object({
      ceph: z.enum(["HEALTH_OK", "HEALTH_WARN", "HEALTH_ERR"]).nullable(),
      checks: z.array(z.string().max(128)).max(256).describe("codes of Ceph's checks"),
      conditions: z.array(z.string().max(128)).max(256).describe("codes of the mesh's conditions"),
    })
    .describe("Ceph's health or the conditions of `GET /1.0/health`"),
  "service.started": service.describe("the node runs daemons of this kind"),
  "service.stopped": service.describe("the node runs no daemon of this kind any more"),
  "service.wanted": z.object({ service: z.string().max(128) }).describe("an operator changed what is wanted"),
  "service.unwanted": z.object({ service: z.string().max(128) }),
  "disk.added": disk.describe("a disk, with `osd` an OSD's, is there"),
  "disk.removed": disk.describe("it is there no longer"),
  "setting.changed": z.object({
    key: z.string().max(128),
    value: z.string().max(4096).nullable().describe("null: unset"),
  }),
  "admission.changed": z.object({
    mode: z.enum(["auto", "approve", "closed"]),
    until: z.string().nullable(),
  }),
  "approval.changed": z.object({
    peer,
    verdict: z.enum(["approve", "deny"]).nullable().describe("null: lapsed or withdrawn"),
  }),
  "job.changed": z.object({
    id: z.string().max(64),
    kind: z.string().max(64),
    state: z.enum(["running", "success", "failure"]),
    step: text,
    progress: z.number().min(0).max(100),
  }),
} as const;

export type EventType = keyof typeof eventData;
export type EventData<T extends EventType> = Shape<(typeof eventData)[T]>;

export const eventTypes = Object.keys(eventData) as EventType[];

const head = {
  seq: z.int().min(0).describe("grows in this node's stream, over restarts too; never used twice"),
  at: time.describe("when it was noticed, by the clock of `node`"),
  node: z.string().max(64).describe("PeerId of the node that noticed it"),
};

/** One line of `GET /1.0/events`. Events are hints: re-read what they are about. */
export const meshEvent: z.ZodType = z.discriminatedUnion(
  "type",
  eventTypes.map((type) => z.object({ ...head, type: z.literal(type), data: eventData[type] })) as never,
);

/** An event by its type. */
export type MeshEvent = {
  readonly [T in EventType]: {
    readonly seq: number;
    readonly at: string;
    readonly node: string;
    readonly type: T;
    readonly data: EventData<T>;
  };
}[EventType];

export const eventsQuery = z.strictObject({
  since: z.coerce.number().int().min(0).optional().describe("first those kept after this number"),
  follow: z
    .enum(["true", "false"])
    .default("true")
    .describe("`false`: end after those that are kept; without `since` all of them"),
});
