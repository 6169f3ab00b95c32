import type { ClusterRuntime } from "../cluster/cluster-runtime.ts";
import { countBy, type Metric, type Sample } from "./registry.ts";

/** Lease, journal and document. */
export function stateMetrics(cluster: () => ClusterRuntime | null, now: () => number): Metric[] {
  const ofState = (read: (runtime: ClusterRuntime) => Sample[] | number | null) => () => {
    const runtime = cluster();
    return runtime === null ? null : read(runtime);
  };
  return [
    {
      name: "microceph_leader_changes_total",
      kind: "counter",
      help: "Leases taken, by whomever, since the daemon started.",
      read: ofState(({ clusterEvents }) => clusterEvents.leaseChanges),
    },
    {
      name: "microceph_lease_epoch",
      kind: "gauge",
      help: "Epoch of the lease as last heard.",
      read: ofState(({ quorum }) => quorum.report().epoch),
    },
    {
      name: "microceph_lease_held",
      kind: "gauge",
      help: "1 when this node holds the lease.",
      read: ofState(({ quorum, self }) => (quorum.report().holder === self ? 1 : 0)),
    },
    {
      name: "microceph_quorum",
      kind: "gauge",
      help: "1 when decisions can be made.",
      read: ofState(({ quorum }) => (quorum.report().ok ? 1 : 0)),
    },
    {
      name: "microceph_decisions",
      kind: "gauge",
      help: "Decisions in this node's copy of the journal, by kind and state.",
      read: ofState(({ journal }) => countBy(journal.entries(), ({ kind, state }) => ({ kind, state }))),
    },
    {
      name: "microceph_journal_revision",
      kind: "gauge",
      help: "Newest record in this node's copy of the journal.",
      read: ofState(({ journal }) => journal.head()?.revision ?? 0),
    },
    {
      name: "microceph_journal_lag_records",
      kind: "gauge",
      help: "Records that a fellow member is known to have beyond that.",
      read: ofState(({ journal, journalSync }) =>
        Math.max(0, journalSync.heard - (journal.head()?.revision ?? 0)),
      ),
    },
    {
      name: "microceph_journal_age_seconds",
      kind: "gauge",
      help: "Age of the newest record, by its writer's clock.",
      read: ofState(({ journal }) => {
        const last = journal.last();
        return last === null ? null : Math.max(0, (now() - Date.parse(last.at)) / 1000);
      }),
    },
    {
      name: "microceph_document_changes",
      kind: "gauge",
      help: "Changes in the cluster document.",
      read: ofState(({ document }) => document.size().changes),
    },
    {
      name: "microceph_document_bytes",
      kind: "gauge",
      help: "Size of the cluster document on disk: its snapshot and the changes since.",
      read: ofState(({ document }) => document.size().bytes),
    },
  ];
}
