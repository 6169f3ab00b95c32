import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../../../../src/errors/codes.ts";
import { isMicrocephError } from "../../../../src/errors/microceph-error.ts";
import { clusterId } from "../../../../src/ids/ids.ts";
import { signWithClusterKey, verifyWithClusterKey } from "../../../../src/mesh/identity/cluster-key.ts";
import { Decider } from "../../../../src/state/journal/decider.ts";
import { headKey, recordPrefix } from "../../../../src/state/journal/keys.ts";
import { hashOf, recordDomain, signedText } from "../../../../src/state/journal/record.ts";
import { agentPeer, key } from "../../../support/journal-records.ts";
import { MemoryCopy } from "../../../support/memory-copy.ts";
import { noFaults } from "../../../support/simulated-etcd.ts";
import {
  type SimulatedVoter,
  SimulatedVoters,
  silent,
  simulatedCluster,
} from "../../../support/simulated-voter.ts";

const draft = { kind: "ceph.mon", body: { handle: "n4" }, agent: agentPeer, reason: "third monitor" };
const other = { ...draft, body: { handle: "n5" } };
const writes = (transaction: { success: readonly { do: string; key: string }[] }) =>
  transaction.success.some((operation) => operation.do === "put" && operation.key.startsWith(recordPrefix));

class Deciding {
  readonly voters = new SimulatedVoters();

  /** A decider on a node of its own; with the lease when it is the first. */
  decider(name: string, options: { generation?: number; cluster?: string } = {}) {
    const voter = this.voters.voter(name);
    const copy = new MemoryCopy();
    const decider = new Decider(
      { cluster: clusterId(options.cluster ?? simulatedCluster), generation: options.generation ?? 1 },
      {
        etcd: voter.etcd,
        lease: voter.lease,
        clusterKey: () => key,
        sign: signWithClusterKey,
        copy,
        now: () => 1_700_000_000_000 + this.voters.time.now(),
        log: silent,
      },
    );
    return { voter, copy, decider };
  }

  async ready(name: string, options: { generation?: number } = {}) {
    const made = this.decider(name, options);
    made.voter.lease.start();
    await this.voters.pass(200);
    await this.settle(made.decider.restampOpen());
    return made;
  }

  settle<T>(work: Promise<T>): Promise<T> {
    return this.voters.settle(work);
  }

  async codeOf(work: Promise<unknown>): Promise<ErrorCode | "done"> {
    return this.settle(
      work.then(
        () => "done" as const,
        (error: unknown) => {
          if (isMicrocephError(error)) return error.code;
          throw error;
        },
      ),
    );
  }

  /** The lease goes from one voter to another. */
  async handOver(from: SimulatedVoter, to: SimulatedVoter): Promise<void> {
    await this.settle(from.lease.stop());
    to.lease.start();
    await this.voters.pass(300);
  }
}

describe("Decider", () => {
  test("numbers records without gap, chains and signs them", async () => {
    const world = new Deciding();
    const { decider, copy, voter } = await world.ready("n1");
    const entry = await world.settle(decider.open(draft));
    expect(entry).toMatchObject({ id: "1-ceph.mon", state: "open", number: { generation: 1, revision: 1 } });
    expect(await world.settle(decider.handed(entry.id))).toMatchObject({
      handed: true,
      number: { revision: 1 },
    });
    expect(await world.settle(decider.restamp(entry.id))).toMatchObject({ number: { revision: 3 } });
    await world.settle(decider.close(entry.id, "done", { result: { epoch: 4 }, reason: "in quorum" }));
    expect(copy.records.map(({ revision, event }) => [revision, event])).toEqual([
      [1, "open"],
      [2, "handed"],
      [3, "restamp"],
      [4, "done"],
    ]);
    for (const [index, record] of copy.records.entries()) {
      const before = copy.records[index - 1];
      expect(record.previous).toBe(before ? hashOf(before) : "");
      expect(record.by).toBe(voter.peer);
      expect(verifyWithClusterKey(key.publicKey, recordDomain, signedText(record), record.signature)).toBe(
        true,
      );
    }
  });

  test("refuses without the lease, and before it has re-stamped", async () => {
    const world = new Deciding();
    const { decider, voter } = world.decider("n1");
    expect(await world.codeOf(decider.open(draft))).toBe("LEASE_LOST");
    voter.lease.start();
    await world.voters.pass(200);
    expect(await world.codeOf(decider.open(draft))).toBe("NOT_READY");
    await world.settle(decider.restampOpen());
    expect(await world.codeOf(decider.open(draft))).toBe("done");
    expect(await world.codeOf(decider.open(other, { epoch: 1 }))).toBe("LEASE_LOST");
  });

  test("a new holder gives every open entry a new number, once, before anything else", async () => {
    const world = new Deciding();
    const first = await world.ready("n1");
    const [a, b, c] = [
      await world.settle(first.decider.open(draft)),
      await world.settle(first.decider.open(other)),
      await world.settle(first.decider.open({ ...draft, kind: "ceph.daemon" })),
    ];
    await world.settle(first.decider.close(b.id, "abandoned", { reason: "no" }));
    const second = world.decider("n2");
    await world.handOver(first.voter, second.voter);
    expect(await world.codeOf(second.decider.handed(a.id))).toBe("NOT_READY");
    const stamped = await world.settle(second.decider.restampOpen());
    expect(stamped.map(({ id, number }) => [id, number.revision])).toEqual([
      [a.id, 5],
      [c.id, 6],
    ]);
    expect((await world.settle(second.decider.restampOpen())).map(({ number }) => number.revision)).toEqual([
      5, 6,
    ]);
    expect(await world.settle(second.decider.confirm(a.id, a.number))).toBe(false);
    expect(await world.settle(second.decider.confirm(a.id, { generation: 1, revision: 5 }))).toBe(true);
    expect(second.copy.records.length).toBe(6);
    // The old holder's own belief does not count.
    expect(await world.codeOf(first.decider.open(draft))).toBe("LEASE_LOST");
  });

  test("a holder that does not know yet that it was deposed writes nothing", async () => {
    const world = new Deciding();
    const first = await world.ready("n1");
    const second = world.decider("n2");
    let deposed = false;
    first.voter.beforeTxn = async (transaction) => {
      if (deposed || !writes(transaction)) return;
      deposed = true;
      world.voters.time.pause(first.voter.process);
      await second.voter.lease.revokeHolder(first.voter.peer);
      second.voter.lease.start();
      await world.voters.time.sleep(500, null);
      await second.decider.restampOpen();
      world.voters.time.resume(first.voter.process);
    };
    expect(await world.codeOf(first.decider.open(draft))).toBe("LEASE_LOST");
    expect(world.voters.etcd.peek(headKey)).toBe(undefined);
  });

  test("ends an entry once, and one in its agent's hands only with the agent's promise", async () => {
    const world = new Deciding();
    const { decider, copy } = await world.ready("n1");
    const entry = await world.settle(decider.open(draft));
    await world.settle(decider.handed(entry.id));
    await world.settle(decider.handed(entry.id));
    expect(await world.codeOf(decider.close(entry.id, "abandoned", { reason: "no" }))).toBe(
      "CANCEL_NOT_ACKNOWLEDGED",
    );
    const ending = { reason: "no", cancelAcknowledged: true };
    const ended = await world.settle(decider.close(entry.id, "abandoned", ending));
    expect(await world.settle(decider.close(entry.id, "abandoned", ending))).toEqual(ended);
    expect(await world.codeOf(decider.close(entry.id, "done", { reason: "" }))).toBe("STALE_DECISION");
    expect(await world.codeOf(decider.restamp(entry.id))).toBe("STALE_DECISION");
    expect(await world.settle(decider.confirm(entry.id, entry.number))).toBe(false);
    expect(copy.records.map(({ event }) => event)).toEqual(["open", "handed", "abandoned"]);
    const bereft = await world.settle(decider.open(draft));
    await world.settle(decider.handed(bereft.id));
    const gone = { reason: "its node is dead", agentGone: true };
    expect(await world.settle(decider.close(bereft.id, "abandoned", gone))).toMatchObject({
      state: "abandoned",
      result: { cancelAcknowledged: false, agentGone: true },
    });
    expect(copy.entries().find(({ id }) => id === bereft.id)?.state).toBe("abandoned");
    const own = await world.settle(decider.open({ ...draft, agent: null }));
    await world.settle(decider.handed(own.id));
    expect(await world.codeOf(decider.close(own.id, "abandoned", { reason: "no" }))).toBe("done");
  });

  describe("with the outcome unknown", () => {
    test("an answer that was lost is looked up: written once", async () => {
      const world = new Deciding();
      const { decider, copy, voter } = await world.ready("n1");
      voter.txnFaults = (transaction) => (writes(transaction) ? { ...noFaults, answerLost: 1 } : undefined);
      const entry = await world.settle(decider.open(draft));
      expect(entry.number.revision).toBe(1);
      expect(copy.records.length).toBe(1);
    });

    test("a request that was lost is sent again, the same bytes", async () => {
      const world = new Deciding();
      const { decider, copy, voter } = await world.ready("n1");
      let lost = 0;
      voter.txnFaults = (transaction) => {
        if (!writes(transaction) || lost > 0) return undefined;
        lost += 1;
        return { ...noFaults, requestLost: 1 };
      };
      const entry = await world.settle(decider.open(draft));
      expect([lost, entry.number.revision, copy.records.length]).toEqual([1, 1, 1]);
    });

    test.for([
      { again: draft, what: "the same draft is the same entry", code: "done" },
      { again: other, what: "another draft was planned without knowing", code: "STALE_DECISION" },
    ])("applied after the caller was told nothing: $what", async ({ again, code }) => {
      const world = new Deciding();
      const { decider, copy, voter } = await world.ready("n1");
      let tries = 0;
      voter.txnFaults = (transaction) => {
        if (!writes(transaction)) return undefined;
        tries += 1;
        return tries === 1 ? { ...noFaults, requestLost: 1 } : { ...noFaults, appliedLate: 1 };
      };
      expect(await world.codeOf(decider.open(draft))).toMatch(/DEADLINE_EXCEEDED|NO_QUORUM/);
      voter.txnFaults = () => undefined;
      await world.voters.pass(20_000);
      expect(copy.records).toEqual([]);
      expect(await world.codeOf(decider.open(again))).toBe(code);
      expect(copy.openEntries().map(({ body }) => body)).toEqual([draft.body]);
      // From then on everything is known again.
      expect(await world.codeOf(decider.open(other))).toBe("done");
      expect(copy.records.length).toBe(2);
    });

    test("given up, and never applied: the next decision takes its number", async () => {
      const world = new Deciding();
      const { decider, copy, voter } = await world.ready("n1");
      voter.txnFaults = (transaction) => (writes(transaction) ? { ...noFaults, requestLost: 1 } : undefined);
      expect(await world.codeOf(decider.open(draft))).toMatch(/DEADLINE_EXCEEDED|NO_QUORUM/);
      voter.txnFaults = () => undefined;
      expect(await world.codeOf(decider.open(other))).toBe("done");
      expect(copy.records.map(({ revision, body }) => [revision, body])).toEqual([[1, other.body]]);
    });

    test("without a majority nothing is decided and nothing confirmed", async () => {
      const world = new Deciding();
      const { decider, copy } = await world.ready("n1");
      const entry = await world.settle(decider.open(draft));
      world.voters.etcd.cut("n2");
      world.voters.etcd.cut("n3");
      expect(await world.codeOf(decider.open(other))).toMatch(/DEADLINE_EXCEEDED|NO_QUORUM/);
      expect(await world.codeOf(decider.confirm(entry.id, entry.number))).toMatch(
        /DEADLINE_EXCEEDED|NO_QUORUM/,
      );
      expect(copy.records.length).toBe(1);
    });
  });

  test("a later generation counts on, and is never left again", async () => {
    const world = new Deciding();
    const first = await world.ready("n1");
    await world.settle(first.decider.open(draft));
    const recovered = world.decider("n2", { generation: 3 });
    await world.handOver(first.voter, recovered.voter);
    const [stamped] = await world.settle(recovered.decider.restampOpen());
    expect(stamped?.number).toEqual({ generation: 3, revision: 2 });
    expect((await world.settle(recovered.decider.open(other))).id).toBe("2000000000003-ceph.mon");
    const behind = world.decider("n3", { generation: 1 });
    await world.handOver(recovered.voter, behind.voter);
    const [again] = await world.settle(behind.decider.restampOpen());
    expect(again?.number).toEqual({ generation: 3, revision: 4 });
  });

  test("refuses the journal of another cluster", async () => {
    const world = new Deciding();
    const first = await world.ready("n1");
    await world.settle(first.decider.open(draft));
    const stranger = world.decider("n2", { cluster: "f".repeat(32) });
    await world.handOver(first.voter, stranger.voter);
    expect(await world.codeOf(stranger.decider.restampOpen())).toBe("STATE_CORRUPT");
  });

  test("secrets are fenced like decisions, and made once", async () => {
    const world = new Deciding();
    const first = await world.ready("n1");
    let made = 0;
    const make = () => `key ${++made}`;
    expect(await world.settle(first.decider.ensureSecret("ceph", make))).toBe("key 1");
    expect(await world.settle(first.decider.ensureSecret("ceph", make))).toBe("key 1");
    await world.settle(first.decider.putSecret("cluster-key", { seed: "x" }));
    const second = world.decider("n2");
    expect(await world.settle(second.decider.getSecret("cluster-key"))).toEqual({ seed: "x" });
    expect(await world.settle(second.decider.getSecret("none"))).toBe(undefined);
    expect(await world.codeOf(second.decider.putSecret("cluster-key", 1))).toBe("LEASE_LOST");
    // Deposed without knowing: what it believes is of no use.
    const lease = first.voter.lease.held();
    await world.handOver(first.voter, second.voter);
    const deposed = new Decider(
      { cluster: simulatedCluster, generation: 1 },
      {
        etcd: first.voter.etcd,
        lease: { held: () => lease },
        clusterKey: () => key,
        sign: signWithClusterKey,
        copy: first.copy,
        now: () => 0,
        log: silent,
      },
    );
    expect(await world.codeOf(deposed.putSecret("cluster-key", 1))).toBe("LEASE_LOST");
    expect(await world.codeOf(deposed.ensureSecret("new", make))).toBe("LEASE_LOST");
    expect(await world.settle(second.decider.ensureSecret("ceph", make))).toBe("key 1");
  });
});
