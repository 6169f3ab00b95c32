import { describe, expect, it } from "vitest";
import { handle } from "../../../../src/ids/ids.ts";
import { signCertificate } from "../../../../src/mesh/identity/certificate.ts";
import { generateClusterKey } from "../../../../src/mesh/identity/cluster-key.ts";
import { claimStatus, type JournalStanding } from "../../../../src/mesh/membership/claim-standing.ts";
import type { Lifecycle } from "../../../../src/mesh/membership/lifecycle.ts";
import { cluster, peer } from "./fixtures.ts";

const key = generateClusterKey();
const certificate = signCertificate(
  { peer: peer("x"), handle: handle("x"), generation: 1, decision: 3 },
  key,
);
const member: Lifecycle = { state: "member", certificate, clusterName: "one", contacts: [] };
const none: JournalStanding = {
  head: { generation: 1, revision: 10 },
  certificate: null,
  tombstone: null,
  admission: null,
  denied: false,
};
const number = { generation: 1, revision: 9 };

type Row = [string, Partial<JournalStanding>, typeof number | null, string];
const rows: Row[] = [
  ["an open entry", { admission: "open" }, number, "reserved"],
  ["a certificate", { admission: "done", certificate }, number, "admitted"],
  ["an abandoned entry", { admission: "abandoned" }, number, "unknown"],
  ["no entry", {}, number, "unknown"],
  ["a copy that ends before", { head: { generation: 1, revision: 8 } }, number, "behind"],
  ["a copy of an older generation", { head: { generation: 0, revision: 99 } }, number, "behind"],
  ["an empty copy", { head: null }, number, "behind"],
  ["a founder's claim without an entry", {}, null, "reserved"],
  ["a founder's claim that was denied", { denied: true }, null, "unknown"],
  ["a founder's claim whose entry was abandoned", { admission: "abandoned" }, null, "unknown"],
];

describe("claimStatus", () => {
  it.each(rows)("of a member with %s", (_, standing, asked, status) => {
    const request = { cluster: key.id, number: asked };
    const answer = claimStatus(member, () => ({ ...none, ...standing }), peer("b"), request);
    expect(answer.status).toBe(status);
  });

  const founded: Lifecycle = {
    state: "founded",
    key,
    name: "one",
    acceptors: [peer("b")],
    publicNetwork: "10.0.0.0/24",
    at: "",
  };
  const states: [string, Lifecycle, string][] = [
    ["a provisional founder", { state: "founding", key, name: "one" }, "founding"],
    ["a founder that has committed", founded, "reserved"],
    ["a founder that is fresh again", { state: "fresh" }, "unknown"],
    ["a member whose journal is not open yet", member, "behind"],
  ];
  it.each(states)("of %s", (_, lifecycle, status) => {
    expect(claimStatus(lifecycle, null, peer("b"), { cluster: key.id, number: null }).status).toBe(status);
  });

  it("of a member of another cluster is unknown", () => {
    const request = { cluster: cluster("2"), number: null };
    expect(claimStatus(member, () => none, peer("b"), request).status).toBe("unknown");
  });
});
