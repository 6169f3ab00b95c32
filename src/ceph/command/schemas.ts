import { z } from "zod";
import { MicrocephError } from "../../errors/microceph-error.ts";
import { fsid } from "../../ids/ids.ts";
import type { Monitor, MonMap, MonStatus } from "./commands.ts";

/** Parse what Ceph answered; CEPH_REFUSED when it has another shape than the releases we know. */
export function parseAnswer<T>(what: string, schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new MicrocephError(
    "CEPH_REFUSED",
    `Ceph answered ${what} in a form that is not understood: ${issue?.path.join(".")}: ${issue?.message}`,
    { data: { what } },
  );
}

const name = z.string().max(256);
const monMapShape = z.object({
  epoch: z.int(),
  fsid: z.string().max(64),
  mons: z
    .array(
      z.object({
        rank: z.int(),
        name,
        public_addrs: z.object({
          addrvec: z.array(z.object({ type: z.string().max(16), addr: z.string().max(128) })).max(16),
        }),
      }),
    )
    .max(1024),
});

export const monMapSchema = monMapShape.transform(
  (map): MonMap => ({
    epoch: map.epoch,
    fsid: fsid(map.fsid),
    monitors: map.mons
      .map(
        (mon): Monitor => ({
          name: mon.name,
          rank: mon.rank,
          addresses: mon.public_addrs.addrvec.map(({ type, addr }) => ({
            type: type === "v1" || type === "v2" ? type : "any",
            address: addr,
          })),
        }),
      )
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)),
  }),
);

const monitorStates = ["probing", "synchronizing", "electing", "leader", "peon", "shutdown"] as const;

const monStatusSchema = z
  .object({
    name,
    rank: z.int(),
    state: z.string().max(64),
    election_epoch: z.int(),
    quorum: z.array(z.int()).max(1024),
    monmap: monMapShape,
  })
  .transform((status): MonStatus => {
    const names = new Map(status.monmap.mons.map((mon) => [mon.rank, mon.name]));
    return {
      name: status.name,
      rank: status.rank,
      state: monitorStates.find((state) => state === status.state) ?? "unknown",
      electionEpoch: status.election_epoch,
      quorum: status.quorum.flatMap((rank) => names.get(rank) ?? []),
      monMap: monMapSchema.parse(status.monmap),
    };
  });

export function parseMonStatus(value: unknown): MonStatus {
  return parseAnswer("mon_status", monStatusSchema, value);
}
