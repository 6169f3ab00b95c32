import { describe, expect, it } from "vitest";
import {
  type Host,
  hostOf,
  movedMonitors,
  planRebuild,
  planRenumbering,
} from "../../../../src/ceph/plan/moves.ts";
import type { Handle, PeerId } from "../../../../src/ids/ids.ts";

const monitor = (name: string, address: string) => ({
  name,
  addresses: [{ type: "v2" as const, address: `${address}:3300` }],
});
const host = (name: string, address: string, alive = true): Host => ({
  peer: `peer-${name}` as PeerId,
  handle: name as Handle,
  alive,
  addresses: address === "" ? [] : [address],
});
const three = [monitor("a", "10.0.0.1"), monitor("b", "10.0.0.2"), monitor("c", "10.0.0.3")];
const addressIn = (addresses: readonly string[], network: string): string | null =>
  addresses.find((address) => address.startsWith(network)) ?? null;
const plan = (hosts: readonly Host[], change: { stableMs?: number; networks?: string[] } = {}) =>
  planRenumbering({
    monitors: three,
    hosts,
    networks: ["10.0.0.", "10.9.0."],
    addressIn,
    stableMs: 60_000,
    ...change,
  });

describe("an address", () => {
  it.each([
    ["10.0.0.1:3300", "10.0.0.1"],
    ["[fd00::1]:6789", "fd00::1"],
  ])("%s is that of %s", (text, expected) => {
    expect(hostOf(text)).toBe(expected);
  });
});

describe("monitors that have moved", () => {
  it.each<[string, Host[], string[]]>([
    ["with their hosts", [host("a", "10.0.0.9"), host("b", "10.0.0.2")], ["a"]],
    ["not while their host is away", [host("a", "10.0.0.9", false)], []],
    ["not while their host says no address", [host("a", "")], []],
    ["not those of nobody", [host("z", "10.0.0.9")], []],
  ])("%s", (_what, hosts, names) => {
    expect(movedMonitors(three, hosts).map(({ name }) => name)).toEqual(names);
  });
});

describe("all monitors at new addresses", () => {
  const all = [host("a", "10.9.0.1"), host("b", "10.9.0.2"), host("c", "10.9.0.3")];

  it("in the network in which all of them are", () => {
    expect(plan(all).next).toEqual({
      publicNetwork: "10.9.0.",
      places: [
        { name: "a", peer: "peer-a", address: "10.9.0.1" },
        { name: "b", peer: "peer-b", address: "10.9.0.2" },
        { name: "c", peer: "peer-c", address: "10.9.0.3" },
      ],
    });
  });

  it("in the present network as long as it holds", () => {
    const here = [host("a", "10.0.0.7"), host("b", "10.0.0.8"), host("c", "10.0.0.3")];
    expect(plan(here).next?.publicNetwork).toBe("10.0.0.");
  });

  it("with one that is away where it was, after a longer wait", () => {
    const two = [...all.slice(0, 2), host("c", "10.0.0.3", false)];
    expect(plan(two, { stableMs: 59_999 }).next).toBeNull();
    expect(plan(two).next?.places.at(2)).toEqual({ name: "c", peer: null, address: null });
  });

  it.each<[string, Host[], { stableMs?: number; networks?: string[] }, RegExp]>([
    ["addresses have not settled", all, { stableMs: 9_999 }, /moved just now/],
    ["no majority of the hosts is there", all.slice(0, 1), {}, /1 of 3 monitors' hosts are there/],
    [
      "the others are a majority where they were",
      [all[0] as Host, host("b", "10.0.0.2"), host("c", "10.0.0.3")],
      {},
      /are enough/,
    ],
    ["they share no network", all, { networks: ["10.0.0."] }, /no subnet of this node/],
    [
      "two say the same address",
      [host("a", "10.9.0.1"), host("b", "10.9.0.1"), host("c", "10.9.0.3")],
      {},
      /same address/,
    ],
  ])("not while %s", (_what, hosts, change, reason) => {
    const { next, reasons } = plan(hosts, change);
    expect([next, reasons.join()]).toEqual([null, expect.stringMatching(reason)]);
  });

  it("not at all when nobody has moved", () => {
    const still = [host("a", "10.0.0.1"), host("b", "10.0.0.2", false), host("c", "10.0.0.3", false)];
    expect(plan(still)).toEqual({ next: null, reasons: [] });
  });
});

describe("a map of those who are left", () => {
  const lost = new Set(["peer-b", "peer-c"] as PeerId[]);
  const rebuild = (hosts: readonly Host[], among: ReadonlySet<PeerId> = lost) =>
    planRebuild({ monitors: three, hosts, networks: ["10.0.0."], addressIn, stableMs: 0, lost: among });
  const alone = [host("a", "10.0.0.1"), host("b", "10.0.0.2", false), host("c", "10.0.0.3", false)];

  it("has their monitors only, where they are", () => {
    expect(rebuild(alone).next).toEqual({
      publicNetwork: "10.0.0.",
      places: [{ name: "a", peer: "peer-a", address: "10.0.0.1" }],
    });
  });

  it.each<[string, Host[], ReadonlySet<PeerId>, RegExp]>([
    ["nobody was declared lost", alone, new Set(), /^$/],
    ["one is away that was not declared lost", alone, new Set(["peer-b" as PeerId]), /are waited for/],
    [
      "those declared lost are back",
      [host("a", "10.0.0.1"), host("b", "10.0.0.2"), host("c", "10.0.0.3")],
      lost,
      /^$/,
    ],
    [
      "the others are a majority",
      [host("a", "10.0.0.1"), host("b", "10.0.0.2"), host("c", "10.0.0.3", false)],
      lost,
      /^$/,
    ],
    [
      "no monitor's host is left",
      alone.map(({ handle }) => host(handle, "10.0.0.1", false)),
      new Set([...lost, "peer-a" as PeerId]),
      /no host with a monitor/,
    ],
    [
      "those left share no subnet with this node",
      [host("a", "10.7.0.1"), ...alone.slice(1)],
      lost,
      /no subnet/,
    ],
  ])("is not made while %s", (_what, hosts, among, reason) => {
    const { next, reasons } = rebuild(hosts, among);
    expect([next, reasons.join()]).toEqual([null, expect.stringMatching(reason)]);
  });
});
