import { createHash } from "node:crypto";
import type { PeerId } from "../ids/ids.ts";
import { approvalMs } from "../mesh/membership/admission-plan.ts";
import type { DocumentStore } from "../state/document/document-store.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";

/** What is remembered of a secret, in hexadecimal. */
export function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/**
 * A node shows the secret of a token in the lobby. Whether it may join by it: the first one that shows it may, and
 * may show it again.
 */
export function honourToken(
  cluster: Pick<ClusterRuntime, "document" | "wake">,
  peer: PeerId,
  secret: string,
  now: number,
): boolean {
  const hash = hashOf(secret);
  const id = hash.slice(0, 16);
  const [token] = cluster.document.view().tokens[id] ?? [];
  if (token === undefined || token.hash !== hash) return false;
  if (token.used !== null) return token.used.peer === peer;
  if (Date.parse(token.expiresAt) <= now) return false;
  const { name, expiresAt } = token;
  cluster.document.setToken(id, { name, hash, expiresAt, used: { peer, at: new Date(now).toISOString() } });
  cluster.document.setLabels(peer, { name });
  cluster.wake("token");
  return true;
}

/**
 * Who may join by a token, and since when (ms since the epoch). Of two that used one at the same moment it is the one
 * that is a member already, else the earlier one. As an approval, a use that led to nothing lapses after a day.
 */
export function tokenVerdicts(
  document: Pick<DocumentStore, "view">,
  now: number,
  isMember: (peer: PeerId) => boolean,
): Map<PeerId, { readonly verdict: "approve"; readonly at: number }> {
  const verdicts = new Map<PeerId, { readonly verdict: "approve"; readonly at: number }>();
  for (const words of Object.values(document.view().tokens)) {
    const uses = words.flatMap(({ used }) => (used === null ? [] : [used]));
    const use = uses.find(({ peer }) => isMember(peer)) ?? uses[0];
    if (use === undefined || now - Date.parse(use.at) >= approvalMs) continue;
    verdicts.set(use.peer, { verdict: "approve", at: Date.parse(use.at) });
  }
  return verdicts;
}
