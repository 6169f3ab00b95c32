import { randomBytes } from "node:crypto";
import { z } from "zod";
import { MicrocephError } from "../errors/microceph-error.ts";
import { hostPort } from "../ids/host-port.ts";
import { type ClusterId, isClusterId, type PeerId } from "../ids/ids.ts";
import type { JoinToken } from "../state/document/cluster-document.ts";
import type { DocumentStore } from "../state/document/document-store.ts";
import { namedMembers } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import { parsePeer } from "./static-peers.ts";
import { hashOf } from "./token-use.ts";

/** Most bytes of a token as text. */
export const maxTokenLength = 2048;
const maxAddresses = 8;

/** What a token says to the node that is given it. */
const contentSchema = z.object({
  v: z.literal(1),
  cluster: z.custom<ClusterId>(isClusterId, "not a cluster id"),
  name: z.string().min(1).max(63),
  /** Lobbies of members. */
  at: z.array(z.string().max(80)).min(1).max(maxAddresses),
  secret: z.string().regex(/^[A-Za-z0-9_-]{22,64}$/),
});
export type TokenContent = z.infer<typeof contentSchema>;

export interface IssuedToken {
  readonly name: string;
  readonly token: string;
  /** RFC 3339. */
  readonly expiresAt: string;
}

/** A token as its operator sees it: its secret is only with whom it was given to. */
export interface ShownToken {
  readonly name: string;
  readonly expiresAt: string;
  readonly usedBy: PeerId | null;
}

/** Throws USAGE: not a token of ours, or damaged. */
export function readToken(text: string): TokenContent {
  try {
    if (text.length > maxTokenLength) throw new RangeError("too long");
    return contentSchema.parse(JSON.parse(Buffer.from(text.trim(), "base64url").toString("utf8")));
  } catch (cause) {
    throw new MicrocephError("USAGE", "this is no token of `microceph cluster add`, or only a part of one", {
      cause,
    });
  }
}

export function writeToken(content: TokenContent): string {
  return Buffer.from(JSON.stringify(contentSchema.parse(content))).toString("base64url");
}

/**
 * Make a token by which one node joins under a name. What is remembered of it is a hash. Throws NAME_TAKEN where
 * a member, or another token that may still be used, has this name.
 */
export function issueToken(
  cluster: ClusterRuntime,
  { name, seconds, now }: { readonly name: string; readonly seconds: number; readonly now: number },
): IssuedToken {
  if (namedMembers(cluster).some((one) => one.name === name || one.handle === name)) {
    throw new MicrocephError("NAME_TAKEN", `a member is called ${name} already`, { data: { name } });
  }
  if (openTokens(cluster.document, now).some(([, token]) => token.name === name)) {
    throw new MicrocephError("NAME_TAKEN", `there is a token for ${name} already`, { data: { name } });
  }
  forgetOld(cluster.document, now);
  const secret = randomBytes(24).toString("base64url");
  const expiresAt = new Date(now + seconds * 1000).toISOString();
  const content: TokenContent = {
    ...{ v: 1, cluster: cluster.options.cluster.id, name, secret },
    at: lobbiesOf(cluster),
  };
  const token = writeToken(content);
  const id = hashOf(secret).slice(0, 16);
  cluster.document.setToken(id, { name, hash: hashOf(secret), expiresAt, used: null });
  return { name, token, expiresAt };
}

/** Milliseconds for which a token is listed after its end. */
const keptMs = 30 * 86_400_000;

function forgetOld(document: DocumentStore, now: number): void {
  for (const [id, [token]] of Object.entries(document.view().tokens)) {
    if (token !== undefined && now - Date.parse(token.expiresAt) > keptMs) document.setToken(id, null);
  }
}

/** Where members answer who knock: this one's addresses first. */
function lobbiesOf({ document, self, journal }: ClusterRuntime): string[] {
  const { nodes } = document.view();
  const peers = [self, ...[...journal.members().keys()].filter((peer) => peer !== self)];
  return peers
    .flatMap((peer) => {
      const facts = nodes[peer];
      return facts === undefined ? [] : facts.addresses.map((address) => hostPort(address, facts.lobbyPort));
    })
    .slice(0, maxAddresses);
}

type Tokens = Pick<DocumentStore, "view">;

function openTokens(document: Tokens, now: number): [string, JoinToken][] {
  return Object.entries(document.view().tokens).flatMap(([id, [token]]): [string, JoinToken][] =>
    token !== undefined && token.used === null && Date.parse(token.expiresAt) > now ? [[id, token]] : [],
  );
}

/** Those that may still be used, and those that were. */
export function listTokens(document: Tokens): ShownToken[] {
  return Object.values(document.view().tokens)
    .flatMap(([token]) => (token === undefined ? [] : [token]))
    .map(({ name, expiresAt, used }) => ({ name, expiresAt, usedBy: used?.peer ?? null }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Take a token back that was not used. Throws NOT_FOUND. */
export function revokeToken(cluster: ClusterRuntime, name: string, now: number): void {
  const found = openTokens(cluster.document, now).filter(([, token]) => token.name === name);
  if (found.length === 0) throw new MicrocephError("NOT_FOUND", `there is no token for ${name} to revoke`);
  for (const [id] of found) cluster.document.setToken(id, null);
}

/** The lobbies that a token names, for who is to knock there. */
export function lobbiesIn({ at }: TokenContent, defaultPort: number): { address: string; port: number }[] {
  return at.map((text) => parsePeer(text, defaultPort));
}
