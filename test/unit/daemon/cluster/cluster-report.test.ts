import { describe, expect, it } from "vitest";
import { configuredDisks, osdsOf } from "../../../../src/daemon/cluster/cluster-report.ts";
import type { ClusterRuntime } from "../../../../src/daemon/cluster/cluster-runtime.ts";
import type { PeerId } from "../../../../src/ids/ids.ts";

const [former, anew, third] = ["former", "anew", "third"] as [PeerId, PeerId, PeerId];

/** Two nodes of one name that both call osd.4 their own, and a third one. */
function runtime(alive: readonly PeerId[], spoke: { former: string; anew: string }): ClusterRuntime {
  const osd = (id: number) => ({ osd: id, path: `/dev/sd${id}`, uuid: `uuid-${id}` });
  const nodes = {
    [former]: { name: "n3", updatedAt: spoke.former, osds: [osd(4), osd(5)] },
    [anew]: { name: "n3", updatedAt: spoke.anew, osds: [osd(4)] },
    [third]: { name: "n1", updatedAt: "2026-11-25T10:00:00.000Z", osds: [osd(0)] },
  };
  return {
    self: third,
    document: { view: () => ({ nodes, labels: {} }) },
    presence: { stateOf: (peer: PeerId) => (alive.includes(peer) ? "alive" : "failed") },
  } as unknown as ClusterRuntime;
}

const early = "2026-11-25T09:00:00.000Z";
const late = "2026-11-25T11:00:00.000Z";
const numbers = (cluster: ClusterRuntime, peer: PeerId): number[] =>
  osdsOf(cluster, peer).map(({ osd }) => osd);

describe("an OSD that two members call their own", () => {
  it("is that of the one which is alive, whoever spoke last", () => {
    const cluster = runtime([anew], { former: late, anew: early });
    expect(configuredDisks(cluster).map(({ osd, location }) => [osd, location])).toEqual([
      [0, "n1"],
      [4, "n3"],
      [5, "n3"],
    ]);
    expect([numbers(cluster, former), numbers(cluster, anew)]).toEqual([[5], [4]]);
    const still = runtime([former], { former: early, anew: late });
    expect([numbers(still, former), numbers(still, anew)]).toEqual([[4, 5], []]);
  });

  it("is that of the one which spoke last, where both or none are alive", () => {
    for (const alive of [[], [former, anew]]) {
      const cluster = runtime(alive, { former: late, anew: early });
      expect([numbers(cluster, former), numbers(cluster, anew)]).toEqual([[4, 5], []]);
    }
  });
});
