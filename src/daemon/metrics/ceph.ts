import type { ClusterRuntime } from "../cluster/cluster-runtime.ts";
import type { Metric, Sample } from "./registry.ts";

/** Ceph, as far as the daemon watches it; Ceph's own manager has the rest. */
export function cephMetrics(cluster: () => ClusterRuntime | null): Metric[] {
  const ofCeph = (read: (runtime: ClusterRuntime) => Sample[] | number | null) => () => {
    const runtime = cluster();
    return runtime === null ? null : read(runtime);
  };
  return [
    {
      name: "microceph_ceph_reachable",
      kind: "gauge",
      help: "1 when Ceph's monitors answered the last question of this node.",
      read: ofCeph(({ cephView }) => (cephView.answers ? 1 : 0)),
    },
    {
      name: "microceph_ceph_looks_total",
      kind: "counter",
      help: "How often this node has asked Ceph for its status.",
      read: ofCeph(({ cephView }) => cephView.looks),
    },
    {
      name: "microceph_ceph_osds",
      kind: "gauge",
      help: "OSDs as last heard.",
      read: ofCeph(({ cephView }) => {
        const osds = cephView.health?.osds;
        if (osds === undefined) return null;
        return Object.entries(osds).map(([state, value]) => ({ labels: { state }, value }));
      }),
    },
  ];
}
