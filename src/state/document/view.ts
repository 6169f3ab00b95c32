import type { PeerId } from "../../ids/ids.ts";
import { resolveAdmission } from "./admission-policy.ts";
import { type Approval, resolveApproval } from "./approval-policy.ts";
import type { ClusterDocument, DocumentProblem, JoinToken } from "./cluster-document.ts";
import { type Entries, keyOf } from "./entries.ts";

/** What the valid entries mean at a moment (ms since the epoch). */
export function resolveView(
  entries: Entries,
  now: number,
): { readonly view: ClusterDocument; readonly problems: readonly DocumentProblem[] } {
  const problems = [...entries.problems];
  const approvals = new Map<PeerId, Approval>();
  for (const [peer, words] of entries.approvals) {
    const resolved = resolveApproval(words, now);
    if (resolved.state === "holds") approvals.set(peer, resolved.approval);
    if (resolved.state === "ahead") {
      problems.push({
        path: keyOf.approval(peer),
        text: "approved at a time that has not come: check the clocks",
      });
    }
  }
  const view: ClusterDocument = {
    settings: record(entries.settings),
    admission: resolveAdmission(entries.admission, now),
    approvals: record(approvals),
    services: record(entries.services),
    labels: record(entries.labels),
    nodes: record(entries.nodes),
    tokens: record(resolveTokens(entries.tokens)),
    removals: record(entries.removals),
  };
  return { view, problems };
}

/** Of concurrent words those that tell of a use, the earliest first; else the one that won. */
function resolveTokens(tokens: Entries["tokens"]): Map<string, readonly JoinToken[]> {
  const resolved = new Map<string, readonly JoinToken[]>();
  for (const [id, words] of tokens) {
    const rank = ({ used }: JoinToken): string => (used === null ? "" : `${used.at} ${used.peer}`);
    const used = words.filter((word) => word.used !== null).sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
    const kept = used.length > 0 ? used : words.slice(0, 1);
    if (kept.length > 0) resolved.set(id, kept);
  }
  return resolved;
}

/** Without a prototype: a name such as `constructor` is absent unless somebody set it. */
function record<K extends string, V>(entries: ReadonlyMap<K, V>): Readonly<Record<K, V>> {
  return Object.assign(Object.create(null) as Record<K, V>, Object.fromEntries(entries));
}
