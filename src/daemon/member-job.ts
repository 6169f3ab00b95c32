import { z } from "zod";
import type { Envelope } from "../api/contract/envelope.ts";
import { errorFromEnvelope } from "../api/envelopes.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { PeerId } from "../ids/ids.ts";
import type { Json } from "../ids/json.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";

const begun = z.object({ id: z.string() });
const looked = z.object({
  state: z.string(),
  error: z.object({ message: z.string() }).loose().nullable().default(null),
  result: z.json().optional(),
});
const envelope = z.object({
  type: z.string(),
  error: z.string().default(""),
  error_code: z.number().default(0),
  metadata: z.json().nullable().default(null),
});
/** What another member's server has answered with. Throws what it refused with. */
export function metadataOf(body: Json): Json {
  const said = envelope.parse(body);
  if (said.type === "error") throw errorFromEnvelope(said as Envelope);
  return said.metadata;
}

type MemberRequest = Parameters<ClusterRuntime["deps"]["inject"]>[0];

/** Ask a member's API, this one's too. Throws what it refuses with, PEER_UNREACHABLE, DEADLINE_EXCEEDED. */
export async function askMember(
  cluster: ClusterRuntime,
  peer: PeerId,
  asked: MemberRequest,
  context: { readonly deadlineMs: number; readonly signal: AbortSignal },
): Promise<Json> {
  const reply =
    peer === cluster.self ? await cluster.deps.inject(asked) : await cluster.forward(peer, asked, context);
  return metadataOf(z.object({ body: z.json() }).parse(reply).body);
}

const requestMs = 10_000;
const lookSeconds = 20;

/**
 * Have a member, this one too, carry out a job of its own, and wait for its end. Throws what the member refused it
 * with, PROGRAM_FAILED with its words when it failed, DEADLINE_EXCEEDED, PEER_UNREACHABLE.
 */
export async function finishOn(
  cluster: ClusterRuntime,
  peer: PeerId,
  request: { readonly method: "POST" | "PUT" | "DELETE"; readonly path: string; readonly body: Json },
  { deadlineMs, signal }: { readonly deadlineMs: number; readonly signal: AbortSignal },
): Promise<Json> {
  const end = performance.now() + deadlineMs;
  const ask = (asked: MemberRequest, ms: number): Promise<Json> =>
    askMember(cluster, peer, asked, { deadlineMs: ms, signal });
  const { id } = begun.parse(await ask(request, requestMs));
  for (;;) {
    signal.throwIfAborted();
    const path = `/1.0/jobs/${encodeURIComponent(id)}/wait?timeout=${lookSeconds}`;
    const job = looked.parse(await ask({ method: "GET", path, body: null }, lookSeconds * 1000 + requestMs));
    if (job.state === "success") return job.result ?? null;
    if (job.state === "failure") {
      throw new MicrocephError("PROGRAM_FAILED", job.error?.message ?? "the job failed");
    }
    if (performance.now() > end) {
      throw new MicrocephError(
        "DEADLINE_EXCEEDED",
        `${request.path} did not end in time on the other member`,
      );
    }
  }
}
