import type { Handle, PeerId } from "../../ids/ids.ts";
import { fingerprintWords } from "../identity/fingerprint.ts";
import type {
  AdmissionFacts,
  AdmissionMode,
  AdmissionPlan,
  AdmissionStep,
  Conflict,
  PendingNode,
  Reservation,
} from "./admission-facts.ts";
import { chooseHandle } from "./handle-choice.ts";
import { mergeReports, type SeenNode } from "./merge-reports.ts";

/** An approval is an operator's word about a node in sight: it does not last for ever. */
export const approvalMs = 24 * 3_600_000;
/** Pause before a node that refused is claimed again. */
export const refusalRestMs = 60_000;
/** A reserved node that no member has seen for so long loses its reservation. */
export const unseenMs = 600_000;
/** Admissions under way at once, so that a rack that boots does not flood the journal. */
export const maxReservations = 8;

/** The mode now: an `auto` that has run out is `approve`. */
export function effectiveMode(
  admission: { readonly mode: AdmissionMode; readonly until: number | null },
  now: number,
): AdmissionMode {
  const over = admission.until !== null && now >= admission.until;
  return admission.mode === "auto" && over ? "approve" : admission.mode;
}

/** What the lease holder does next about nodes in sight, and what `mesh status` shows of them. Pure. */
export function planAdmission(facts: AdmissionFacts): AdmissionPlan {
  const seen = mergeReports(facts);
  const draft: Draft = {
    steps: [],
    pending: [],
    conflicts: otherClusters(seen, facts),
    handles: new Set([
      ...facts.journal.handlesEverGiven,
      ...facts.journal.reservations.map(({ handle }) => handle),
    ]),
    free: maxReservations - facts.journal.reservations.length,
  };
  const reserved = new Set(facts.journal.reservations.map(({ peer }) => peer));
  for (const reservation of facts.journal.reservations) {
    planReservation(draft, facts, reservation, seen.get(reservation.peer));
  }
  for (const node of seen.values()) {
    if (reserved.has(node.peer)) continue;
    const member = facts.journal.members.get(node.peer);
    if (member !== undefined) planMember(draft, facts, node, member);
    else planStranger(draft, facts, node);
  }
  return { steps: draft.steps, pending: draft.pending, conflicts: draft.conflicts };
}

interface Draft {
  readonly steps: AdmissionStep[];
  readonly pending: PendingNode[];
  readonly conflicts: Conflict[];
  readonly handles: Set<string>;
  free: number;
}

function planReservation(
  draft: Draft,
  facts: AdmissionFacts,
  reservation: Reservation,
  node: SeenNode | undefined,
): void {
  const { entry, peer, handle, openedNumber } = reservation;
  const dead = whyAbandoned(facts, reservation, node);
  if (dead !== undefined) {
    draft.steps.push({ do: "abandon", entry, peer, reason: dead });
    return;
  }
  const held = node !== undefined && isOurs(node, facts) && node.report.claim?.entry === entry;
  if (held || facts.outcomes.get(entry)?.outcome === "accepted") {
    draft.steps.push({ do: "close", entry, peer, handle });
    if (node) show(draft, facts, node, "claimed", "has accepted the claim");
    return;
  }
  if (node === undefined) return;
  draft.steps.push({ do: "claim", peer, via: node.via, entry, number: openedNumber });
  show(draft, facts, node, "reserved", "is being claimed");
}

/** Why a reservation comes to nothing; undefined while it may still lead to an admission. */
function whyAbandoned(
  facts: AdmissionFacts,
  { entry, peer, openedAt }: Reservation,
  node: SeenNode | undefined,
): string | undefined {
  if (facts.journal.tombstones.has(peer)) return "this identity was removed from the cluster";
  if (facts.verdicts.get(peer)?.verdict === "deny") return "an operator denied it";
  const outcome = facts.outcomes.get(entry);
  if (outcome?.outcome === "refused") return `the node refused the claim: ${outcome.code}`;
  if (outcome?.outcome === "accepted") return undefined;
  if (node === undefined) {
    return facts.now - openedAt >= unseenMs ? "no member has seen it for 10 minutes" : undefined;
  }
  // What a node was seen as may be older than the reservation: only what cannot change any more counts here,
  // for the rest the node's own answer to the claim.
  if (node.report.state === "removed") return "it was removed from a cluster and must be reset";
  const { proven } = node.report;
  return proven !== null && proven.id !== facts.cluster.id ? "it is a member of another cluster" : undefined;
}

function planMember(
  draft: Draft,
  facts: AdmissionFacts,
  node: SeenNode,
  member: { readonly handle: Handle } & Pick<Reservation, "entry" | "openedNumber">,
): void {
  const { peer, report, via } = node;
  if (isOurs(node, facts)) {
    draft.steps.push({ do: "admit", peer, via });
    return;
  }
  // Its operator released it in the moment of admission: the same claim leads it back.
  if (report.state === "fresh" && report.windowOpen && isFreeForUs(node, facts)) {
    draft.steps.push({ do: "claim", peer, via, entry: member.entry, number: member.openedNumber });
    return;
  }
  if (report.state === "member" && report.proven === null) return;
  draft.conflicts.push({
    kind: "lost-membership",
    detail: `${nameOf(node)} is a member of this cluster by the journal (${member.handle}) but says it is ${report.state}`,
  });
}

function planStranger(draft: Draft, facts: AdmissionFacts, node: SeenNode): void {
  const { peer, report, via } = node;
  const ours = isOurs(node, facts);
  if (facts.journal.tombstones.has(peer)) {
    if (ours) draft.steps.push({ do: "release", peer, via });
    draft.conflicts.push({
      kind: "removed-node",
      detail: `${nameOf(node)} was removed from this cluster; with a new state directory it is a fresh node`,
    });
    return;
  }
  if (!ours && report.state !== "fresh") return;
  if (facts.verdicts.get(peer)?.verdict === "deny") {
    if (ours) draft.steps.push({ do: "release", peer, via });
    show(draft, facts, node, "denied", "an operator denied it");
    return;
  }
  const obstacle = whyNot(draft, facts, node, ours);
  if (obstacle !== undefined) {
    show(draft, facts, node, "waiting", obstacle);
    return;
  }
  const handle = chooseHandle(report.name, draft.handles);
  draft.handles.add(handle);
  draft.free -= 1;
  draft.steps.push({ do: "reserve", peer, name: report.name, handle });
  show(draft, facts, node, "reserved", "is being claimed");
}

/** Why a node in sight is not claimed now; undefined when it is. */
function whyNot(draft: Draft, facts: AdmissionFacts, node: SeenNode, ours: boolean): string | undefined {
  const { peer, report } = node;
  const { now, steadyNow, cluster } = facts;
  if (!ours) {
    if (!report.windowOpen) return "its window is closed: `microceph mesh join` on it opens it";
    if (report.joining !== null && report.joining !== cluster.id)
      return "its operator wants it in another cluster";
    if (!isFreeForUs(node, facts)) {
      draft.conflicts.push({
        kind: "two-clusters",
        detail: `${nameOf(node)} sees more than one cluster; \`microceph mesh join CLUSTER\` on it decides`,
      });
      return "it sees more than one cluster: `microceph mesh join CLUSTER` on it decides";
    }
  }
  if (!isAllowed(facts, peer)) {
    return effectiveMode(facts.admission, now) === "closed"
      ? "admission is closed"
      : "waits for `microceph mesh approve`";
  }
  const refusal = facts.refusals.get(peer);
  if (
    refusal !== undefined &&
    steadyNow - refusal.at < refusalRestMs &&
    !isRefusalOver(node, facts, refusal)
  ) {
    return `it refused the claim: ${refusal.code}`;
  }
  if (draft.free <= 0) return "others are being admitted first";
  return undefined;
}

/** Its operator has run `mesh join` since. */
function isRefusalOver(
  { report, heardAt }: SeenNode,
  { cluster }: AdmissionFacts,
  refusal: { readonly code: string; readonly at: number },
): boolean {
  if (heardAt <= refusal.at) return false;
  return report.joining === cluster.id || (refusal.code === "window-closed" && report.windowOpen);
}

function isAllowed(facts: AdmissionFacts, peer: PeerId): boolean {
  if (facts.journal.founders.has(peer)) return true;
  const mode = effectiveMode(facts.admission, facts.now);
  if (mode !== "approve") return mode === "auto";
  const verdict = facts.verdicts.get(peer);
  return verdict?.verdict === "approve" && facts.now - verdict.at < approvalMs;
}

/** It holds a claim of this cluster. */
function isOurs({ report }: SeenNode, { cluster }: AdmissionFacts): boolean {
  return report.state === "claimed" && report.claim?.cluster === cluster.id;
}

/** A fresh node that would accept a claim of this cluster. */
function isFreeForUs({ report }: SeenNode, { cluster }: AdmissionFacts): boolean {
  if (report.joining !== null) return report.joining === cluster.id;
  return report.clusters.every((id) => id === cluster.id);
}

function otherClusters(seen: ReadonlyMap<PeerId, SeenNode>, { cluster }: AdmissionFacts): Conflict[] {
  const others = new Map<string, string>();
  for (const { report } of seen.values()) {
    if (report.proven !== null && report.proven.id !== cluster.id)
      others.set(report.proven.id, report.proven.name);
  }
  return [...others].map(([id, name]) => ({
    kind: "other-cluster",
    detail: `cluster ${name} (${id}) is on this network too; clusters never merge`,
  }));
}

function show(
  draft: Draft,
  facts: AdmissionFacts,
  node: SeenNode,
  stage: PendingNode["stage"],
  reason: string,
): void {
  const { peer, report, seenBy, firstSeen } = node;
  draft.pending.push({
    id: peer,
    name: report.name,
    address: report.address,
    fingerprint: fingerprintWords(facts.cluster.publicKey, peer),
    windowOpen: report.windowOpen,
    seenBy,
    firstSeen: new Date(facts.now - (facts.steadyNow - firstSeen)).toISOString(),
    stage,
    reason,
  });
}

function nameOf({ report, peer }: SeenNode): string {
  return `${report.name || "?"} (…${peer.slice(-6)})`;
}
