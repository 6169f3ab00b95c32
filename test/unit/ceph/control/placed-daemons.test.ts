import { expect, it } from "vitest";
import { kinds } from "../../../../src/ceph/control/decisions.ts";
import {
  daemonOffBy,
  nfsIdentities,
  placedDaemons,
  settingsOf,
} from "../../../../src/ceph/control/placed-daemons.ts";
import { entryId, handle } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import type { Entry, EntryState } from "../../../../src/state/journal/types.ts";

const entry = (revision: number, kind: string, body: Json, state: EntryState = "done"): Entry => ({
  ...{
    id: entryId(`${revision}-a`),
    kind,
    body,
    agent: null,
    state,
    handed: false,
    result: null,
    reason: "",
  },
  ...{ number: { generation: 1, revision }, openedNumber: { generation: 1, revision } },
  ...{ openedAt: "", closedAt: null },
});
const rgw = (port: number): Json => ({ type: "rgw", handle: "n1", port });
const off: Json = { type: "rgw", handle: "n1" };
const shown = (...entries: Entry[]): string[] =>
  placedDaemons(entries).map(({ type, port, open }) => `${type} ${port}${open ? " open" : ""}`);

it("the last decision about a daemon holds, and one that was given up is none", () => {
  const mgr = entry(2, kinds.daemon, { type: "mgr", handle: "n1" });
  expect(shown(mgr, entry(3, kinds.daemon, rgw(80)))).toEqual(["mgr null", "rgw 80"]);
  expect(shown(entry(3, kinds.daemon, rgw(80)), entry(4, kinds.daemon, rgw(81), "open"))).toEqual([
    "rgw 81 open",
  ]);
  expect(shown(entry(3, kinds.daemon, rgw(80)), entry(4, kinds.daemon, rgw(81), "abandoned"))).toEqual([
    "rgw 80",
  ]);
  expect(shown(entry(3, kinds.daemon, rgw(80)), entry(4, kinds.daemonOut, off, "open"))).toEqual([]);
});

it("an NFS gateway has its rank until it is taken off, and one from before there were any is placed again", () => {
  const told = { cluster: "share", port: 2049, bind: null, minVersion: 1 };
  const nfs = (name: string, rank?: number): Json => ({
    ...{ type: "nfs", handle: name, ...told, ...(rank === undefined ? {} : { rank }) },
  });
  const out = { type: "nfs", handle: "n2", nfs: { cluster: "share", rank: 1 } };
  const both = [entry(3, kinds.daemon, nfs("n1")), entry(4, kinds.daemon, nfs("n2", 1))];
  const ranks = (...entries: Entry[]): [string, number][] =>
    [...nfsIdentities(entries, (name) => name !== "n9")].map(([name, { rank }]) => [name, rank]);
  const stranger = entry(5, kinds.daemon, nfs("n9", 2));
  expect(ranks(...both, stranger)).toEqual([["n2", 1]]);
  expect(ranks(...both, entry(6, kinds.daemonOut, out, "open"))).toEqual([["n2", 1]]);
  expect(ranks(...both, entry(6, kinds.daemonOut, out))).toEqual([]);
  const [old, now] = placedDaemons(both);
  expect([old?.settings === settingsOf(told), now?.settings === settingsOf(told)]).toEqual([false, true]);
});

it("a host takes its daemon off once that is done, and not when it was placed again since", () => {
  const n1 = handle("n1");
  const placed = entry(3, kinds.daemon, rgw(80));
  expect(daemonOffBy([placed, entry(4, kinds.daemonOut, off, "open")], "rgw", n1)).toBeNull();
  const gone = entry(4, kinds.daemonOut, off);
  expect(daemonOffBy([placed, gone], "rgw", n1)).toEqual({ generation: 1, revision: 4 });
  expect(daemonOffBy([placed, gone, entry(5, kinds.daemon, rgw(80), "open")], "rgw", n1)).toBeNull();
  expect(daemonOffBy([placed, gone], "rgw", handle("n2"))).toBeNull();
});
