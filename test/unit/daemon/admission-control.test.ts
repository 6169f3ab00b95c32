import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { AdmissionControl, type AdmissionControlDeps } from "../../../src/daemon/admission-control.ts";
import { clusterId, type EntryId, entryId, handle, type PeerId, peerId } from "../../../src/ids/ids.ts";
import type { MemberCertificate } from "../../../src/mesh/identity/certificate.ts";
import type {
  AdmissionFacts,
  ClaimOutcome,
  Reservation,
} from "../../../src/mesh/membership/admission-facts.ts";
import type { NeighbourReport } from "../../../src/mesh/membership/neighbour-report.ts";

const self = peerId(`12D3KooW${"a".repeat(44)}`);
const stranger = peerId(`12D3KooW${"b".repeat(44)}`);
const other = peerId(`12D3KooW${"c".repeat(44)}`);
const cluster = { id: clusterId("0123456789abcdef0123456789abcdef"), name: "c", publicKey: "" };
const now = 1_700_000_000_000;
const number = { generation: 1, revision: 7 };
const entry = entryId("7-member.admit");

type Facts = ReturnType<AdmissionControlDeps["facts"]>;

function report(peer: PeerId, change: Partial<NeighbourReport> = {}): NeighbourReport {
  return {
    peer,
    name: `host-${peer.slice(-1)}`,
    version: "0",
    address: "10.0.0.9",
    port: 7443,
    state: "fresh",
    windowOpen: true,
    joining: null,
    claim: null,
    founding: null,
    clusters: [],
    proven: null,
    disks: { count: 0, bytes: 0 },
    firstSeenAgoMs: 5_000,
    answeredAgoMs: 100,
    ...change,
  };
}

const claimed = {
  state: "claimed",
  claim: { cluster: cluster.id, founder: null, confirmed: false, entry },
} as const;

function reservation(peer: PeerId, id: EntryId = entry): Reservation {
  return { entry: id, peer, name: "n", handle: handle("n"), openedNumber: number, openedAt: now - 1_000 };
}

function facts(
  neighbours: readonly NeighbourReport[],
  journal: Partial<AdmissionFacts["journal"]> = {},
  at = now,
): Facts {
  return {
    now: at,
    steadyNow: at,
    self,
    cluster,
    reports: new Map([[self, { at, neighbours }]]),
    journal: {
      members: new Map(),
      reservations: [],
      tombstones: new Set(),
      handlesEverGiven: new Set(),
      founders: new Set(),
      ...journal,
    },
    admission: { mode: "auto", until: null },
    verdicts: new Map(),
  };
}

interface Made {
  readonly control: AdmissionControl;
  readonly calls: string[];
}

function control(of: () => Facts, change: Partial<AdmissionControlDeps> = {}): Made {
  const calls: string[] = [];
  const note = async <T>(call: string, result: T): Promise<T> => {
    calls.push(call);
    return result;
  };
  const deps: AdmissionControlDeps = {
    facts: of,
    writer: {
      open: (draft) => note(`open ${draft.kind} ${JSON.stringify(draft.body)}`, undefined as never),
      close: (id, state, { result, reason }) =>
        note(`${state} ${id} ${JSON.stringify(result ?? null)} ${reason}`, undefined as never),
    },
    sign: async (peer, name, signed) =>
      ({ peer, handle: name, decision: signed.revision }) as unknown as MemberCertificate,
    openedNumber: () => number,
    claim: (via, peer) =>
      note(`claim ${peer === stranger ? "stranger" : "other"} via ${via === self}`, accepted),
    admit: (_via, peer) => note(`admit ${peer === stranger}`, undefined),
    release: (_via, peer) => note(`release ${peer === stranger}`, undefined),
    later: (ms) => calls.push(`later ${ms}`),
    log: pino({ level: "silent" }),
    ...change,
  };
  return { control: new AdmissionControl(deps), calls };
}

const accepted: ClaimOutcome = { outcome: "accepted" };
const never = new AbortController().signal;
const member = { handle: handle("n"), entry, openedNumber: number };

describe("AdmissionControl, one step of each kind", () => {
  it.each<{ what: string; of: Facts; calls: string[]; again: boolean }>([
    {
      what: "reserve",
      of: facts([report(stranger)]),
      calls: [`open member.admit ${JSON.stringify({ peer: stranger, name: "host-b", handle: "host-b" })}`],
      again: true,
    },
    {
      what: "claim",
      of: facts([report(stranger)], { reservations: [reservation(stranger)] }),
      calls: ["claim stranger via true"],
      again: true,
    },
    {
      what: "close, with a certificate under the number of its opening",
      of: facts([report(stranger, claimed)], { reservations: [reservation(stranger)] }),
      calls: [
        `done ${entry} ${JSON.stringify({ certificate: { peer: stranger, handle: "n", decision: 7 } })} n is a member`,
      ],
      again: true,
    },
    {
      what: "abandon",
      of: facts([], { reservations: [reservation(stranger)], tombstones: new Set([stranger]) }),
      calls: [`abandoned ${entry} null this identity was removed from the cluster`],
      again: true,
    },
    {
      what: "admit, which changes nothing here",
      of: facts([report(stranger, claimed)], { members: new Map([[stranger, member]]) }),
      calls: ["admit true"],
      again: false,
    },
    {
      what: "release, which changes nothing here",
      of: facts([report(stranger, claimed)], { tombstones: new Set([stranger]) }),
      calls: ["release true"],
      again: false,
    },
    { what: "nothing", of: facts([]), calls: [], again: false },
  ])("$what", async ({ of, calls, again }) => {
    const made = control(() => of);
    expect(await made.control.step(never, 1)).toBe(again);
    expect(made.calls).toEqual(calls);
  });
});

describe("AdmissionControl", () => {
  it("goes on with the others when one step fails", async () => {
    const of = facts([report(stranger), report(other)], {
      reservations: [reservation(stranger), reservation(other, entryId("8-member.admit"))],
    });
    const done: PeerId[] = [];
    const made = control(() => of, {
      claim: async (_via, peer) => {
        if (peer === stranger) throw new Error("its member is gone");
        done.push(peer);
        return accepted;
      },
    });
    expect(await made.control.step(never, 1)).toBe(true);
    expect(done).toEqual([other]);
  });

  it("does nothing more once the term has ended", async () => {
    const made = control(() => facts([report(stranger)]));
    expect(await made.control.step(AbortSignal.abort(), 1)).toBe(false);
    expect(made.calls).toEqual([]);
  });

  it("remembers an acceptance until the admission is closed, whatever is seen of the node", async () => {
    const of = facts([report(stranger)], { reservations: [reservation(stranger)] });
    const made = control(() => of);
    await made.control.step(never, 1);
    await made.control.step(never, 1);
    expect(made.calls.map((call) => call.split(" ")[0])).toEqual(["claim", "done"]);
  });

  it("asks a node that is still finding out who is there again, after a while", async () => {
    const of = facts([report(stranger)], { reservations: [reservation(stranger)] });
    const made = control(() => of, { claim: async () => ({ outcome: "later" }) });
    expect(await made.control.step(never, 1)).toBe(false);
    expect(made.calls).toEqual(["later 300"]);
    expect(made.control.plan().steps).toMatchObject([{ do: "claim", peer: stranger }]);
  });

  it("remembers a refusal: the reservation ends, and the node is left alone for a while", async () => {
    let of = facts([report(stranger, { windowOpen: true, answeredAgoMs: 100 })], {
      reservations: [reservation(stranger)],
    });
    const made = control(() => of, { claim: async () => ({ outcome: "refused", code: "not-fresh" }) });
    expect(await made.control.step(never, 1)).toBe(true);
    expect(made.control.plan().steps).toEqual([
      { do: "abandon", entry, peer: stranger, reason: "the node refused the claim: not-fresh" },
    ]);
    of = facts([report(stranger)]);
    expect(made.control.plan().steps).toEqual([]);
    of = facts([report(stranger)], {}, now + 60_000);
    expect(made.control.plan().steps.map((step) => step.do)).toEqual(["reserve"]);
  });

  it.each<[string, Facts, ClaimOutcome]>([
    [
      "a node that cannot be reached",
      facts([report(stranger)], { reservations: [reservation(stranger)] }),
      { outcome: "unreachable", detail: "connection refused" },
    ],
    [
      "a member that was released and is not seen again yet",
      facts([report(stranger)], { members: new Map([[stranger, member]]) }),
      accepted,
    ],
  ])("asks %s once, not over and over", async (_what, of, outcome) => {
    let asked = 0;
    const made = control(() => of, {
      claim: async () => {
        asked += 1;
        return outcome;
      },
    });
    // As the planner does: on and on while the plan may have changed.
    while (await made.control.step(never, 1)) if (asked > 5) break;
    expect(asked).toBeLessThanOrEqual(2);
  });
});
