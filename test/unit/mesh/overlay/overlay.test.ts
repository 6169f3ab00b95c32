import { describe, expect, it } from "vitest";
import type { PeerId } from "../../../../src/ids/ids.ts";
import { Overlay } from "../../../../src/mesh/overlay/overlay.ts";
import { maxRelays, routesTo } from "../../../../src/mesh/overlay/routes.ts";
import { Random } from "../../../support/virtual-time.ts";

const nobody: ReadonlySet<PeerId> = new Set();

function people(count: number, seed = 1): PeerId[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, n) => `peer-${seed}-${n}-${random.whole(0, 1e9)}` as PeerId);
}

function overlay(members: readonly PeerId[], down: ReadonlySet<PeerId> = nobody): Overlay {
  return new Overlay({ members, voters: members.slice(0, 5), down });
}

/** Of those that are up, how many a breadth-first walk from the first reaches, over links between them. */
function reached(over: Overlay, up: readonly PeerId[]): number {
  const allowed = new Set(up);
  const seen = new Set(up.slice(0, 1));
  for (const peer of seen) {
    for (const next of over.watchers(peer)) if (allowed.has(next)) seen.add(next);
  }
  return seen.size;
}

function links(over: Overlay, members: readonly PeerId[]): Set<string> {
  return new Set(members.flatMap((a) => [...over.watchers(a)].filter((b) => a < b).map((b) => `${a} ${b}`)));
}

describe("the overlay", () => {
  it("connects every pair up to 32 members", () => {
    const members = people(32);
    const over = overlay(members);
    expect(over.full).toBe(true);
    for (const peer of members) expect(over.linked(peer).size, peer).toBe(31);
  });

  it.each([33, 50, 100, 300, 1000])("of %i members: few neighbours, the same for all, symmetric", (count) => {
    const members = people(count);
    const over = overlay(members);
    const degrees = members.slice(5).map((peer) => over.watchers(peer).size);
    expect(over.full).toBe(false);
    expect(Math.max(...degrees)).toBeLessThanOrEqual(8);
    // Two rings may agree on a neighbour, more so when there are few.
    expect(Math.min(...degrees)).toBeGreaterThanOrEqual(5);
    const mean = degrees.reduce((sum, degree) => sum + degree, 0) / degrees.length;
    expect(mean).toBeGreaterThan(7.2);
    for (const voter of members.slice(0, 5)) expect(over.watchers(voter).size).toBeLessThanOrEqual(12);
    for (const a of members) {
      for (const b of over.linked(a)) {
        expect(over.linked(b).has(a), `${a} ${b}`).toBe(true);
        expect(over.areLinked(a, b), `${a} ${b}`).toBe(true);
      }
    }
  });

  it("shares the members out among the voters", () => {
    const members = people(1000);
    const over = overlay(members);
    for (const voter of members.slice(0, 5)) {
      const homes = members.filter((peer) => over.homeOf(peer) === voter).length;
      expect(homes, voter).toBeGreaterThan(150);
      expect(homes, voter).toBeLessThan(250);
    }
  });

  it.each([40, 200, 1000])("stays connected when any fifth of %i members is gone", (count) => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const members = people(count, seed);
      const random = new Random(seed);
      const up = members.filter(() => !random.chance(0.2));
      expect(reached(overlay(members), up), `seed ${seed}`).toBe(up.length);
      // Known to be gone: the rings close over the gaps, and nobody loses a neighbour that is up.
      const down = new Set(members.filter((peer) => !up.includes(peer)));
      const mended = overlay(members, down);
      expect(reached(mended, up), `seed ${seed}, mended`).toBe(up.length);
    }
  });

  it("closes over one that is down, keeps the links to it, and loses none when it is back", () => {
    const members = people(100);
    const gone = members[50] as PeerId;
    const before = links(overlay(members), members);
    const without = links(overlay(members, new Set([gone])), members);
    expect([...before].filter((link) => !without.has(link))).toEqual([]);
    expect(without.size - before.size).toBeLessThanOrEqual(4);
    for (const peer of overlay(members).watchers(gone)) {
      const degree = overlay(members, new Set([gone])).watchers(peer).size;
      expect(degree, peer).toBeGreaterThanOrEqual(overlay(members).watchers(peer).size);
    }
  });

  it("changes few links with one member more", () => {
    const members = people(201);
    const before = links(overlay(members.slice(0, 200)), members);
    const after = links(overlay(members), members);
    const gained = [...after].filter((link) => !before.has(link)).length;
    const lost = [...before].filter((link) => !after.has(link)).length;
    // Four rings: the new one gets two links in each, and one link in each makes way.
    expect(gained).toBeLessThanOrEqual(8);
    expect(lost).toBeLessThanOrEqual(4);
  });

  it("gives a member another voter while its own is down, and the others keep theirs", () => {
    const members = people(200);
    const over = overlay(members);
    const gone = members[0] as PeerId;
    const mended = overlay(members, new Set([gone]));
    for (const peer of members.slice(5)) {
      const home = over.homeOf(peer);
      if (home === gone) expect(mended.homeOf(peer)).not.toBe(gone);
      else expect(mended.homeOf(peer)).toBe(home);
    }
  });
});

describe("routes over the overlay", () => {
  const members = people(300);
  const over = overlay(members);
  const isUp = (): boolean => true;

  it("reach everyone over at most two relays that are linked, without a loop", () => {
    const random = new Random(7);
    let single = 0;
    for (let round = 0; round < 500; round += 1) {
      const self = random.pick(members);
      const target = random.pick(members);
      if (self === target || over.areLinked(self, target)) continue;
      const routes = routesTo({ overlay: over, self, target, connected: [...over.linked(self)], isUp }, 4);
      expect(routes.length, `${self} to ${target}`).toBeGreaterThan(0);
      single += routes.length === 1 ? 1 : 0;
      for (const route of routes) {
        const stops = [self, ...route, target];
        expect(route.length).toBeLessThanOrEqual(maxRelays);
        expect(new Set(stops).size).toBe(stops.length);
        for (const [index, stop] of stops.slice(1).entries()) {
          expect(over.areLinked(stops[index] as PeerId, stop), stops.join(" ")).toBe(true);
        }
      }
      expect(routesTo({ overlay: over, self, target, connected: [...over.linked(self)], isUp }, 4)).toEqual(
        routes,
      );
    }
    // Both with the same voter, and no neighbour that leads to the other's: nearly all have a second way.
    expect(single).toBeLessThan(25);
  });

  it("avoid who is down, and share no relay while there is another", () => {
    const [self, target] = [members[100], members[200]] as [PeerId, PeerId];
    const facts = { overlay: over, self, target, connected: [...over.linked(self)], isUp };
    const [first] = routesTo({ ...facts }, 1);
    const bad = first?.[0] as PeerId;
    for (const route of routesTo({ ...facts, isUp: (peer: PeerId) => peer !== bad }, 4)) {
      expect(route).not.toContain(bad);
    }
    const [one = [], two = []] = routesTo({ ...facts }, 2);
    expect(one.filter((peer) => two.includes(peer))).toEqual([]);
    expect(routesTo({ ...facts, connected: [] }, 4)).toEqual([]);
    expect(routesTo({ ...facts, target: "stranger" as PeerId }, 4)).toEqual([]);
  });

  it("to voters take the own voter as only relay", () => {
    const self = members[150] as PeerId;
    const home = over.homeOf(self) as PeerId;
    const voter = members.slice(0, 5).find((peer) => peer !== home && !over.areLinked(self, peer)) as PeerId;
    const routes = routesTo(
      { overlay: over, self, target: voter, connected: [...over.linked(self)], isUp },
      8,
    );
    expect(routes).toContainEqual([home]);
  });
});
