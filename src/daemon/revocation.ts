import { kinds } from "../ceph/control/decisions.ts";
import { placedDaemons } from "../ceph/control/placed-daemons.ts";
import { rekeyedFor, revokePrefix } from "../ceph/control/rekey.ts";
import { MicrocephError, messageOf } from "../errors/microceph-error.ts";
import type { PeerId } from "../ids/ids.ts";
import type { Json } from "../ids/json.ts";
import { foundingOf } from "./cluster/cluster-facts.ts";
import { namedMembers, osdsOf } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";
import { finishOn } from "./member-job.ts";
import { runtimeOf } from "./runtime-of.ts";

const rekeyMs = 900_000;
const memberMs = 300_000;

/** Name of the setting that asks for it; followed once the member is gone. */
export const revokeSetting = (handle: string): string => `${revokePrefix}${handle}`;

/** Whether it ever had a vote or a monitor: then it has seen every key that Ceph's monitors keep. */
export function hadSeat(cluster: ClusterRuntime, peer: PeerId, handle: string): boolean {
  const entries = cluster.journal.entries();
  const about: readonly string[] = [kinds.voter, kinds.monitor, kinds.bootstrap];
  return (
    foundingOf(entries)?.founder === peer ||
    entries.some(({ kind, body }) => {
      const of = body !== null && typeof body === "object" && !Array.isArray(body) ? body : {};
      return about.includes(kind) && (of.peer === peer || of.handle === handle);
    })
  );
}

/**
 * What a member that is gone knew opens nothing any more: `client.admin` and `mon.` by a decision, then, where it had
 * seen all keys, those of gateways and of encrypted OSDs, each by its own node. @returns what could not be replaced
 */
export async function revoke(
  daemon: Daemon,
  gone: { readonly peer: PeerId; readonly handle: string; readonly hadSeat: boolean },
  tools: JobTools,
): Promise<string[]> {
  const { peer, handle } = gone;
  const cluster = runtimeOf(daemon);
  const end = performance.now() + rekeyMs;
  if (!rekeyedFor(cluster.journal.entries(), "done").has(peer)) {
    cluster.document.setSetting(revokeSetting(handle), peer);
    cluster.wake("revocation");
  }
  while (!rekeyedFor(cluster.journal.entries(), "done").has(peer)) {
    if (performance.now() > end) {
      throw new MicrocephError(
        "DEADLINE_EXCEEDED",
        "client.admin and mon. have not got other keys yet; it goes on",
      );
    }
    tools.report(95, "client.admin and mon. get other keys");
    await daemon.events.next(tools.signal, 1_000);
  }
  return gone.hadSeat ? ownKeys(cluster, tools) : [];
}

async function ownKeys(cluster: ClusterRuntime, tools: JobTools): Promise<string[]> {
  const left: string[] = [];
  const gateways = placedDaemons(cluster.journal.entries()).filter(({ type }) => type === "rgw");
  for (const { id, name, handle } of namedMembers(cluster)) {
    const paths = [
      ...(gateways.some((one) => one.handle === handle) ? ["/1.0/services/rgw/rekey"] : []),
      ...osdsOf(cluster, id).map(({ osd }) => `/1.0/disks/${osd}/rotate-key`),
    ];
    for (const path of paths) {
      const what = `${path.replace(/^\/1\.0\/(?:disks|services)\/(.*)\/.*$/, "$1")} of ${name}`;
      tools.report(97, `${what} gets another key`);
      try {
        await finishOn(
          cluster,
          id,
          { method: "POST", path, body: {} satisfies Json },
          {
            deadlineMs: memberMs,
            signal: tools.signal,
          },
        );
      } catch (error) {
        tools.signal.throwIfAborted();
        const why = messageOf(error);
        // Most are not encrypted, and have no key to replace.
        if (!/is not encrypted/.test(why)) left.push(`${what}: ${why}`.slice(0, 300));
      }
    }
  }
  return left;
}
