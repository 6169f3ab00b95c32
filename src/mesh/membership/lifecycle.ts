import { z } from "zod";
import { MicrocephError } from "../../errors/microceph-error.ts";
import type { ClusterId, EntryId, PeerId } from "../../ids/ids.ts";
import { isClusterId, isEntryId, isPeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { MemberCertificate, Tombstone } from "../identity/certificate.ts";
import type { ClusterKey } from "../identity/cluster-key.ts";
import type { Contact, DecisionNumber } from "../lobby/messages.ts";
import { decisionNumberSchema } from "../lobby/messages.ts";

/** The claim that a node has accepted and holds on disk. */
export type HeldClaim =
  | {
      readonly by: "founder";
      readonly cluster: ClusterId;
      readonly clusterKey: string;
      readonly name: string;
      readonly founder: PeerId;
      /** A confirmed claim is released by the founder or an operator, never by time. */
      readonly confirmed: boolean;
    }
  | {
      readonly by: "member";
      readonly cluster: ClusterId;
      readonly clusterKey: string;
      readonly name: string;
      readonly claimer: PeerId;
      /** The reservation in the cluster's journal and the number of its opening record. */
      readonly entry: EntryId;
      readonly number: DecisionNumber;
    };

export interface Fresh {
  readonly state: "fresh";
}
export interface Claimed {
  readonly state: "claimed";
  readonly claim: HeldClaim;
}
/** Provisional founder: has a cluster key and may have claims out; nothing exists yet. */
export interface Founding {
  readonly state: "founding";
  readonly key: ClusterKey;
  readonly name: string;
}
/** The cluster exists; its key is here until the journal holds it. */
export interface Founded {
  readonly state: "founded";
  readonly key: ClusterKey;
  readonly name: string;
  /** Nodes that have confirmed; the founder is not among them. */
  readonly acceptors: readonly PeerId[];
  /** CIDR. */
  readonly publicNetwork: string;
  /** RFC 3339. */
  readonly at: string;
}
export interface Member {
  readonly state: "member";
  readonly certificate: MemberCertificate;
  readonly clusterName: string;
  readonly contacts: readonly Contact[];
}
export interface Removed {
  readonly state: "removed";
  readonly tombstone: Tombstone;
}
export type Lifecycle = Fresh | Claimed | Founding | Founded | Member | Removed;

const peer = z.custom<PeerId>(isPeerId);
const cluster = z.custom<ClusterId>(isClusterId);
const entry = z.custom<EntryId>(isEntryId);
const key = z.looseObject({ id: cluster, publicKey: z.string(), privateKey: z.string() });
const claimBase = { cluster, clusterKey: z.string(), name: z.string() };
const stored = z.looseObject({
  v: z.literal(1),
  lifecycle: z.discriminatedUnion("state", [
    z.looseObject({ state: z.literal("fresh") }),
    z.looseObject({
      state: z.literal("claimed"),
      claim: z.discriminatedUnion("by", [
        z.looseObject({ by: z.literal("founder"), ...claimBase, founder: peer, confirmed: z.boolean() }),
        z.looseObject({
          by: z.literal("member"),
          ...claimBase,
          claimer: peer,
          entry,
          number: decisionNumberSchema,
        }),
      ]),
    }),
    z.looseObject({ state: z.literal("founding"), key, name: z.string() }),
    z.looseObject({
      state: z.literal("founded"),
      key,
      name: z.string(),
      acceptors: z.array(peer),
      publicNetwork: z.string(),
      at: z.string(),
    }),
    z.looseObject({
      state: z.literal("member"),
      certificate: z.looseObject({ cluster, peer }),
      clusterName: z.string(),
      contacts: z.array(
        z.looseObject({ peer, addresses: z.array(z.string()), port: z.number().int().nullable() }),
      ),
    }),
    z.looseObject({ state: z.literal("removed"), tombstone: z.looseObject({ cluster, peer }) }),
  ]),
});

/** The two calls of the local store that this room needs; `put` returns when the value is on disk. */
export interface DurableStore {
  get(key: string): Json | undefined;
  put(key: string, value: Json): void;
}

const lifecycleKey = "lifecycle";
const joinKey = "lifecycle.join";

/** The node's state of life, in memory and on disk; each transition is one durable write. */
export class LifecycleRecord {
  readonly #store: DurableStore;
  #current: Lifecycle;
  #joining: ClusterId | null;

  /** Throws STATE_CORRUPT when what is stored cannot be read. */
  constructor(store: DurableStore) {
    this.#store = store;
    this.#current = read(store.get(lifecycleKey));
    const joining = store.get(joinKey);
    this.#joining = isClusterId(joining) ? joining : null;
  }

  get current(): Lifecycle {
    return this.#current;
  }

  /** The cluster that the operator wants this node in. */
  get joining(): ClusterId | null {
    return this.#joining;
  }

  /** First the disk, then memory: nobody hears of a state that a crash could take back. */
  become(next: Lifecycle): void {
    this.#store.put(lifecycleKey, { v: 1, lifecycle: next as unknown as Json });
    this.#current = next;
  }

  wish(joining: ClusterId | null): void {
    this.#store.put(joinKey, joining);
    this.#joining = joining;
  }
}

function read(value: Json | undefined): Lifecycle {
  if (value === undefined) return { state: "fresh" };
  const parsed = stored.safeParse(value);
  if (!parsed.success) {
    throw new MicrocephError(
      "STATE_CORRUPT",
      `the stored lifecycle cannot be read: ${parsed.error.message}`,
      {
        data: { key: lifecycleKey },
      },
    );
  }
  return parsed.data.lifecycle as unknown as Lifecycle;
}

/** The cluster that a state binds its node to, or null. */
export function clusterOf(lifecycle: Lifecycle): ClusterId | null {
  switch (lifecycle.state) {
    case "fresh":
      return null;
    case "claimed":
      return lifecycle.claim.cluster;
    case "founding":
    case "founded":
      return lifecycle.key.id;
    case "member":
      return lifecycle.certificate.cluster;
    case "removed":
      return lifecycle.tombstone.cluster;
  }
}
