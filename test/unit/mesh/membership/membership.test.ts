import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { entryId, handle, type PeerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import {
  type MemberCertificate,
  signCertificate,
  signTombstone,
  type Tombstone,
} from "../../../../src/mesh/identity/certificate.ts";
import { generateClusterKey } from "../../../../src/mesh/identity/cluster-key.ts";
import { founderClaim } from "../../../../src/mesh/membership/claim-proof.ts";
import type { Fellow, MemberView } from "../../../../src/mesh/membership/context.ts";
import { Membership, type MembershipDeps } from "../../../../src/mesh/membership/membership.ts";
import { cluster, now, peer } from "./fixtures.ts";

const key = generateClusterKey();
const [self, fellow, stranger] = [peer("s"), peer("f"), peer("x")];
const sign = (one: PeerId, decision = 3): MemberCertificate =>
  signCertificate({ peer: one, handle: handle("h"), generation: 1, decision }, key);

interface Rig {
  readonly membership: Membership;
  readonly store: Map<string, Json>;
  readonly time: { now: number; full: boolean };
  readonly introduced: Fellow[];
  readonly hooks: string[];
  ask(from: PeerId, request: object): Promise<Record<string, Json>>;
}

function rig(
  options: {
    stored?: Json;
    tombstone?: Tombstone;
    interfaces?: MembershipDeps["interfaces"];
    /** Milliseconds since it was started. */
    age?: number;
  } = {},
): Rig {
  const store = new Map<string, Json>();
  if (options.stored !== undefined) store.set("lifecycle", options.stored);
  const time = { now, full: false };
  const introduced: Fellow[] = [];
  const hooks: string[] = [];
  const view: MemberView = {
    clusterName: "one",
    meshPort: 7444,
    standing: (asked) => ({
      head: { generation: 1, revision: 9 },
      certificate: null,
      tombstone: options.tombstone?.peer === asked ? options.tombstone : null,
      admission: null,
      denied: false,
    }),
    contacts: () => [],
    introduced: (one) => introduced.push(one),
    honourToken: () => false,
    connected: () => false,
  };
  const membership = new Membership(
    { name: "n1", version: "1" },
    {
      identity: { peerId: self },
      lobby: { ask: () => Promise.reject(new Error("nobody there")) },
      lobbyPort: () => 7443,
      discovery: { sightings: () => [], on: () => () => undefined },
      store: {
        get: (name) => store.get(name),
        put: (name, value) => {
          if (time.full) throw new Error("disk full");
          store.set(name, value);
        },
      },
      clock: { now: () => time.now, after: () => () => undefined },
      random: () => 0.5,
      log: pino({ level: "silent" }),
      interfaces:
        options.interfaces ??
        (() => [{ name: "eth0", address: "10.0.0.1", cidr: "10.0.0.1/24", defaultRoute: true }]),
      disks: () => ({ count: 2, bytes: 10 }),
      memberView: () => (membership.lifecycle.state === "member" ? view : null),
      hooks: {
        onFounded: () => void hooks.push("founded"),
        onMember: () => void hooks.push("member"),
        onReleased: () => void hooks.push("released"),
        onRemoved: () => void hooks.push("removed"),
        onFellow: () => undefined,
        onAnnouncement: () => undefined,
      },
    },
  );
  time.now += options.age ?? 2_000;
  return {
    membership,
    store,
    time,
    introduced,
    hooks,
    ask: async (from, request) => {
      const reply = await membership.handleLobby({ peer: from, address: "10.0.0.9" }, request as Json);
      return reply as Record<string, Json>;
    },
  };
}

const stored = (lifecycle: object): Json => ({ v: 1, lifecycle: lifecycle as Json });
const member = stored({ state: "member", certificate: sign(self), clusterName: "one", contacts: [] });
const memberClaim = (revision = 7, by = fellow): object => ({
  v: 1,
  kind: "claim",
  as: "member",
  certificate: sign(by),
  clusterName: "one",
  entry: entryId(`${revision}-member.admit`),
  number: { generation: 1, revision },
});
const admit = (certificate: MemberCertificate): object => ({
  v: 1,
  kind: "admit",
  certificate,
  clusterName: "one",
  contacts: [],
});

describe("a node in its lobby", () => {
  it("greets with what it is and counts what it cannot read", async () => {
    const { ask, membership } = rig();
    expect(await ask(stranger, { v: 1, kind: "hello" })).toMatchObject({
      id: self,
      name: "n1",
      state: "fresh",
      window: { open: true },
      disks: { count: 2, bytes: 10 },
      networks: ["10.0.0.0/24"],
      certificate: null,
    });
    expect(await ask(stranger, { v: 1, kind: "dance" })).toEqual({ error: "unknown-kind" });
    expect(membership.counters()).toMatchObject({ hello: 1, "unknown-kind": 1 });
  });

  it("goes the way from fresh over claimed to member, each step on disk before the answer", async () => {
    const { ask, store, membership } = rig();
    expect(await ask(fellow, admit(sign(self)))).toMatchObject({ refused: "no-claim" });
    expect(await ask(fellow, memberClaim())).toMatchObject({ ok: true });
    expect(store.get("lifecycle")).toMatchObject({
      lifecycle: { state: "claimed", claim: { by: "member" } },
    });
    expect(await ask(fellow, memberClaim())).toMatchObject({ ok: true });
    expect(await ask(fellow, admit(sign(stranger)))).toMatchObject({ refused: "bad-proof" });
    expect(await ask(stranger, admit(sign(self)))).toMatchObject({ ok: true });
    expect(store.get("lifecycle")).toMatchObject({ lifecycle: { state: "member" } });
    expect(await ask(fellow, admit(sign(self)))).toMatchObject({ ok: true });
    const other = generateClusterKey();
    const foreign = signCertificate({ peer: self, handle: handle("h"), generation: 1, decision: 1 }, other);
    expect(await ask(fellow, admit(foreign))).toMatchObject({ refused: "no-claim" });
    expect(membership.greeting().certificate).toEqual(sign(self));
  });

  it("takes a claim only from the member that the certificate names", async () => {
    const { ask } = rig();
    expect(await ask(stranger, memberClaim())).toMatchObject({ refused: "bad-proof" });
    const claim = founderClaim(key, "one", fellow, self);
    expect(await ask(stranger, claim)).toMatchObject({ refused: "bad-proof" });
    expect(await ask(fellow, claim)).toMatchObject({ refused: "listening" });
  });

  it("finds out first who is there, from the moment in which it sees the first", async () => {
    const { ask, time, membership } = rig({ age: 0 });
    expect(await ask(fellow, memberClaim())).toMatchObject({ refused: "listening" });
    time.now += 60_000;
    await ask(stranger, { v: 1, kind: "hello", port: 7443 });
    expect(await ask(fellow, memberClaim())).toMatchObject({ refused: "listening" });
    time.now += 1_500;
    // The one who knocked has not answered yet: it may be of another cluster.
    expect(await ask(fellow, memberClaim())).toMatchObject({ refused: "listening" });
    time.now += 8_500;
    expect(await ask(fellow, memberClaim())).toMatchObject({ ok: true });
    expect(membership.lifecycle.state).toBe("claimed");
  });

  it("says nothing that is not on disk: a failed write is no promise", async () => {
    const { ask, time, membership } = rig();
    time.full = true;
    expect(await ask(fellow, memberClaim())).toEqual({ error: "internal" });
    expect(membership.lifecycle.state).toBe("fresh");
  });

  it("confirms to its founder alone", async () => {
    const { ask, time } = rig();
    time.now += 3_000;
    expect(await ask(fellow, founderClaim(key, "one", fellow, self))).toMatchObject({ ok: true });
    const confirm = { v: 1, kind: "confirm", cluster: key.id };
    expect(await ask(stranger, confirm)).toMatchObject({ refused: "no-claim" });
    expect(await ask(fellow, { ...confirm, cluster: cluster("1") })).toMatchObject({ refused: "no-claim" });
    expect(await ask(fellow, confirm)).toMatchObject({ ok: true, sees: [] });
  });

  it("is released by its founder, or by a member up to the claim that it means", async () => {
    const founded = rig();
    founded.time.now += 3_000;
    await founded.ask(fellow, founderClaim(key, "one", fellow, self));
    const release = { v: 1, kind: "release", cluster: key.id, certificate: null, upTo: null };
    expect(await founded.ask(stranger, release)).toMatchObject({ refused: "bad-proof" });
    expect(await founded.ask(fellow, release)).toMatchObject({ ok: true });
    expect(founded.membership.lifecycle.state).toBe("fresh");

    const claimed = rig();
    await claimed.ask(fellow, memberClaim(7));
    const by = { ...release, certificate: sign(fellow) };
    const upTo = (revision: number): object => ({ ...by, upTo: { generation: 1, revision } });
    expect(await claimed.ask(fellow, upTo(6))).toMatchObject({ refused: "no-claim" });
    expect(await claimed.ask(fellow, by)).toMatchObject({ refused: "no-claim" });
    expect(await claimed.ask(fellow, upTo(7))).toMatchObject({ ok: true });
    expect(claimed.membership.lifecycle.state).toBe("fresh");
  });
});

describe("a member in its lobby", () => {
  it("lets a fellow introduce itself, and nobody else", async () => {
    const { ask, introduced } = rig({ stored: member });
    const introduce = { v: 1, kind: "introduce", certificate: sign(fellow), meshPort: 7444 };
    expect(await ask(stranger, introduce)).toMatchObject({ refused: "bad-proof" });
    expect(await ask(fellow, introduce)).toMatchObject({ ok: true, certificate: sign(self), meshPort: 7444 });
    expect(introduced).toEqual([{ certificate: sign(fellow), address: "10.0.0.9", meshPort: 7444 }]);
    expect(await rig().ask(fellow, introduce)).toMatchObject({ refused: "not-a-member" });
  });

  it("hands a removed fellow its tombstone instead", async () => {
    const tombstone = signTombstone({ peer: fellow, handle: handle("h"), generation: 1, decision: 8 }, key);
    const { ask, introduced } = rig({ stored: member, tombstone });
    const introduce = { v: 1, kind: "introduce", certificate: sign(fellow), meshPort: null };
    expect(await ask(fellow, introduce)).toEqual({ v: 1, tombstone });
    expect(introduced).toEqual([]);
  });

  it("is removed by a later tombstone of its cluster and its own", () => {
    const { membership, store } = rig({ stored: member });
    const bury = (one: PeerId, decision: number): void =>
      membership.removed(signTombstone({ peer: one, handle: handle("h"), generation: 1, decision }, key));
    bury(fellow, 9);
    bury(self, 3);
    expect(membership.lifecycle.state).toBe("member");
    bury(self, 9);
    expect(store.get("lifecycle")).toMatchObject({ lifecycle: { state: "removed" } });
    expect(() => membership.bootstrapAlone()).toThrow(/new --state-dir/);
  });
});

describe("an operator", () => {
  it("founds alone on a network that the node has, and on no other", () => {
    const alone = rig();
    expect(() => alone.membership.bootstrapAlone({ publicNetwork: "10.9.0.0/24" })).toThrow(
      expect.objectContaining({ code: "USAGE" }),
    );
    alone.membership.bootstrapAlone({ publicNetwork: "10.0.0.0/24" });
    expect(alone.store.get("lifecycle")).toMatchObject({
      lifecycle: { state: "founded", publicNetwork: "10.0.0.0/24", acceptors: [] },
    });
    expect(() => alone.membership.release()).toThrow(
      expect.objectContaining({ code: "ALREADY_INITIALIZED" }),
    );
    expect(() => rig({ interfaces: () => [] }).membership.bootstrapAlone()).toThrow(
      expect.objectContaining({ code: "NO_PUBLIC_NETWORK" }),
    );
  });

  it("joins another cluster: a claim by the wrong one is given back", async () => {
    const { ask, membership, hooks } = rig();
    await ask(fellow, memberClaim());
    expect(() => membership.bootstrapAlone()).toThrow(/is claimed by cluster one/);
    membership.join(key.id);
    expect(membership.lifecycle.state).toBe("claimed");
    membership.join(cluster("2"));
    expect(membership.lifecycle.state).toBe("fresh");
    expect(hooks).toContain("released");
    expect(await ask(fellow, memberClaim(8))).toMatchObject({ refused: "not-this-cluster" });
  });
});

describe("the stored lifecycle", () => {
  it("is refused when it cannot be read", () => {
    expect(() => rig({ stored: stored({ state: "married" }) })).toThrow(
      expect.objectContaining({ code: "STATE_CORRUPT" }),
    );
    expect(() => rig({ stored: "nonsense" })).toThrow(expect.objectContaining({ code: "STATE_CORRUPT" }));
  });

  it("tells its hooks at every start what the node is", async () => {
    const { membership, hooks } = rig({ stored: member });
    membership.start();
    await membership.stop();
    expect(hooks).toEqual(["member"]);
  });
});
