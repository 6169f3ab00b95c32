import { z } from "zod";
import type { Planner, Proposal } from "../../ceph/control/controller.ts";
import { kinds, lanes, networksBody } from "../../ceph/control/decisions.ts";
import type { Json } from "../../ids/json.ts";
import type { Entry } from "../../state/journal/types.ts";
import { fsidOf } from "./cluster-facts.ts";
import type { ClusterRuntime } from "./cluster-runtime.ts";

/** Setting that holds the wish until the journal has it. */
const wishKey = "ceph.networks";

export type NetworksWish = z.infer<typeof networksBody>;

export function wishNetworks(runtime: ClusterRuntime, wish: NetworksWish): void {
  runtime.document.setSetting(wishKey, JSON.stringify(wish));
}

function wishOf(settings: Readonly<Record<string, string>>): NetworksWish | null {
  try {
    return networksBody.parse(JSON.parse(settings[wishKey] ?? ""));
  } catch {
    return null;
  }
}

const wished = z.object({ wish: z.string() });

/** What followed from the wish. */
export function networksFor(entries: readonly Entry[], wish: string): Entry | undefined {
  return entries.findLast(
    ({ kind, body }) => kind === kinds.networks && wished.safeParse(body).data?.wish === wish,
  );
}

/** One decision for each wish. */
export function networksPlanner(runtime: ClusterRuntime): Planner {
  return async () => {
    const { document, journal } = runtime;
    const wish = wishOf(document.view().settings);
    if (wish === null) return [];
    const entries = journal.entries();
    const followed = networksFor(entries, wish.wish);
    if (followed?.state === "open") return [];
    if (followed !== undefined || fsidOf(entries) === null) {
      document.setSetting(wishKey, null);
      return [];
    }
    const proposal: Proposal = {
      ...{ kind: kinds.networks, body: { ...wish } as Json, agent: null, lane: lanes.seats },
      reason: "an operator changed the networks",
    };
    return [proposal];
  };
}
