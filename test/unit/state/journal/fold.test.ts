import { describe, expect, test } from "vitest";
import { entryId } from "../../../../src/ids/ids.ts";
import { foldRecords } from "../../../../src/state/journal/fold.ts";
import { compareNumbers, entryIdOf } from "../../../../src/state/journal/numbers.ts";
import { agentPeer, RecordChain } from "../../../support/journal-records.ts";

type Event = "restamp" | "handed" | "done" | "abandoned";

describe("foldRecords", () => {
  test.for<{ agent: boolean; events: Event[]; ack?: boolean; becomes: object; problem?: RegExp }>([
    { agent: true, events: [], becomes: { state: "open", number: 1, handed: false } },
    { agent: true, events: ["handed"], becomes: { state: "open", number: 1, handed: true } },
    { agent: true, events: ["handed", "restamp"], becomes: { state: "open", number: 3, handed: true } },
    { agent: true, events: ["restamp", "restamp"], becomes: { state: "open", number: 3, handed: false } },
    { agent: true, events: ["handed", "done"], becomes: { state: "done", number: 1, handed: true } },
    { agent: true, events: ["abandoned"], becomes: { state: "abandoned", number: 1, handed: false } },
    {
      agent: false,
      events: ["handed", "abandoned"],
      becomes: { state: "abandoned", number: 1, handed: true },
    },
    {
      agent: true,
      events: ["handed", "abandoned"],
      ack: true,
      becomes: { state: "abandoned", number: 1, handed: true },
    },
    {
      agent: true,
      events: ["handed", "abandoned"],
      becomes: { state: "open", number: 1, handed: true },
      problem: /acknowledgement/,
    },
    {
      agent: true,
      events: ["done", "done"],
      becomes: { state: "done", number: 1, handed: false },
      problem: /is done/,
    },
    {
      agent: true,
      events: ["done", "restamp"],
      becomes: { state: "done", number: 1, handed: false },
      problem: /is done/,
    },
  ])("open (agent $agent), $events: $becomes", ({ agent, events, ack, becomes, problem }) => {
    const chain = new RecordChain();
    const entry = chain.open({ agent: agent ? agentPeer : null });
    for (const event of events) {
      chain.add({ event, entry, result: ack ? { cancelAcknowledged: true } : null });
    }
    const { entries, problems } = foldRecords(chain.records);
    const { state, number, handed } = entries.get(entry) ?? {};
    expect({ state, number: number?.revision, handed }).toEqual(becomes);
    expect(problems.length).toBe(problem ? 1 : 0);
    if (problem) expect(problems[0]).toMatch(problem);
  });

  test("an entry keeps its opening number, and tells what came of it", () => {
    const chain = new RecordChain();
    const entry = chain.open({ body: { x: 1 }, reason: "why" });
    chain.add({ event: "restamp", entry });
    chain.add({ event: "done", entry, result: [2], reason: "so" });
    expect(foldRecords(chain.records).entries.get(entry)).toMatchObject({
      id: "1-test.thing",
      body: { x: 1 },
      openedNumber: { generation: 1, revision: 1 },
      number: { generation: 1, revision: 2 },
      result: [2],
      reason: "so",
      openedAt: "2023-11-14T22:13:21.000Z",
      closedAt: "2023-11-14T22:13:23.000Z",
    });
  });

  test("records of an entry that was never opened, or opened under another id, are told", () => {
    const chain = new RecordChain();
    chain.add({ event: "done", entry: entryId("9-test.thing") });
    chain.add({ event: "open", entry: entryId("7-test.thing") });
    expect(foldRecords(chain.records).problems).toEqual([
      "record 1: done of 9-test.thing of an entry that was never opened",
      "record 2: open of 7-test.thing under an id that is not its own",
    ]);
  });
});

describe("numbers", () => {
  test.for([
    { a: [1, 5], b: [1, 6], order: -1 },
    { a: [1, 900], b: [2, 1], order: -1 },
    { a: [2, 1], b: [2, 1], order: 0 },
    { a: [2, 3], b: [2, 2], order: 1 },
  ])("$a against $b: $order", ({ a, b, order }) => {
    const number = ([generation = 0, revision = 0]: number[]) => ({ generation, revision });
    expect(Math.sign(compareNumbers(number(a), number(b)))).toBe(order);
  });

  test("the id of an entry is never used again in a later generation", () => {
    expect(entryIdOf({ generation: 1, revision: 12 }, "ceph.mon")).toBe("12-ceph.mon");
    expect(entryIdOf({ generation: 3, revision: 12 }, "ceph.mon")).toBe("2000000000012-ceph.mon");
  });
});
