import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { Planner, Proposal } from "../../ceph/control/controller.ts";
import { kinds, lanes } from "../../ceph/control/decisions.ts";
import type { Json } from "../../ids/json.ts";
import { signCertificate } from "../../mesh/identity/certificate.ts";
import type { ClusterKey } from "../../mesh/identity/cluster-key.ts";
import { foundingAdmission } from "../../state/document/admission-policy.ts";
import type { Decider } from "../../state/journal/decider.ts";
import { admitKind } from "../admission-control.ts";
import { type FoundBody, foundingOf, foundKind } from "./cluster-facts.ts";
import type { ClusterRuntime } from "./cluster-runtime.ts";
import { contactsOf } from "./lobby-answers.ts";

/** Name of the secret that holds the cluster's private key. */
export const clusterKeySecret = "cluster-key";

/** Where the store keeps what an operator asked of a bootstrap beyond its network. */
export const foundingWishKey = "founding-wish";
const foundingWish = z.object({
  monIp: z.string().nullable(),
  clusterNetwork: z.string().nullable(),
  v2Only: z.boolean().default(false),
});

function wishOf(runtime: ClusterRuntime): z.infer<typeof foundingWish> {
  const kept = foundingWish.safeParse(runtime.deps.store.get(foundingWishKey));
  return kept.success ? kept.data : { monIp: null, clusterNetwork: null, v2Only: false };
}

/**
 * What a founder does first, each step recorded and so done once: the key goes into etcd, the founding and its
 * own admission into the journal, then Ceph is bootstrapped. Run again after a crash it goes on where it was.
 */
export function genesisPlanner(
  runtime: ClusterRuntime,
  decider: Decider<ClusterKey>,
  key: () => ClusterKey,
): Planner {
  const { founded, cluster } = runtime.options;

  return async (signal, epoch) => {
    if (founded === null) return [];
    if (foundingOf(runtime.journal.entries()) === null) {
      // First the key: a journal without the key that signs it could never grow.
      await decider.ensureSecret(clusterKeySecret, () => ({ ...key() }));
      const body: FoundBody = {
        founder: runtime.self,
        name: cluster.name,
        publicNetwork: founded.publicNetwork,
        clusterNetwork: wishOf(runtime).clusterNetwork,
        v2Only: wishOf(runtime).v2Only,
        acceptors: founded.acceptors,
      };
      const reason = founded.acceptors.length === 0 ? "asked for by an operator" : "found by fresh nodes";
      const draft = {
        kind: foundKind,
        body: { ...body, acceptors: [...body.acceptors] },
        agent: null,
        reason,
      };
      await decider.open(draft, { epoch });
    }
    // By itself: a crash between the two leaves it open to the next run.
    const founding = runtime.journal.openEntries().find(({ kind }) => kind === foundKind);
    if (founding !== undefined) await decider.close(founding.id, "done", { reason: "founded" });
    if (signal.aborted) return [];
    if (!runtime.journal.members().has(runtime.self)) await admitSelf(runtime, decider, key(), epoch);
    const own = runtime.journal.members().get(runtime.self);
    if (own === undefined) return [];
    const { membership } = runtime.deps;
    const isNews = membership.lifecycle.state !== "member";
    membership.admitted({
      certificate: own.certificate,
      clusterName: cluster.name,
      contacts: contactsOf(runtime),
    });
    // Ceph's bootstrap and the others' admission wait for it, and may have been planned a moment before.
    if (isNews) runtime.wake("admitted");
    return [];
  };
}

/**
 * What any holder of the lease sees to in a new cluster, should the founder have stopped before it: Ceph is
 * bootstrapped once, and the founder's wish for admissions is in the document.
 */
export function bootstrapPlanner(runtime: ClusterRuntime): Planner {
  return async () => {
    const founding = foundingOf(runtime.journal.entries());
    if (founding === null || runtime.deps.membership.lifecycle.state !== "member") return [];
    if (founding.founder === runtime.self) welcome(runtime);
    return bootstrapProposal(runtime);
  };
}

async function admitSelf(
  runtime: ClusterRuntime,
  decider: Decider<ClusterKey>,
  key: ClusterKey,
  epoch: number,
): Promise<void> {
  const pending = runtime.journal
    .openEntries()
    .find(({ kind, body }) => kind === admitKind && subjectOf(body) === runtime.self);
  const body = { peer: runtime.self, name: runtime.options.settings.name, handle: runtime.handle };
  const draft = { kind: admitKind, body, agent: null, reason: "the founder" };
  const entry = pending ?? (await decider.open(draft, { epoch }));
  const { generation, revision } = entry.openedNumber;
  const certificate = signCertificate(
    { peer: runtime.self, handle: runtime.handle, generation, decision: revision },
    key,
  );
  await decider.close(entry.id, "done", {
    result: { certificate: { ...certificate } },
    reason: `${runtime.handle} is a member`,
  });
}

/** A new cluster takes everyone on the link for a day, unless the founder was told otherwise. */
function welcome(runtime: ClusterRuntime): void {
  if (runtime.document.view().admission.wishes.length > 0) return;
  const mode = runtime.options.settings.admission;
  if (mode === undefined || mode === "auto") {
    const { until } = foundingAdmission(runtime.deps.now());
    runtime.document.setAdmission("auto", until);
  } else {
    runtime.document.setAdmission(mode, null);
  }
}

function bootstrapProposal(runtime: ClusterRuntime): readonly Proposal[] {
  const decided = runtime.journal
    .entries()
    .some(({ kind, state }) => kind === kinds.bootstrap && state !== "abandoned");
  const founding = foundingOf(runtime.journal.entries());
  const wished = founding?.founder === runtime.self ? wishOf(runtime).monIp : null;
  const address = wished ?? runtime.publicAddress(runtime.self);
  if (decided || address === null) return [];
  const body = {
    fsid: randomUUID(),
    handle: runtime.handle,
    address,
    publicNetwork: runtime.publicNetwork() ?? "",
    clusterNetwork: founding?.clusterNetwork ?? null,
    ...(founding?.v2Only ? { v2Only: true } : {}),
  };
  const reason = "a new cluster starts with one monitor";
  return [{ kind: kinds.bootstrap, body, agent: runtime.self, reason, lane: lanes.monitors }];
}

function subjectOf(body: Json): Json {
  return body !== null && typeof body === "object" && !Array.isArray(body) ? (body.peer ?? null) : null;
}
