import { beforeEach, describe, expect, it } from "vitest";
import { kinds } from "../../../../src/ceph/control/decisions.ts";
import { foundKind } from "../../../../src/daemon/cluster/cluster-facts.ts";
import type { ClusterRuntime } from "../../../../src/daemon/cluster/cluster-runtime.ts";
import {
  bootstrapPlanner,
  clusterKeySecret,
  foundingWishKey,
  genesisPlanner,
} from "../../../../src/daemon/cluster/genesis.ts";
import { entryId, handle, type PeerId, peerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import { type MemberCertificate, verifyCertificate } from "../../../../src/mesh/identity/certificate.ts";
import { type ClusterKey, generateClusterKey } from "../../../../src/mesh/identity/cluster-key.ts";
import type { Decider } from "../../../../src/state/journal/decider.ts";
import { membershipOf } from "../../../../src/state/journal/members.ts";
import type { Draft, Entry } from "../../../../src/state/journal/types.ts";

const peer = (letter: string): PeerId => peerId(`12D3KooW${letter.repeat(44)}`);
const [self, other] = [peer("a"), peer("b")];
const key = generateClusterKey();
const epoch = 7;
const now = 1_700_000_000_000;

/** etcd and journal of a founder; it dies at the n-th write, before or after it took effect. */
class FakeState {
  readonly entries: Entry[] = [];
  readonly secrets = new Map<string, Json>();
  readonly writes: string[] = [];
  diesAt = Number.POSITIVE_INFINITY;
  diesAfter = false;
  #count = 0;

  readonly decider = {
    ensureSecret: (name: string, make: () => Json) =>
      this.#write(`secret ${name}`, () => {
        if (!this.secrets.has(name)) this.secrets.set(name, make());
        return this.secrets.get(name) ?? null;
      }),
    open: (draft: Draft, options: { epoch?: number }) =>
      this.#write(`open ${draft.kind} ${options.epoch}`, () => {
        const number = { generation: 1, revision: this.entries.length * 2 + 1 };
        const entry: Entry = {
          ...{
            ...draft,
            id: entryId(`${number.revision}-${draft.kind}`),
            state: "open",
            number,
            handed: false,
          },
          ...{ result: null, openedAt: "", closedAt: null, openedNumber: number },
        };
        this.entries.push(entry);
        return entry;
      }),
    close: (id: string, state: "done" | "abandoned", ending: { result?: Json; reason: string }) =>
      this.#write(`${state} ${id}`, () => {
        const index = this.entries.findIndex((entry) => entry.id === id);
        const entry = this.entries[index];
        if (entry?.state !== "open") throw new Error(`${id} is not open`);
        const closed = { ...entry, state, result: ending.result ?? null, reason: ending.reason };
        this.entries[index] = closed;
        return closed;
      }),
  };

  async #write<T>(what: string, apply: () => T): Promise<T> {
    this.#count += 1;
    const dies = this.#count === this.diesAt;
    if (dies && !this.diesAfter) throw new Error(`killed before ${what}`);
    const result = apply();
    this.writes.push(what);
    if (dies) throw new Error(`killed after ${what}`);
    return result;
  }

  revive(): void {
    this.diesAt = Number.POSITIVE_INFINITY;
  }
}

let state: FakeState;
let admitted: { certificate: MemberCertificate }[];
let lifecycle: string;
let store: Map<string, Json>;
let wishes: unknown[];
let saidAdmission: [string, string | null][];
let addresses: Map<PeerId, string>;
let admission: "auto" | "approve" | "closed" | undefined;
let membershipDies: boolean;
let woken: string[];

beforeEach(() => {
  state = new FakeState();
  admitted = [];
  lifecycle = "founded";
  store = new Map();
  wishes = [];
  saidAdmission = [];
  addresses = new Map([[self, "10.0.0.1"]]);
  admission = undefined;
  membershipDies = false;
  woken = [];
});

function runtime(founded: boolean, as: PeerId = self): ClusterRuntime {
  const proofs = {
    certificate: (value: unknown) => verifyCertificate(value, { cluster: key.id }),
    tombstone: () => undefined,
  };
  return {
    self: as,
    handle: handle("n1"),
    options: {
      cluster: { id: key.id, name: "c", publicKey: key.publicKey },
      settings: { name: "host-1", admission },
      founded: founded ? { acceptors: [other], publicNetwork: "10.0.0.0/24" } : null,
    },
    journal: {
      entries: () => state.entries,
      openEntries: () => state.entries.filter((entry) => entry.state === "open"),
      members: () => membershipOf(state.entries, proofs).members,
    },
    mesh: { port: 7444, connected: () => [] },
    document: {
      view: () => ({ admission: { wishes }, nodes: {} }),
      setAdmission: (mode: string, until: string | null) => {
        saidAdmission.push([mode, until]);
        wishes.push(mode);
      },
    },
    deps: {
      store,
      interfaces: () => [],
      now: () => now,
      membership: {
        lifecycle: { state: lifecycle },
        admitted: (given: { certificate: MemberCertificate }) => {
          if (membershipDies) throw new Error("killed before the certificate is kept");
          admitted.push(given);
          lifecycle = "member";
        },
      },
    },
    publicNetwork: () => "10.0.0.0/24",
    publicAddress: (of: PeerId) => addresses.get(of) ?? null,
    wake: (reason: string) => void woken.push(reason),
  } as unknown as ClusterRuntime;
}

const never = new AbortController().signal;
const found = (signal = never, founded = true) =>
  genesisPlanner(runtime(founded), state.decider as unknown as Decider<ClusterKey>, () => key)(signal, epoch);

const wholeStory = [
  `secret ${clusterKeySecret}`,
  `open ${foundKind} 7`,
  `done 1-${foundKind}`,
  "open member.admit 7",
  "done 3-member.admit",
];

function expectFounded(): void {
  expect(state.entries.map(({ kind, state: is }) => [kind, is])).toEqual([
    [foundKind, "done"],
    ["member.admit", "done"],
  ]);
  expect(state.entries[0]?.body).toEqual({
    ...{ founder: self, name: "c", publicNetwork: "10.0.0.0/24", clusterNetwork: null, acceptors: [other] },
    v2Only: false,
  });
  expect(state.secrets.get(clusterKeySecret)).toEqual({ ...key });
  const [last] = admitted.slice(-1);
  expect(last?.certificate).toMatchObject({ peer: self, handle: "n1", generation: 1, decision: 3 });
}

describe("a founder", () => {
  it("puts the key into etcd before the first entry, admits itself, and is a member", async () => {
    expect(await found()).toEqual([]);
    expect(state.writes).toEqual(wholeStory);
    expectFounded();
  });

  it("has planned again once it is a member, which other plans may have been a moment too early for", async () => {
    await found();
    expect(woken).toEqual(["admitted"]);
    await found();
    expect(woken).toEqual(["admitted"]);
  });

  const deaths = wholeStory.flatMap((what, n) => [
    { n: n + 1, after: false, what: `before ${what}` },
    { n: n + 1, after: true, what: `after ${what}` },
  ]);
  it.each(deaths)("that dies $what is completed by the next run, each step once", async ({ n, after }) => {
    state.diesAt = n;
    state.diesAfter = after;
    await expect(found()).rejects.toThrow("killed");
    state.revive();
    await found();
    expectFounded();
    expect([...new Set(state.writes)]).toEqual(wholeStory);
    expect(state.writes.filter((what) => !what.startsWith("secret"))).toEqual(wholeStory.slice(1));
  });

  it("that dies before its certificate is kept gets it from the journal", async () => {
    membershipDies = true;
    await expect(found()).rejects.toThrow("killed");
    membershipDies = false;
    await found();
    expectFounded();
    expect(state.writes).toEqual(wholeStory);
  });

  it("closes its own admission and nobody else's", async () => {
    const body = { peer: other, name: "n2", handle: "n2" };
    await state.decider.open({ kind: "member.admit", body, agent: null, reason: "admission" }, { epoch });
    await found();
    const open = state.entries.filter((entry) => entry.state === "open");
    expect(open.map((entry) => entry.body)).toEqual([body]);
    expect(admitted.at(-1)?.certificate.peer).toBe(self);
  });

  it("records the cluster network and the protocol that its operator asked for", async () => {
    store.set(foundingWishKey, { monIp: null, clusterNetwork: "10.1.0.0/24", v2Only: true });
    await found();
    expect(state.entries[0]?.body).toMatchObject({ clusterNetwork: "10.1.0.0/24", v2Only: true });
  });

  it("is nobody but the founder, and stops between two steps when its term ends", async () => {
    await found(never, false);
    expect(state.writes).toEqual([]);
    await found(AbortSignal.abort());
    expect(state.entries.every(({ kind }) => kind === foundKind)).toBe(true);
    expect(admitted).toEqual([]);
  });
});

describe("the first decision about Ceph", () => {
  const bootstrap = (as: PeerId = self) => bootstrapPlanner(runtime(false, as))(never, epoch);

  beforeEach(async () => {
    await found();
    lifecycle = "member";
  });

  it("is a monitor on this node, with a new UUID", async () => {
    const [proposal, ...more] = await bootstrap();
    expect(more).toEqual([]);
    expect(proposal).toMatchObject({
      kind: kinds.bootstrap,
      agent: self,
      lane: "seats/monitors",
      body: { handle: "n1", address: "10.0.0.1", publicNetwork: "10.0.0.0/24", clusterNetwork: null },
    });
  });

  it.each<[string, () => void]>([
    [
      "before this node is a member",
      () => {
        lifecycle = "founded";
      },
    ],
    ["while it has no address there", () => addresses.clear()],
    ["before the founding is here", () => state.entries.splice(0)],
  ])("is not made %s", async (_what, arrange) => {
    arrange();
    expect(await bootstrap()).toEqual([]);
  });

  it.each<[Entry["state"], number]>([
    ["open", 0],
    ["done", 0],
    ["abandoned", 1],
  ])("is made once: with one that is %s there are %i more", async (is, more) => {
    const [proposal] = await bootstrap();
    const draft = { kind: kinds.bootstrap, body: proposal?.body ?? null, agent: self, reason: "" };
    const entry = await state.decider.open(draft, { epoch });
    if (is !== "open") await state.decider.close(entry.id, is, { reason: "" });
    expect(await bootstrap()).toHaveLength(more);
  });

  it("speaks the second protocol alone where that was asked for, whoever bootstraps it", async () => {
    const [entry] = state.entries;
    state.entries[0] = { ...entry, body: { ...(entry?.body as object), v2Only: true } } as typeof entry &
      object;
    addresses.set(other, "10.0.0.2");
    expect((await bootstrap(other))[0]?.body).toMatchObject({ v2Only: true });
  });

  it("takes the monitor's address from the founder's operator, and only for the founder", async () => {
    store.set(foundingWishKey, { monIp: "10.0.0.9", clusterNetwork: null });
    expect((await bootstrap())[0]?.body).toMatchObject({ address: "10.0.0.9" });
    addresses.set(other, "10.0.0.2");
    expect((await bootstrap(other))[0]?.body).toMatchObject({ address: "10.0.0.2" });
  });

  it.each<[typeof admission, [string, string | null]]>([
    [undefined, ["auto", "2023-11-15T22:13:20.000Z"]],
    ["auto", ["auto", "2023-11-15T22:13:20.000Z"]],
    ["approve", ["approve", null]],
    ["closed", ["closed", null]],
  ])("comes with the admission mode that the founder was told: %s", async (mode, said) => {
    admission = mode;
    await bootstrap();
    await bootstrap();
    expect(saidAdmission).toEqual([said]);
  });

  it("leaves the admission mode to the founder, and to operators who were first", async () => {
    await bootstrap(other);
    expect(saidAdmission).toEqual([]);
    wishes.push("closed");
    await bootstrap();
    expect(saidAdmission).toEqual([]);
  });
});
