import { describe, expect, it } from "vitest";
import { eventData, eventTypes, meshEvent } from "../../../../src/api/contract/events.ts";
import { type CephSnapshot, cephEvents } from "../../../../src/daemon/events/ceph-events.ts";
import { documentEvents } from "../../../../src/daemon/events/document-events.ts";
import type { NewEvent } from "../../../../src/daemon/events/event-log.ts";
import { journalEvents } from "../../../../src/daemon/events/journal-events.ts";
import { type LeaseReport, type LeaseTold, leaseEvents } from "../../../../src/daemon/events/lease-events.ts";
import { sightEvents } from "../../../../src/daemon/events/sight-events.ts";
import type { EntryId, Handle, PeerId } from "../../../../src/ids/ids.ts";
import type { ClusterDocument, NodeFacts } from "../../../../src/state/document/cluster-document.ts";
import type { Entry, JournalRecord } from "../../../../src/state/journal/types.ts";

const a = "12D3KooWa" as PeerId;
const b = "12D3KooWb" as PeerId;
const at = "2026-11-22T10:00:00.000Z";
const handleOf = (peer: PeerId): Handle | null => (peer === a ? ("n1" as Handle) : null);

/** As `type data`, after a look whether the contract has it so. */
function told(events: readonly NewEvent[]): string[] {
  return events.map(({ type, data, node = a }) => {
    meshEvent.parse({ seq: 1, at, node, type, data });
    return `${type} ${JSON.stringify(data)}`;
  });
}

describe("the contract", () => {
  it("refuses a type that it does not name, and data that are another type's", () => {
    const head = { seq: 1, at, node: a };
    expect(meshEvent.safeParse({ ...head, type: "osd.exploded", data: {} }).success).toBe(false);
    expect(meshEvent.safeParse({ ...head, type: "osd.up", data: { holder: a, epoch: 1 } }).success).toBe(
      false,
    );
    expect(meshEvent.safeParse({ ...head, type: "osd.up", data: { osd: 1, host: null } }).success).toBe(true);
  });

  it("names types as subject.verb", () => {
    for (const type of eventTypes) expect(type).toMatch(/^[a-z]+\.[a-z]+$/);
    expect(eventTypes).toEqual(Object.keys(eventData));
  });
});

describe("from the journal", () => {
  const number = { generation: 1, revision: 7 };
  function record(
    event: JournalRecord["event"],
    kind: string,
    change: Partial<JournalRecord> = {},
  ): JournalRecord {
    return {
      ...{ v: 1, ...number, epoch: 3, at, by: b, entry: "7-x" as EntryId, event, kind, body: null },
      ...{ agent: null, result: null, reason: "why", previous: "", signature: "", ...change },
    };
  }
  function entry(kind: string, body: Entry["body"], agent: PeerId | null = null): Entry {
    const id = "7-x" as EntryId;
    return {
      ...{ id, kind, body, agent, state: "done", number, handed: true, result: null, reason: "why" },
      ...{ openedAt: at, closedAt: at, openedNumber: number },
    };
  }
  const made = (state: string, kind: string, agent: string | null = null): string =>
    `decision.made ${JSON.stringify({ id: "7-x", kind, state, number, reason: "why", agent, at })}`;

  it.each<[JournalRecord["event"], string]>([
    ["open", "open"],
    ["restamp", "open"],
    ["done", "done"],
    ["abandoned", "abandoned"],
  ])("%s is a decision that is %s, told by who wrote it", (event, state) => {
    const events = journalEvents(record(event, "ceph.mon"), () => entry("ceph.mon", null, a), handleOf);
    expect(told(events)).toEqual([made(state, "ceph.mon", a)]);
    expect(events[0]?.node).toBe(b);
  });

  it("that an agent may have it is no news", () => {
    expect(journalEvents(record("handed", "ceph.mon"), () => undefined, handleOf)).toEqual([]);
  });

  it.each<[string, string, Entry["body"]]>([
    ["member.joined", "member.admit", { peer: a, handle: "n1", name: "n1" }],
    ["member.removed", "member.remove", { peer: a }],
  ])("%s follows from a done %s, and from no open one", (type, kind, body) => {
    const events = (event: JournalRecord["event"]): string[] =>
      told(journalEvents(record(event, kind), () => entry(kind, body), handleOf)).slice(1);
    expect(events("done")).toEqual([`${type} {"peer":"${a}","handle":"n1"}`]);
    expect(events("open")).toEqual([]);
    expect(events("abandoned")).toEqual([]);
  });
});

describe("from the document", () => {
  function facts(change: Partial<NodeFacts>): NodeFacts {
    return {
      ...{
        name: "n1",
        addresses: [],
        meshPort: 1,
        lobbyPort: 1,
        version: "",
        cephVersion: "",
        etcdVersion: "",
      },
      ...{ disks: [], updatedAt: at, osds: [], services: [], ...change },
    };
  }
  const empty: ClusterDocument = {
    ...{ settings: {}, admission: { mode: "auto", until: null }, approvals: {}, services: {} },
    ...{ labels: {}, nodes: {} },
  } as ClusterDocument;

  it.each<[string, Partial<ClusterDocument>, Partial<ClusterDocument>, string[]]>([
    ["nothing", {}, {}, []],
    ["a setting that is set", {}, { settings: { k: "1" } }, ['setting.changed {"key":"k","value":"1"}']],
    ["one that is unset", { settings: { k: "1" } }, {}, ['setting.changed {"key":"k","value":null}']],
    [
      "admission",
      {},
      { admission: { mode: "closed", until: null } } as Partial<ClusterDocument>,
      ['admission.changed {"mode":"closed","until":null}'],
    ],
    [
      "an approval",
      {},
      { approvals: { [b]: { verdict: "deny", at, by: a } } },
      [`approval.changed {"peer":"${b}","verdict":"deny"}`],
    ],
    ["a wanted service", {}, { services: { nfs: {} } }, ['service.wanted {"service":"nfs"}']],
    [
      "services of a node",
      { nodes: { [a]: facts({ services: ["mon", "mgr"] }) } },
      { nodes: { [a]: facts({ services: ["mon", "osd"] }) } },
      [
        `service.stopped {"peer":"${a}","handle":"n1","service":"mgr"}`,
        `service.started {"peer":"${a}","handle":"n1","service":"osd"}`,
      ],
    ],
    [
      "an empty disk that becomes an OSD's",
      { nodes: { [a]: facts({ disks: [{ path: "/dev/x" }] }) } },
      { nodes: { [a]: facts({ osds: [{ osd: 3, path: "/dev/x", uuid: "" }] }) } },
      [
        `disk.removed {"peer":"${a}","handle":"n1","path":"/dev/x","osd":null}`,
        `disk.added {"peer":"${a}","handle":"n1","path":"/dev/x","osd":3}`,
      ],
    ],
    [
      "the time of its facts",
      { nodes: { [a]: facts({}) } },
      { nodes: { [a]: facts({ updatedAt: "" }) } },
      [],
    ],
  ])("%s", (_what, before, after, expected) => {
    expect(told(documentEvents({ ...empty, ...before }, { ...empty, ...after }, handleOf))).toEqual(expected);
  });
});

describe("from Ceph's maps", () => {
  const snapshot = (
    osds: readonly [number, boolean, boolean][],
    quorum: string[] = ["n1"],
  ): CephSnapshot => ({
    osds: new Map(osds.map(([id, up, isIn]) => [id, { up, in: isIn, host: "n1" }])),
    quorum,
  });

  it.each<[CephSnapshot, CephSnapshot, string[]]>([
    [snapshot([[0, true, true]]), snapshot([[0, true, true]]), []],
    [snapshot([]), snapshot([[0, true, true]]), ["osd.added", "osd.in", "osd.up"]],
    [snapshot([[0, true, true]]), snapshot([[0, false, true]]), ["osd.down"]],
    [snapshot([[0, false, true]]), snapshot([[0, false, false]]), ["osd.out"]],
    [snapshot([[0, true, true]]), snapshot([]), ["osd.out", "osd.down", "osd.removed"]],
    [snapshot([], ["n1", "n2"]), snapshot([], ["n1", "n3"]), ["mon.down", "mon.up"]],
  ])("%#", (before, after, types) => {
    const events = cephEvents(before, after);
    told(events);
    expect(events.map(({ type }) => type)).toEqual(types);
  });
});

describe("from the lease", () => {
  const anew: LeaseTold = { epoch: 0, holder: null, quorum: null };
  const report = (holder: PeerId | null, epoch: number | null, ok = true): LeaseReport => ({
    holder,
    epoch,
    ok,
  });
  function after(told0: LeaseTold, ...reports: LeaseReport[]): string[] {
    let state = told0;
    return reports.flatMap((one) => {
      const { events, told: next } = leaseEvents(state, one);
      state = next;
      return told(events).map((text) => text.replace(/[{}"]/g, "").replace(/12D3KooW/g, ""));
    });
  }

  it.each<[string, LeaseTold, LeaseReport[], string[]]>([
    ["taken", anew, [report(a, 5)], ["lease.taken holder:a,epoch:5"]],
    ["told once", anew, [report(a, 5), report(a, 5)], ["lease.taken holder:a,epoch:5"]],
    [
      "taken by another",
      anew,
      [report(a, 5), report(b, 9)],
      ["lease.taken holder:a,epoch:5", "lease.lost holder:a,epoch:5", "lease.taken holder:b,epoch:9"],
    ],
    [
      "free, then taken",
      anew,
      [report(a, 5), report(null, null), report(a, 9)],
      ["lease.taken holder:a,epoch:5", "lease.lost holder:a,epoch:5", "lease.taken holder:a,epoch:9"],
    ],
    [
      "old news by a voter that is late",
      anew,
      [report(a, 5), report(b, 9), report(a, 5), report(b, 9)],
      ["lease.taken holder:a,epoch:5", "lease.lost holder:a,epoch:5", "lease.taken holder:b,epoch:9"],
    ],
    ["told by an earlier run", { ...anew, epoch: 5 }, [report(a, 5)], []],
    [
      "lost after it was told by an earlier run",
      { ...anew, epoch: 5 },
      [report(a, 5), report(b, 6)],
      ["lease.lost holder:a,epoch:5", "lease.taken holder:b,epoch:6"],
    ],
    [
      "not known to be lost without a quorum",
      anew,
      [report(a, 5), report(a, 5, false), report(a, 5)],
      ["lease.taken holder:a,epoch:5", "quorum.lost ", "quorum.restored "],
    ],
  ])("%s", (_what, state, reports, expected) => {
    expect(after(state, ...reports)).toEqual(expected);
  });
});

it("from the lobbies: who comes and who goes", () => {
  const sighting = (peer: PeerId) => ({ peer, name: "n", address: "10.0.0.1", state: "fresh" as const });
  const seen = (...peers: PeerId[]) => new Map(peers.map((peer) => [peer as string, sighting(peer)]));
  const types = (events: readonly NewEvent[]): string[] =>
    told(events).map((text) => text.replace(/ .*"peer":"([^"]*)".*/, " $1"));
  expect(types(sightEvents(seen(), seen(a)))).toEqual([`peer.seen ${a}`]);
  expect(types(sightEvents(seen(a), seen(a, b)))).toEqual([`peer.seen ${b}`]);
  expect(types(sightEvents(seen(a, b), seen(b)))).toEqual([`peer.lost ${a}`]);
});
