import { type Explanation, explanation } from "../api/contract/placed-services.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { PeerId } from "../ids/ids.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import { metadataOf } from "./member-job.ts";

const askMs = 8_000;
/**
 * Why what is planned is as it is: the holder of the lease knows, and is asked. Throws NO_QUORUM without one,
 * NOT_FOUND for what it has not planned, PEER_UNREACHABLE.
 */
export async function explain(
  cluster: ClusterRuntime,
  holder: PeerId | null,
  subject: string,
  signal: AbortSignal,
): Promise<Explanation> {
  if (holder === null) throw new MicrocephError("NO_QUORUM", "nobody holds the lease, so nothing is planned");
  if (holder !== cluster.self) {
    const path = `/1.0/mesh/explain/${encodeURIComponent(subject)}`;
    const { body } = await cluster.forward(
      holder,
      { method: "GET", path, body: null },
      { deadlineMs: askMs, signal },
    );
    return explanation.parse(metadataOf(body));
  }
  const planned = cluster.seat.reasons();
  const reasons = planned.get(subject);
  if (reasons === undefined) {
    const known = [...planned.keys()].sort().join(", ") || "nothing yet";
    throw new MicrocephError("NOT_FOUND", `nothing is planned of ${subject}; what is: ${known}`);
  }
  return { subject, reasons: [...reasons] };
}
