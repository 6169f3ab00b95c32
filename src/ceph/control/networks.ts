import type { Json } from "../../ids/json.ts";
import type { Entry } from "../../state/journal/types.ts";
import type { Step } from "./agent.ts";
import type { CephNode } from "./ceph-node.ts";
import type { Executor } from "./controller.ts";
import { kinds, networksBody, renumberPayload } from "./decisions.ts";
import { because, done } from "./done.ts";
import type { ExecutorDeps } from "./executors.ts";
import { handOver } from "./hand-over.ts";
import { wholeMaps } from "./renumber.ts";

/** The networks that Ceph's daemons are told, and the decision that says so. */
export interface DecidedNetworks {
  readonly id: string;
  readonly publicNetwork: string;
  readonly clusterNetwork: string | null;
}

/** The last change of networks that is done; null when the monitors were given others since, or before the first. */
export function changedNetworks(entries: readonly Entry[]): DecidedNetworks | null {
  const last = entries.findLast(
    ({ kind, state }) => state === "done" && (kind === kinds.networks || wholeMaps.includes(kind)),
  );
  const body = last?.kind === kinds.networks ? networksBody.safeParse(last.body).data : undefined;
  if (last === undefined || body === undefined) return null;
  return { id: last.id, publicNetwork: body.publicNetwork, clusterNetwork: body.clusterNetwork };
}

/** Every member that is there writes its ceph.conf anew; who is away does so when it hears of it. */
export function networksExecutor(
  deps: Pick<ExecutorDeps, "access" | "alive" | "order" | "handed" | "restamp" | "current">,
): Executor {
  return async (entry, signal) => {
    const { publicNetwork, clusterNetwork } = networksBody.parse(entry.body);
    const access = { ...(await deps.access(signal)), publicNetwork, clusterNetwork };
    const payload = { access } as unknown as Json;
    await deps.handed(entry.id);
    const given = await Promise.allSettled(
      [...deps.alive().values()].map((peer) => handOver(deps, entry, peer, payload, signal)),
    );
    const failed = given.find((each) => each.status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
    const text = clusterNetwork === null ? publicNetwork : `${publicNetwork}, ${clusterNetwork} among OSDs`;
    return done(because(`Ceph is in ${text}`, entry));
  };
}

export function networksStep(node: CephNode): Step {
  return async ({ entry, body, payload }, { confirm }) => {
    const { publicNetwork, clusterNetwork } = networksBody.parse(body);
    const { access } = renumberPayload.parse(payload);
    await confirm();
    if (node.access === null) await node.configure(access);
    await node.followNetworks({ id: entry, publicNetwork, clusterNetwork });
    return null;
  };
}
