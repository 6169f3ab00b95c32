import { MicrocephError } from "../../errors/microceph-error.ts";
import type { PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { Deadline } from "../../mesh/host/deadline.ts";
import { methods } from "./member-rpc.ts";

export interface ForwardDeps {
  readonly request: (peer: PeerId, method: string, body: Json, deadline: Deadline) => Promise<Json>;
  /** Whether a request would reach the member now. */
  readonly reaches: (peer: PeerId) => boolean;
  /** Whether the members have agreed that it is not there. */
  readonly hasFailed: (peer: PeerId) => boolean;
  /** Resolves when something has happened, or after so many milliseconds. */
  readonly next: (signal: AbortSignal, ms: number) => Promise<unknown>;
}

/** A request of the API, for another member. */
export interface ForwardedRequest {
  readonly method: string;
  readonly path: string;
  readonly body: Json;
}

/** Milliseconds that a member without a link is waited for: its daemon may just have been started anew. */
const linkMs = 5_000;

/**
 * Hand a request of the API to another member. Throws PEER_UNREACHABLE, DEADLINE_EXCEEDED, CANCELLED, or what the
 * other side threw.
 */
export async function forwardTo(
  deps: ForwardDeps,
  peer: PeerId,
  request: ForwardedRequest,
  { deadlineMs, signal }: { readonly deadlineMs: number; readonly signal: AbortSignal },
): Promise<{ status: number; body: Json }> {
  const waitedMs = await linked(deps, peer, { deadlineMs, signal });
  // What may take longer, as the wait for a job, has a longer deadline here too.
  const rest = { deadlineMs: deadlineMs - waitedMs, signal };
  const reply = await deps.request(peer, methods.forward, { ...request }, rest);
  if (
    reply === null ||
    typeof reply !== "object" ||
    Array.isArray(reply) ||
    typeof reply.status !== "number"
  ) {
    throw new MicrocephError("PEER_UNREACHABLE", "the other member's answer cannot be read");
  }
  return { status: reply.status, body: reply.body ?? null };
}

/** Wait for a link to a member that is there, for at most half of the time; the milliseconds that it took. */
async function linked(
  { reaches, hasFailed, next }: ForwardDeps,
  peer: PeerId,
  { deadlineMs, signal }: { readonly deadlineMs: number; readonly signal: AbortSignal },
): Promise<number> {
  if (reaches(peer)) return 0;
  const begin = performance.now();
  const limit = Math.min(linkMs, deadlineMs / 2);
  for (;;) {
    const waited = performance.now() - begin;
    if (reaches(peer) || hasFailed(peer) || waited >= limit) return waited;
    await next(signal, Math.min(100, limit - waited));
  }
}
