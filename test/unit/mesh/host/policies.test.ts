import { multiaddr } from "@multiformats/multiaddr";
import { describe, expect, it } from "vitest";
import { endpointOf, parseIpAddress, tcpMultiaddr } from "../../../../src/mesh/host/ip-address.ts";
import { chooseLink, type LinkFacts } from "../../../../src/mesh/host/link-choice.ts";
import { LinkHealth } from "../../../../src/mesh/host/link-health.ts";
import { endpointsToTry, redialDelayMs } from "../../../../src/mesh/host/redial.ts";

describe("redial delay", () => {
  it.each([
    [0, 200],
    [1, 400],
    [4, 3200],
    [7, 25_600],
    [8, 30_000],
    [1000, 30_000],
  ])("after %i failures is at most %i ms and at least half of it", (failures, full) => {
    expect(redialDelayMs(failures, 0)).toBe(full);
    expect(redialDelayMs(failures, 1)).toBe(full / 2);
  });
});

describe("endpoints to try", () => {
  const at = (address: string, port = 7000) => ({ address, port });

  it("begin with the one that worked last, then hints, then what is on record, none twice", () => {
    const tried = endpointsToTry(at("b"), [at("h"), at("a")], [at("a"), at("b"), at("c")]);
    expect(tried.map(({ address }) => address)).toEqual(["b", "h", "a", "c"]);
  });

  it("leave out the one that worked last when nobody names it any more, and are at most twelve", () => {
    const many = Array.from({ length: 20 }, (_, i) => at(`10.0.0.${i}`));
    expect(endpointsToTry(at("old"), [], many)).toEqual(many.slice(0, 12));
  });
});

describe("choice between connections", () => {
  const link = (id: string, facts: Partial<LinkFacts>): LinkFacts => ({
    id,
    dialedByLower: false,
    openedAt: 0,
    proven: true,
    ...facts,
  });

  it.each<[string, LinkFacts[], string | undefined]>([
    ["nothing to choose from", [], undefined],
    ["simultaneous: the lower's", [link("a", { openedAt: 9 }), link("b", { dialedByLower: true })], "b"],
    ["later: the newest", [link("a", { openedAt: 3001 }), link("b", { dialedByLower: true })], "a"],
    ["both by the same: the newest", [link("a", {}), link("b", { openedAt: 1 })], "b"],
    ["proven before unproven", [link("a", { dialedByLower: true, proven: false }), link("b", {})], "b"],
    ["unproven if there is no other", [link("a", { proven: false })], "a"],
  ])("%s", (_, links, kept) => {
    expect(chooseLink(links)?.id).toBe(kept);
    expect(chooseLink([...links].reverse())?.id).toBe(kept);
  });
});

describe("health of a connection", () => {
  const ticksUntilDead = (health: LinkHealth): number => {
    let ticks = 1;
    while (!health.tick()) ticks += 1;
    return ticks;
  };

  it("gives up at the fourth silent pulse", () => {
    const health = new LinkHealth();
    health.heard();
    expect(ticksUntilDead(health)).toBe(4);
  });

  it("has more patience, up to a limit, with a link that has been slow, and forgets that again", () => {
    const slow = new LinkHealth();
    for (let i = 0; i < 3; i += 1) expect(slow.tick()).toBe(false);
    slow.heard();
    for (let i = 0; i < 6; i += 1) expect(slow.tick()).toBe(false);
    slow.heard();
    for (let i = 0; i < 60; i += 1) slow.heard();
    expect(ticksUntilDead(slow)).toBe(4);
    for (let i = 0; i < 3; i += 1) slow.tick();
    slow.heard();
    expect(ticksUntilDead(slow)).toBe(7);
  });
});

describe("IP addresses", () => {
  it.each([
    ["10.0.0.1", { ip: "10.0.0.1", zone: undefined }],
    ["fe80::1%eth0.5", { ip: "fe80::1", zone: "eth0.5" }],
    ["fe80::1%", undefined],
    ["fe80::1%a%b", undefined],
    ["10.0.0.1%eth0", undefined],
    ["host.example", undefined],
    ["", undefined],
  ])("parse %j", (text, parsed) => expect(parseIpAddress(text)).toEqual(parsed));

  it("go into a multiaddr and come out of one", () => {
    const address = tcpMultiaddr({ ip: "fd00::1", zone: undefined }, 7000);
    expect(endpointOf(address)).toEqual({ ip: "fd00::1", port: 7000 });
    expect(endpointOf(multiaddr("/ip6/::ffff:10.0.0.1/tcp/7"))?.ip).toMatch(/^(10\.0\.0\.1|::ffff:a00:1)$/);
    expect(endpointOf(multiaddr("/dns4/host/tcp/7"))).toBeUndefined();
  });
});
