import { z } from "zod";
import type { Executor, Planner } from "../../ceph/control/controller.ts";
import { done } from "../../ceph/control/done.ts";
import { isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import { recoveredKind, recoveryOf } from "./cluster-facts.ts";
import type { ClusterRuntime } from "./cluster-runtime.ts";

const wishKey = "recovery";

/** What an operator has declared, kept from the declaration until the journal says it. */
export const recoveryWish = z.object({
  /** Above any that a member within reach has seen. */
  generation: z.int().min(2),
  /** Members that are gone for good. */
  lost: z.array(z.custom<PeerId>(isPeerId)).max(1000),
});
export type RecoveryWish = z.infer<typeof recoveryWish>;

type Store = ClusterRuntime["deps"]["store"];

export function putRecoveryWish(store: Store, wish: RecoveryWish): void {
  store.put(wishKey, { ...wish });
}

export function dropRecoveryWish(store: Store): void {
  // Asked at each plan: a write that changes nothing is synced all the same.
  if (store.get(wishKey) !== undefined) store.delete(wishKey);
}

/** The declaration that the journal does not say yet. */
export function recoveryWishOf({ deps, journal }: ClusterRuntime): RecoveryWish | null {
  const wish = recoveryWish.safeParse(deps.store.get(wishKey)).data;
  if (wish === undefined) return null;
  return (recoveryOf(journal.entries())?.generation ?? 1) >= wish.generation ? null : wish;
}

/** The first decision after a recovery: who is left to decide, so that whoever comes back learns that it has no vote. */
export function recoveryPlanner(runtime: ClusterRuntime): Planner {
  return async () => {
    const wish = recoveryWishOf(runtime);
    if (wish === null) {
      dropRecoveryWish(runtime.deps.store);
      return [];
    }
    const { generation, lost } = wish;
    const { self, handle, seat } = runtime;
    // As long as this etcd still counts the lost among its members, it would say so in their journal, too.
    if (seat.generation < generation) return [];
    const body = { peer: self, generation, lost: [...lost] } as unknown as Json;
    const reason = `an operator declared ${lost.length} voters lost; ${handle} decides alone`;
    return [{ kind: recoveredKind, body, agent: null, reason, lane: `${recoveredKind} ${self}` }];
  };
}

export const recoveryExecutor: Executor = async (entry) => done(entry.reason);
