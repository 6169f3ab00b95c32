import type { z } from "zod";
import { MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { ClusterId, PeerId } from "../../ids/ids.ts";
import { parseBoundedJson } from "./bounded-json.ts";
import type { NodeFacts } from "./cluster-document.ts";
import { firstIssue, maxEntryLength } from "./entry-schemas.ts";

/** A value from inside the daemon that must fit, or USAGE. */
export function usage<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (!result.success) throw new MicrocephError("USAGE", `${what}: ${firstIssue(result.error)}`);
  return result.data;
}

/** JSON text of an entry that every reader will accept, or USAGE. */
export function bounded(json: string, what: string): string {
  try {
    parseBoundedJson(json, maxEntryLength);
    return json;
  } catch (error) {
    throw new MicrocephError("USAGE", `${what}: ${messageOf(error)}`, { cause: error });
  }
}

/** Characters of a signature and its line end, and some more. */
const signatureRoom = 128;

/** Facts that every reader will accept once they are signed, or USAGE. */
export function checkFacts(cluster: ClusterId, peer: PeerId, facts: NodeFacts): void {
  const body = bounded(JSON.stringify({ cluster, peer, facts }), "facts");
  if (body.length > maxEntryLength - signatureRoom) throw new MicrocephError("USAGE", "facts: too long");
}
