import { describe, expect, it } from "vitest";
import { entryId, handle, type PeerId } from "../../../../src/ids/ids.ts";
import { generateClusterKey } from "../../../../src/mesh/identity/cluster-key.ts";
import { fingerprintWords } from "../../../../src/mesh/identity/fingerprint.ts";
import type { AdmissionFacts, Reservation } from "../../../../src/mesh/membership/admission-facts.ts";
import { effectiveMode, planAdmission } from "../../../../src/mesh/membership/admission-plan.ts";
import type { NeighbourReport } from "../../../../src/mesh/membership/neighbour-report.ts";
import { now, cluster as otherId, peer } from "./fixtures.ts";

const key = generateClusterKey();
const [holder, second, node] = [peer("A"), peer("B"), peer("x")];

function report(changes: Partial<NeighbourReport> = {}): NeighbourReport {
  return {
    peer: node,
    name: "n4",
    version: "1",
    address: "10.0.0.4",
    port: 7443,
    state: "fresh",
    windowOpen: true,
    joining: null,
    claim: null,
    founding: null,
    clusters: [key.id],
    proven: null,
    disks: { count: 0, bytes: 0 },
    firstSeenAgoMs: 5_000,
    answeredAgoMs: 1_000,
    ...changes,
  };
}

const ourClaim = { cluster: key.id, founder: null, confirmed: true, entry: entryId("7-member.admit") };
const reservation: Reservation = {
  entry: entryId("7-member.admit"),
  peer: node,
  name: "n4",
  handle: handle("n4"),
  openedNumber: { generation: 1, revision: 7 },
  openedAt: now - 1_000,
};
const admitted = { handle: handle("n4"), entry: reservation.entry, openedNumber: reservation.openedNumber };

function facts(reports: NeighbourReport[], changes: Partial<AdmissionFacts> = {}): AdmissionFacts {
  return {
    now,
    steadyNow: now,
    self: holder,
    cluster: { id: key.id, name: "one", publicKey: key.publicKey },
    reports: new Map([[holder, { at: now, neighbours: reports }]]),
    journal: {
      members: new Map(),
      reservations: [],
      tombstones: new Set(),
      handlesEverGiven: new Set(["n1", "n2"]),
      founders: new Set(),
    },
    admission: { mode: "auto", until: null },
    verdicts: new Map(),
    outcomes: new Map(),
    refusals: new Map(),
    ...changes,
  };
}

function journal(changes: Partial<AdmissionFacts["journal"]>): Partial<AdmissionFacts> {
  return { journal: { ...facts([]).journal, ...changes } };
}

const reserve = { do: "reserve", peer: node, name: "n4", handle: "n4" };
const claim = {
  do: "claim",
  peer: node,
  via: holder,
  entry: "7-member.admit",
  number: { generation: 1, revision: 7 },
};
const close = { do: "close", entry: "7-member.admit", peer: node, handle: "n4" };
const approve = { admission: { mode: "approve" as const, until: null } };
const reserved = journal({ reservations: [reservation] });
const verdict = (word: "approve" | "deny", ageMs = 0): Pick<AdmissionFacts, "verdicts"> => ({
  verdicts: new Map<PeerId, { verdict: "approve" | "deny"; at: number }>([
    [node, { verdict: word, at: now - ageMs }],
  ]),
});

describe("planAdmission, step by step", () => {
  type Row = [string, AdmissionFacts, object[]];
  const rows: Row[] = [
    ["reserves a fresh node under auto", facts([report()]), [reserve]],
    ["waits under approve", facts([report()], approve), []],
    ["reserves an approved one", facts([report()], { ...approve, ...verdict("approve") }), [reserve]],
    [
      "lets an approval lapse after a day",
      facts([report()], { ...approve, ...verdict("approve", 86_400_000) }),
      [],
    ],
    [
      "reserves what is in sight though the clock was set a day ahead",
      facts([report()], { now: now + 86_400_000 }),
      [reserve],
    ],
    [
      "reserves what is in sight though the clock was set a day back",
      facts([report()], { now: now - 86_400_000 }),
      [reserve],
    ],
    [
      "reserves a founder under any policy",
      facts([report({ state: "claimed", claim: { ...ourClaim, entry: null } })], {
        ...approve,
        ...journal({ founders: new Set([node]) }),
      }),
      [reserve],
    ],
    [
      "takes nobody while closed",
      facts([report()], { admission: { mode: "closed", until: null }, ...verdict("approve") }),
      [],
    ],
    ["leaves a denied one alone", facts([report()], verdict("deny")), []],
    ["leaves a closed window alone", facts([report({ windowOpen: false })]), []],
    ["leaves one alone that sees another cluster", facts([report({ clusters: [key.id, otherId("2")] })]), []],
    [
      "takes one that sees two but was told to join us",
      facts([report({ clusters: [key.id, otherId("2")], joining: key.id })]),
      [reserve],
    ],
    ["leaves one alone that was told to join another", facts([report({ joining: otherId("2") })]), []],
    [
      "leaves one alone that refused a moment ago",
      facts([report()], { refusals: new Map([[node, { code: "two-clusters", at: now - 59_000 }]]) }),
      [],
    ],
    [
      "tries again when its operator has run mesh join since",
      facts([report({ joining: key.id, clusters: [key.id, otherId("2")] })], {
        refusals: new Map([[node, { code: "two-clusters", at: now - 5_000 }]]),
      }),
      [reserve],
    ],
    [
      "takes the word of a report from before the refusal for nothing",
      facts([report({ answeredAgoMs: 9_000 })], {
        refusals: new Map([[node, { code: "window-closed", at: now - 5_000 }]]),
      }),
      [],
    ],
    [
      "tries again after a minute",
      facts([report()], { refusals: new Map([[node, { code: "two-clusters", at: now - 60_000 }]]) }),
      [reserve],
    ],
    ["leaves a removed identity alone", facts([report()], journal({ tombstones: new Set([node]) })), []],
    [
      "leaves a node claimed by others alone",
      facts([report({ state: "claimed", claim: { ...ourClaim, cluster: otherId("2") } })]),
      [],
    ],
    ["ignores old reports", facts([report({ answeredAgoMs: 46_000 })]), []],
    ["claims a reserved one", facts([report()], reserved), [claim]],
    [
      "leaves it to the node's answer whether another's claim stands",
      facts([report({ state: "claimed", claim: { ...ourClaim, cluster: otherId("2") } })], reserved),
      [claim],
    ],
    [
      "claims a founder's node anew for its reservation",
      facts([report({ state: "claimed", claim: { ...ourClaim, entry: null } })], reserved),
      [claim],
    ],
    [
      "closes when the node is seen with the claim",
      facts([report({ state: "claimed", claim: ourClaim })], reserved),
      [close],
    ],
    [
      "closes when the claim was accepted",
      facts([report()], { ...reserved, outcomes: new Map([[reservation.entry, { outcome: "accepted" }]]) }),
      [close],
    ],
    [
      "closes also when no one sees it any more",
      facts([], { ...reserved, outcomes: new Map([[reservation.entry, { outcome: "accepted" }]]) }),
      [close],
    ],
    ["keeps the reservation of an unseen node", facts([], reserved), []],
    [
      "hands an admitted node its certificate",
      facts(
        [report({ state: "claimed", claim: ourClaim })],
        journal({ members: new Map([[node, admitted]]) }),
      ),
      [{ do: "admit", peer: node, via: holder }],
    ],
    [
      "leads back a member that was released",
      facts([report()], journal({ members: new Map([[node, admitted]]) })),
      [claim],
    ],
    [
      "sets a denied node free",
      facts([report({ state: "claimed", claim: ourClaim })], verdict("deny")),
      [{ do: "release", peer: node, via: holder }],
    ],
  ];
  it.each(rows)("%s", (_, given, steps) => {
    expect(planAdmission(given).steps).toEqual(steps);
  });

  const abandoned: [string, AdmissionFacts, RegExp][] = [
    ["was denied", facts([report()], { ...reserved, ...verdict("deny") }), /denied/],
    [
      "refused",
      facts([report()], {
        ...reserved,
        outcomes: new Map([[reservation.entry, { outcome: "refused", code: "window-closed" }]]),
      }),
      /window-closed/,
    ],
    [
      "is a member elsewhere",
      facts([report({ state: "member", proven: { id: otherId("2"), name: "two" } })], reserved),
      /another cluster/,
    ],
    [
      "was not seen for 10 minutes",
      facts([], journal({ reservations: [{ ...reservation, openedAt: now - 600_000 }] })),
      /10 minutes/,
    ],
    [
      "has a tombstone",
      facts([report()], journal({ reservations: [reservation], tombstones: new Set([node]) })),
      /removed/,
    ],
  ];
  it.each(abandoned)("abandons the reservation of a node that %s", (_, given, reason) => {
    const { steps } = planAdmission(given);
    expect(steps).toEqual([
      { do: "abandon", entry: reservation.entry, peer: node, reason: expect.stringMatching(reason) },
    ]);
  });
});

describe("planAdmission", () => {
  it("gives two nodes of one name two handles, none that was ever given", () => {
    const names = ["x", "y", "z"].map((letter) =>
      report({ peer: peer(letter), name: letter === "z" ? "n1" : "n4" }),
    );
    const { steps } = planAdmission(facts(names));
    expect(steps.map((step) => ("handle" in step ? step.handle : ""))).toEqual(["n4", "n4-2", "n1-2"]);
  });

  it("admits eight at a time", () => {
    const many = [..."cdefghijkm"].map((letter) => report({ peer: peer(letter), name: letter }));
    const plan = planAdmission(facts(many));
    expect(plan.steps).toHaveLength(8);
    expect(plan.pending.at(-1)).toMatchObject({
      stage: "waiting",
      reason: expect.stringContaining("others"),
    });
  });

  it("merges what members see: latest word, everyone named, the holder's own hand first", () => {
    const late = report({ answeredAgoMs: 500, windowOpen: false, firstSeenAgoMs: 9_000 });
    const reports = new Map([
      [holder, { at: now, neighbours: [report()] }],
      [second, { at: now, neighbours: [late] }],
    ]);
    const { pending } = planAdmission(facts([], { reports }));
    expect(pending).toEqual([
      {
        id: node,
        name: "n4",
        address: "10.0.0.4",
        fingerprint: fingerprintWords(key.publicKey, node),
        windowOpen: false,
        seenBy: [holder, second],
        firstSeen: new Date(now - 9_000).toISOString(),
        stage: "waiting",
        reason: expect.stringContaining("window"),
      },
    ]);
    const claims = planAdmission(facts([], { reports, ...reserved })).steps;
    expect(claims).toMatchObject([{ do: "claim", via: holder }]);
    reports.delete(holder);
    expect(planAdmission(facts([], { reports, ...reserved })).steps).toMatchObject([{ via: second }]);
  });

  it("shows other clusters, undecided nodes and lost members as conflicts", () => {
    const reports = [
      report({ peer: peer("y"), state: "member", proven: { id: otherId("2"), name: "two" } }),
      report({ clusters: [key.id, otherId("2")] }),
      report({ peer: peer("z"), windowOpen: false }),
    ];
    const { conflicts } = planAdmission(
      facts(reports, journal({ members: new Map([[peer("z"), admitted]]) })),
    );
    expect(conflicts.map(({ kind }) => kind)).toEqual(["other-cluster", "two-clusters", "lost-membership"]);
  });

  it("turns auto into approve when its time is over", () => {
    expect(effectiveMode({ mode: "auto", until: now }, now - 1)).toBe("auto");
    expect(effectiveMode({ mode: "auto", until: now }, now)).toBe("approve");
    expect(effectiveMode({ mode: "closed", until: now }, now)).toBe("closed");
  });
});
