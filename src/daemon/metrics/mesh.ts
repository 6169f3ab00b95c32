import type { LobbyHost } from "../../mesh/lobby/lobby-host.ts";
import type { ClusterRuntime } from "../cluster/cluster-runtime.ts";
import { countBy, type Metric, type Sample } from "./registry.ts";

export interface MeshSources {
  readonly lobby: LobbyHost;
  /** Null while this node is no member. */
  readonly cluster: () => ClusterRuntime | null;
}

/** Lobby, members' mesh, presence, and what is told of events. */
export function meshMetrics({ lobby, cluster }: MeshSources): Metric[] {
  const ofMesh = (read: (runtime: ClusterRuntime) => Sample[] | number) => () => {
    const runtime = cluster();
    return runtime === null ? null : read(runtime);
  };
  const labelled = (label: string, counts: Readonly<Record<string, number>>): Sample[] =>
    Object.entries(counts).map(([key, value]) => ({ labels: { [label]: key }, value }));
  return [
    {
      name: "microceph_lobby_requests_total",
      kind: "counter",
      help: "What came to the lobby, by outcome; dropped ones with their reason.",
      read: () => labelled("outcome", lobby.counters()),
    },
    {
      name: "microceph_members",
      kind: "gauge",
      help: "Other members by presence, as this node finds them.",
      read: ofMesh(({ presence }) => countBy(presence.view().values(), ({ state }) => ({ state }))),
    },
    {
      name: "microceph_presence_doubt_ratio",
      kind: "gauge",
      help: "By how much this node doubts itself, and so waits longer before it takes others for gone; 1: not at all.",
      read: ofMesh(({ presence }) => presence.stretch),
    },
    {
      name: "microceph_connected_members",
      kind: "gauge",
      help: "Members with a connection to this node.",
      read: ofMesh(({ mesh }) => mesh.connected().length),
    },
    {
      name: "microceph_rpc_requests_total",
      kind: "counter",
      help: "Requests between members, asked by and served on this node.",
      read: ofMesh(({ mesh }) => {
        const { asked, served } = mesh.counters().rpc;
        return labelled("direction", { asked, served });
      }),
    },
    {
      name: "microceph_rpc_errors_total",
      kind: "counter",
      help: "Those of them that ended in an error.",
      read: ofMesh(({ mesh }) => {
        const { askedFailed, servedFailed } = mesh.counters().rpc;
        return labelled("direction", { asked: askedFailed, served: servedFailed });
      }),
    },
    {
      name: "microceph_relayed_requests_total",
      kind: "counter",
      help: "Requests between two others that this node carried, and relayed ones that it refused.",
      read: ofMesh(({ mesh }) => labelled("outcome", mesh.counters().relay)),
    },
    {
      name: "microceph_gossip_messages_total",
      kind: "counter",
      help: "Gossip of this node (sent), of others (heard), and what was not let through (dropped).",
      read: ofMesh(({ mesh }) => labelled("direction", mesh.counters().gossip)),
    },
    {
      name: "microceph_told_events_total",
      kind: "counter",
      help: "Events told to and heard from other members: told, heard, duplicates, gaps, pulls, malformed.",
      read: ofMesh(({ relay }) => labelled("outcome", relay.counters())),
    },
  ];
}
