import { z } from "zod";
import { entryId, isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";

/** Names of the requests that members ask of each other. */
export const methods = {
  documentSync: "document.sync",
  journalPull: "journal.pull",
  confirm: "journal.confirm",
  quorum: "lease.status",
  obey: "agent.obey",
  cancel: "agent.cancel",
  cephAccess: "ceph.access",
  deliverClaim: "lobby.claim",
  deliverAdmit: "lobby.admit",
  deliverRelease: "lobby.release",
  forward: "api.forward",
  eventsPull: "events.pull",
} as const;

const number = z.object({ generation: z.int().min(0), revision: z.int().min(0) });
const peer = z.custom<PeerId>(isPeerId, "not a PeerId");
const json = z.custom<Json>((value) => value !== undefined);

/** Bodies, parsed where they arrive. */
export const orderBody = z.object({
  entry: z.string().transform((value) => entryId(value)),
  kind: z.string().max(64),
  number,
  body: json,
  payload: json,
});
export const cancelBody = orderBody.omit({ payload: true });
export const numberedEntry = z.object({
  entry: z.string().transform((value) => entryId(value)),
  number,
});
export const claimDelivery = numberedEntry.extend({ peer });
export const admitDelivery = z.object({
  peer,
  certificate: z.record(z.string(), z.unknown()),
  clusterName: z.string().max(64),
  contacts: z
    .array(z.object({ peer, addresses: z.array(z.string().max(64)).max(4), port: z.int().nullable() }))
    .max(8),
});
export const releaseDelivery = z.object({ peer, upTo: number.nullable() });
export const forwardBody = z.object({
  method: z.enum(["GET", "POST", "PUT", "DELETE"]),
  path: z.string().min(1).max(2048),
  body: json,
});
