import { z } from "zod";
import { isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Kv } from "../etcd/etcd-api.ts";

/** The one key that says who may decide. */
export const leaseKey = "/microceph/lease";

/** The leader lease as somebody holds it. */
export interface Lease {
  readonly holder: PeerId;
  /** etcd revision that created the key: no two leases ever have the same. */
  readonly epoch: number;
  /** Id of the TTL lease that the key is bound to, decimal text. */
  readonly leaseId: string;
}

const leaseValue = z.object({
  holder: z.custom<PeerId>(isPeerId, "not a PeerId"),
  leaseId: z.string().regex(/^-?\d{1,20}$/),
});

export function encodeLease(holder: PeerId, leaseId: string): string {
  return JSON.stringify({ holder, leaseId });
}

/** The lease in a key; throws when the value is not one of ours. */
export function decodeLease(kv: Kv): Lease {
  const { holder, leaseId } = leaseValue.parse(JSON.parse(kv.value));
  return { holder, leaseId, epoch: kv.createRevision };
}
