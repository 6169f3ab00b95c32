import { describe, expect, it } from "vitest";
import { handle } from "../../../../src/ids/ids.ts";
import { signCertificate } from "../../../../src/mesh/identity/certificate.ts";
import { generateClusterKey } from "../../../../src/mesh/identity/cluster-key.ts";
import {
  neighbourReportsSchema,
  reportNeighbours,
} from "../../../../src/mesh/membership/neighbour-report.ts";
import { provenClusters, seenFoundings, sightOf } from "../../../../src/mesh/membership/neighbours.ts";
import { cluster, neighbour, now, peer } from "./fixtures.ts";

const key = generateClusterKey();
const proof = (letter: string): ReturnType<typeof signCertificate> =>
  signCertificate({ peer: peer(letter), handle: handle("x"), generation: 1, decision: 1 }, key);
const member = neighbour(
  "d",
  { certificate: proof("d") },
  { state: "member", cluster: { id: key.id, name: "one" } },
);
const claimOf = (
  digit: string,
  confirmed: boolean,
  founder: string | null,
): { claim: NonNullable<ReturnType<typeof neighbour>["greeting"]["claim"]>; state: "claimed" } => ({
  state: "claimed",
  claim: {
    cluster: cluster(digit),
    founder: founder === null ? null : peer(founder),
    confirmed,
    entry: null,
  },
});

describe("provenClusters", () => {
  it("counts proofs of the last 30 s, even of a member that is silent since", () => {
    const at = (ms: number): typeof member => ({ ...member, answeredAt: now - ms, failures: 5 });
    expect(provenClusters([at(30_000)], now)).toMatchObject([
      { id: key.id, name: "one", members: [peer("d")] },
    ]);
    expect(provenClusters([at(30_001)], now)).toEqual([]);
  });

  it("counts no word without a certificate", () => {
    const liar = neighbour("e", {}, { state: "member", cluster: { id: cluster("9"), name: "liar" } });
    expect(provenClusters([liar], now)).toEqual([]);
  });
});

describe("seenFoundings", () => {
  it("is firm when founded, confirmed, or claimed by a member", () => {
    const all = [
      neighbour("e", {}, { state: "claimed", founding: cluster("1"), founded: false }),
      neighbour("f", {}, { state: "claimed", founding: cluster("2"), founded: true }),
      neighbour("g", {}, claimOf("3", true, "z")),
      neighbour("h", {}, claimOf("4", false, "y")),
      neighbour("i", {}, claimOf("5", true, null)),
      neighbour("j", {}, claimOf("6", true, "x")),
    ];
    expect(seenFoundings(all, now, cluster("6"))).toEqual([
      { cluster: cluster("2"), founder: peer("f"), firm: true },
      { cluster: cluster("3"), founder: peer("z"), firm: true },
      { cluster: cluster("5"), founder: null, firm: true },
      { cluster: cluster("1"), founder: peer("e"), firm: false },
      { cluster: cluster("4"), founder: peer("y"), firm: false },
    ]);
  });

  it("remembers what may be a cluster for 30 s after its nodes fell silent, the rest not", () => {
    const gone = { failures: 5, answeredAt: now - 29_000 };
    const [firm, loose] = [claimOf("1", true, "z"), claimOf("2", false, "z")];
    expect(seenFoundings([neighbour("e", gone, firm), neighbour("f", gone, loose)], now, null)).toEqual([
      { cluster: cluster("1"), founder: peer("z"), firm: true },
    ]);
    expect(seenFoundings([neighbour("e", { answeredAt: now - 30_001 }, firm)], now, null)).toEqual([]);
  });

  it("takes the firmest word of one founding", () => {
    const two = [neighbour("e", {}, claimOf("1", false, "z")), neighbour("f", {}, claimOf("1", true, "z"))];
    expect(seenFoundings(two, now, null)).toEqual([
      { cluster: cluster("1"), founder: peer("z"), firm: true },
    ]);
  });
});

describe("sightOf", () => {
  it("sees nodes without a cluster that could be won or are being won by a founder", () => {
    const all = [
      neighbour("e"),
      neighbour("f", {}, { window: { open: false, until: null } }),
      neighbour("g", {}, claimOf("1", false, "z")),
      neighbour("h", {}, claimOf("2", true, null)),
      neighbour("i", {}, { state: "claimed", founding: cluster("3") }),
      neighbour("j", { answeredAt: now - 15_001 }),
      member,
    ];
    const sight = sightOf(all, now, null, ["10.0.0.0/24"]);
    expect(sight).toMatchObject({
      sees: [peer("e"), peer("g"), peer("i")],
      seesCount: 3,
      clusters: [key.id],
    });
  });

  it("cuts the list, not the number", () => {
    const many = Array.from({ length: 40 }, (_, i) => ({
      ...neighbour("e"),
      peer: peer("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopq"[i] ?? "e"),
    }));
    const { sees, seesCount } = sightOf(many, now, null, []);
    expect([sees.length, seesCount]).toEqual([24, 40]);
  });
});

describe("reportNeighbours", () => {
  it("tells of strangers, not of fellow members, in a form that its schema takes", () => {
    const report = reportNeighbours([neighbour("e", { answeredAt: now - 700 }), member], now, key.id);
    expect(report).toMatchObject([
      { peer: peer("e"), firstSeenAgoMs: 20_000, answeredAgoMs: 700, proven: null },
    ]);
    expect(neighbourReportsSchema.safeParse(JSON.parse(JSON.stringify(report))).success).toBe(true);
    expect(reportNeighbours([member], now, null)).toMatchObject([{ proven: { id: key.id, name: "one" } }]);
  });
});
