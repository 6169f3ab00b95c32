import { MicrocephError } from "../../errors/microceph-error.ts";
import { handle, isHandle, isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import { signCertificate } from "../../mesh/identity/certificate.ts";
import type { ClusterKey } from "../../mesh/identity/cluster-key.ts";
import type { AdmissionFacts, ClaimOutcome, Reservation } from "../../mesh/membership/admission-facts.ts";
import type { Entry } from "../../state/journal/types.ts";
import { AdmissionControl, type AdmissionControlDeps, admitKind } from "../admission-control.ts";
import { tokenVerdicts } from "../token-use.ts";
import { foundingOf } from "./cluster-facts.ts";
import type { ClusterRuntime } from "./cluster-runtime.ts";
import { contactsOf } from "./lobby-answers.ts";
import { methods } from "./member-rpc.ts";

const deliverMs = 8_000;

/** The admissions of a cluster as one of its members sees them; carried out only where the lease is. */
export function admissionControl(
  runtime: ClusterRuntime,
  { writer, later }: Pick<AdmissionControlDeps, "writer" | "later">,
  key: () => ClusterKey,
): AdmissionControl {
  const { mesh, journal, deps, self } = runtime;
  const { membership } = deps;

  async function through(via: PeerId, method: string, body: Json): Promise<ClaimOutcome> {
    const reply = await mesh.request(via, method, body, { deadlineMs: deliverMs });
    if (reply !== null && typeof reply === "object" && !Array.isArray(reply)) {
      if (reply.outcome === "accepted") return { outcome: "accepted" };
      if (reply.outcome === "later") return { outcome: "later" };
      if (reply.outcome === "refused") return { outcome: "refused", code: String(reply.code) };
    }
    return { outcome: "unreachable", detail: "no answer" };
  }

  return new AdmissionControl({
    facts: () => admissionFacts(runtime),
    writer,
    sign: async (peer, name, number) => {
      const { generation, revision } = number;
      return signCertificate({ peer, handle: name, generation, decision: revision }, key());
    },
    openedNumber: (id) => {
      const entry = journal.entry(id);
      if (entry === undefined) throw new MicrocephError("NOT_FOUND", `no journal entry ${id}`);
      return entry.openedNumber;
    },
    claim: async (via, peer, entry, number) =>
      via === self
        ? membership.deliverClaim(peer, { entry, number })
        : through(via, methods.deliverClaim, { peer, entry, number: { ...number } }),
    admit: async (via, peer) => {
      const certificate = journal.members().get(peer)?.certificate;
      if (certificate === undefined) return;
      const clusterName = runtime.options.cluster.name;
      const contacts = contactsOf(runtime);
      if (via === self) await membership.deliverAdmit(peer, { certificate, clusterName, contacts });
      else {
        const body = { peer, certificate: { ...certificate }, clusterName, contacts } as unknown as Json;
        await through(via, methods.deliverAdmit, body);
      }
    },
    release: async (via, peer) => {
      const head = journal.head();
      if (via === self) await membership.deliverRelease(peer, head);
      else await through(via, methods.deliverRelease, { peer, upTo: head === null ? null : { ...head } });
    },
    later,
    log: deps.log,
  });
}

/** Everything the admission plan looks at. */
export function admissionFacts(runtime: ClusterRuntime): Omit<AdmissionFacts, "outcomes" | "refusals"> {
  const { journal, document, presence, self, options, deps } = runtime;
  const view = document.view();
  const alive = (peer: PeerId): boolean => presence.view().get(peer)?.state === "alive";
  const entries = journal.entries();
  const admissions = entries.filter(({ kind }) => kind === admitKind).map(admissionOf);
  const members: [PeerId, ReturnType<AdmissionFacts["journal"]["members"]["get"]> & object][] = [];
  for (const [peer, member] of journal.members()) {
    const admission = admissions.findLast((one) => one?.peer === peer);
    if (admission) {
      const { entry, openedNumber } = admission;
      members.push([peer, { handle: member.handle, entry, openedNumber }]);
    }
  }
  return {
    now: deps.now(),
    steadyNow: deps.steadyNow(),
    self,
    cluster: options.cluster,
    reports: runtime.lobby.reports(alive),
    journal: {
      members: new Map(members),
      reservations: admissions.flatMap((one) => (one?.state === "open" && one.peer !== self ? [one] : [])),
      tombstones: new Set(journal.tombstones().keys()),
      handlesEverGiven: new Set(admissions.flatMap((one) => (one?.state === "done" ? [one.handle] : []))),
      founders: new Set(foundingOf(entries)?.acceptors ?? []),
    },
    admission: {
      mode: view.admission.mode,
      until: view.admission.until === null ? null : Date.parse(view.admission.until),
    },
    // What an operator says of a node itself counts more than a token that it has shown.
    verdicts: new Map<PeerId, { readonly verdict: "approve" | "deny"; readonly at: number }>([
      ...tokenVerdicts(document, deps.now(), (peer) => journal.members().has(peer)),
      ...Object.entries(view.approvals).map(
        ([peer, { verdict, at }]) => [peer as PeerId, { verdict, at: Date.parse(at) }] as const,
      ),
    ]),
  };
}

function admissionOf(entry: Entry): (Reservation & { readonly state: Entry["state"] }) | null {
  const { body } = entry;
  if (body === null || typeof body !== "object" || Array.isArray(body)) return null;
  const { peer, name, handle: text } = body;
  if (!isPeerId(peer) || !isHandle(text)) return null;
  return {
    entry: entry.id,
    peer,
    name: typeof name === "string" ? name : text,
    handle: handle(text),
    openedNumber: entry.openedNumber,
    openedAt: Date.parse(entry.openedAt),
    state: entry.state,
  };
}
