import { verifyCertificate } from "../../mesh/identity/certificate.ts";
import type { ClusterRuntime } from "./cluster-runtime.ts";
import {
  admitDelivery,
  cancelBody,
  claimDelivery,
  forwardBody,
  methods,
  numberedEntry,
  orderBody,
  releaseDelivery,
} from "./member-rpc.ts";

/** What this member answers to its fellow members: every body is parsed here, where it arrives. */
export function serveMembers(runtime: ClusterRuntime): void {
  const { mesh, deps } = runtime;
  const { membership } = deps;

  mesh.handle(methods.documentSync, (from, body) => runtime.documentSync.handle(from, body));
  mesh.handle(methods.journalPull, async (from, body) => runtime.journalSync.handle(from, body));
  mesh.handle(methods.confirm, async (_from, body) => {
    const { entry, number } = numberedEntry.parse(body);
    return runtime.seat.confirm({ entry, number });
  });
  mesh.handle(methods.quorum, () => runtime.quorum.answer());
  mesh.handle(methods.obey, async (_from, body) => runtime.agent.obey(orderBody.parse(body)));
  mesh.handle(methods.cancel, async (_from, body) => {
    return runtime.agent.cancel(cancelBody.parse(body));
  });
  mesh.handle(methods.cephAccess, async (from, _body, signal) => {
    // The gater lets members in only; a key still goes to none that the journal does not name.
    if (!runtime.journal.members().has(from)) return null;
    return runtime.cephAccess(signal);
  });
  mesh.handle(methods.deliverClaim, async (_from, body) => {
    const { peer, entry, number } = claimDelivery.parse(body);
    return { ...(await membership.deliverClaim(peer, { entry, number })) };
  });
  mesh.handle(methods.deliverAdmit, async (_from, body) => {
    const { peer, certificate, clusterName, contacts } = admitDelivery.parse(body);
    const verified = verifyCertificate(certificate, { cluster: runtime.options.cluster.id, peer });
    if (verified === undefined) return { outcome: "refused", code: "bad-proof" };
    return { ...(await membership.deliverAdmit(peer, { certificate: verified, clusterName, contacts })) };
  });
  mesh.handle(methods.deliverRelease, async (_from, body) => {
    const { peer, upTo } = releaseDelivery.parse(body);
    return { ...(await membership.deliverRelease(peer, upTo)) };
  });
  mesh.handle(methods.eventsPull, async (_from, body) => runtime.relay.answer(body));
  mesh.handle(methods.forward, async (_from, body) => deps.inject(forwardBody.parse(body)));
}
