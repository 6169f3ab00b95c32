import { messageOf } from "../../errors/microceph-error.ts";
import type { ClusterId, PeerId } from "../../ids/ids.ts";
import { parseBoundedJson } from "./bounded-json.ts";
import type { NodeFacts } from "./cluster-document.ts";
import { firstIssue, maxEntryLength, nodeFacts } from "./entry-schemas.ts";

/** Signs with this node's key (Ed25519). */
export type Sign = (bytes: Uint8Array) => Uint8Array;
/** Whether `signature` over `bytes` is by the key that `peer` names. */
export type Verify = (peer: PeerId, bytes: Uint8Array, signature: Uint8Array) => boolean;

export type DecodedFacts =
  | { readonly ok: true; readonly facts: NodeFacts }
  | { readonly ok: false; readonly text: string };

const domain = "microceph document facts 1\n";

/**
 * A node's facts as one text: the signature in base64, a line feed, and the signed JSON
 * `{cluster, peer, facts}`. The signature covers the text as it stands, so no canonical form is needed, and
 * one value holds all of it, so no merge mixes two states.
 */
export function encodeFacts(cluster: ClusterId, peer: PeerId, facts: NodeFacts, sign: Sign): string {
  const body = JSON.stringify({ cluster, peer, facts });
  return `${Buffer.from(sign(signedBytes(body))).toString("base64")}\n${body}`;
}

/** The facts in a text, if the node itself signed them for this cluster. Never throws. */
export function decodeFacts(text: string, cluster: ClusterId, peer: PeerId, verify: Verify): DecodedFacts {
  if (text.length > maxEntryLength) return { ok: false, text: `longer than ${maxEntryLength} characters` };
  const end = text.indexOf("\n");
  if (end < 0) return { ok: false, text: "no signature" };
  const body = text.slice(end + 1);
  try {
    if (!verify(peer, signedBytes(body), Buffer.from(text.slice(0, end), "base64"))) {
      return { ok: false, text: "not signed by the node itself" };
    }
    const value = parseBoundedJson(body, maxEntryLength);
    if (value === null || typeof value !== "object" || Array.isArray(value))
      return { ok: false, text: "no object" };
    if (value.cluster !== cluster || value.peer !== peer)
      return { ok: false, text: "signed for another place" };
    const facts = nodeFacts.safeParse(value.facts);
    return facts.success ? { ok: true, facts: facts.data } : { ok: false, text: firstIssue(facts.error) };
  } catch (error) {
    return { ok: false, text: messageOf(error).slice(0, 200) };
  }
}

function signedBytes(body: string): Uint8Array {
  return Buffer.from(domain + body, "utf8");
}
