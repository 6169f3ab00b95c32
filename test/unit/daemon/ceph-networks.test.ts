import { beforeEach, describe, expect, it } from "vitest";
import { kinds } from "../../../src/ceph/control/decisions.ts";
import { changedNetworks } from "../../../src/ceph/control/networks.ts";
import { checkNetworksChange, showNetworks } from "../../../src/daemon/ceph-networks.ts";
import { foundKind, networksOf } from "../../../src/daemon/cluster/cluster-facts.ts";
import type { ClusterRuntime } from "../../../src/daemon/cluster/cluster-runtime.ts";
import { networksPlanner, wishNetworks } from "../../../src/daemon/cluster/networks.ts";
import { entryId, type PeerId, peerId } from "../../../src/ids/ids.ts";
import type { Json } from "../../../src/ids/json.ts";
import type { Entry } from "../../../src/state/journal/types.ts";

const peer = (name: string): PeerId => peerId(`12D3KooW${name.repeat(44)}`);
let entries: Entry[];
let addresses: Record<string, string[]>;
let osds: string[];
let settings: Record<string, string>;

function decided(kind: string, body: object, state: Entry["state"] = "done"): Entry {
  const number = { generation: 1, revision: entries.length + 1 };
  return {
    ...{ id: entryId(`${entries.length + 1}-a`), kind, body: body as Json, agent: null, state, number },
    ...{ handed: false, result: null, reason: "", openedAt: "", closedAt: null, openedNumber: number },
  };
}

const change = (publicNetwork: string, clusterNetwork: string | null = null) => ({
  ...{ wish: "w", publicNetwork, clusterNetwork },
});

beforeEach(() => {
  entries = [];
  const founding = { founder: peer("a"), name: "c", acceptors: [], clusterNetwork: null };
  entries.push(decided(foundKind, { ...founding, publicNetwork: "10.0.0.0/24" }));
  addresses = { n1: ["10.0.0.1", "10.9.0.1"], n2: ["10.0.0.2"] };
  osds = ["n1"];
  settings = {};
});

const runtime = (): ClusterRuntime =>
  ({
    self: peer("a"),
    journal: {
      entries: () => entries,
      members: () =>
        new Map(["n1", "n2"].map((name, n) => [peer("ab".charAt(n)), { handle: name, name }] as const)),
    },
    document: {
      view: () => ({
        settings,
        labels: {},
        nodes: Object.fromEntries(
          ["n1", "n2"].map((name, n) => [
            peer("ab".charAt(n)),
            { name, osds: osds.includes(name) ? [{ uuid: "u" }] : [] },
          ]),
        ),
      }),
      setSetting: (name: string, value: string | null) => {
        if (value === null) delete settings[name];
        else settings[name] = value;
      },
    },
    presence: { stateOf: () => "alive" },
    addressesOf: (of: PeerId) => addresses[of === peer("a") ? "n1" : "n2"] ?? [],
  }) as unknown as ClusterRuntime;

const check = (asked: object) => checkNetworksChange(runtime(), { skip_restart: false, ...asked });

describe("Ceph's networks", () => {
  it("are those of the founding, then the last that were decided", () => {
    expect(networksOf(entries)?.publicNetwork).toBe("10.0.0.0/24");
    entries.push(decided(kinds.networks, change("10.0.0.0/24,10.5.0.0/24")));
    entries.push(decided(kinds.networks, change("10.0.0.0/8"), "abandoned"));
    expect(networksOf(entries)).toMatchObject({ publicNetwork: "10.0.0.0/24,10.5.0.0/24" });
    expect(changedNetworks(entries)?.id).toBe("2-a");
    const monitors = [{ name: "n1", peer: null, addresses: [] }];
    const moved = { publicNetwork: "10.7.0.0/24", clusterNetwork: null, monitors };
    entries.push(decided(kinds.renumber, moved));
    expect(networksOf(entries)).toMatchObject({ publicNetwork: "10.7.0.0/24" });
    expect(changedNetworks(entries)).toBeNull();
  });

  it("show each member's address", () => {
    entries.push(decided(kinds.networks, change("10.0.0.0/24", "10.9.0.0/24")));
    expect(showNetworks(runtime()).members).toEqual([
      { node: "n1", public: "10.0.0.1", cluster: "10.9.0.1", addresses: ["10.0.0.1", "10.9.0.1"] },
      { node: "n2", public: "10.0.0.2", cluster: null, addresses: ["10.0.0.2"] },
    ]);
  });

  it("take more subnets, and another one for OSDs where their hosts are in it", () => {
    const wide = "10.0.0.0/24,10.5.0.0/24";
    expect(check({ publicNetwork: wide })).toEqual({ publicNetwork: wide, clusterNetwork: null });
    expect(check({ clusterNetwork: "10.9.0.0/24" })).toMatchObject({ clusterNetwork: "10.9.0.0/24" });
    osds = ["n1", "n2"];
    expect(() => check({ clusterNetwork: "10.9.0.0/24" })).toThrow(/n2 has OSDs and no address in/);
  });

  it("move no daemon", () => {
    expect(() => check({ publicNetwork: "10.5.0.0/24" })).toThrow(/n1 is at 10.0.0.1 .* in none of these/);
    expect(() => check({ publicNetwork: "10.9.0.0/24,10.0.0.0/24" })).toThrow(/would be at 10.9.0.1/);
    // Who stands outside is no reason not to take it in.
    addresses = { n1: ["10.0.0.1"], n2: ["10.5.0.2"] };
    expect(check({ publicNetwork: "10.0.0.0/24,10.5.0.0/24" })).toBeDefined();
  });

  it.each(["10.0.0.1/24", "nonsense", "10.0.0.0/24,fd00::/64"])("are no %s", (publicNetwork) => {
    expect(() => check({ publicNetwork })).toThrow(expect.objectContaining({ code: "USAGE" }));
  });

  it("are of one family, also those of the OSDs", () => {
    addresses = { n1: ["10.0.0.1", "fd00::1"], n2: ["10.0.0.2"] };
    expect(() => check({ clusterNetwork: "fd00::/64" })).toThrow(/in IPv4 or in IPv6/);
  });

  it("are decided once for each wish, once there is Ceph", async () => {
    const signal = new AbortController().signal;
    const plan = () => networksPlanner(runtime())(signal, 1);
    wishNetworks(runtime(), change("10.0.0.0/8"));
    expect(await plan()).toEqual([]);
    expect(settings).toEqual({});
    const fsid = "00000000-1111-2222-3333-444444444444";
    const networks = { publicNetwork: "10.0.0.0/24", clusterNetwork: null };
    entries.push(decided(kinds.bootstrap, { fsid, handle: "n1", address: "10.0.0.1", ...networks }));
    wishNetworks(runtime(), change("10.0.0.0/8"));
    expect(await plan()).toMatchObject([{ kind: kinds.networks, body: change("10.0.0.0/8"), lane: "seats" }]);
    entries.push(decided(kinds.networks, change("10.0.0.0/8"), "open"));
    expect(await plan()).toEqual([]);
    expect(settings).not.toEqual({});
    entries.splice(-1, 1, decided(kinds.networks, change("10.0.0.0/8")));
    expect(await plan()).toEqual([]);
    expect(settings).toEqual({});
    settings["ceph.networks"] = "{";
    expect(await plan()).toEqual([]);
  });
});
