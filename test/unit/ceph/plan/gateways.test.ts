import { describe, expect, it } from "vitest";
import { type GatewayFacts, type GatewayHost, planGateways } from "../../../../src/ceph/plan/gateways.ts";
import { handle, type PeerId, peerId } from "../../../../src/ids/ids.ts";

const peer = (n: number): PeerId => peerId(`12D3KooW${"abcdefghij"[n]?.repeat(44)}`);

function host(n: number, change: Partial<GatewayHost> = {}): GatewayHost {
  return {
    ...{ peer: peer(n), handle: handle(`n${n}`), zone: null, alive: true, leaving: false, lost: false },
    refusals: 0,
    ...change,
  };
}

const placed = (n: number, port = 80, open = false): GatewayFacts["placed"][number] => ({
  handle: handle(`n${n}`),
  settings: `${port}`,
  open,
});
const wish = (change: Partial<NonNullable<GatewayFacts["wish"]>>): GatewayFacts["wish"] => ({
  ...{ settings: "80", targets: [], count: 0 },
  ...change,
});

function plan(facts: Partial<GatewayFacts>): { place: string[]; remove: string[]; reasons: string } {
  const { place, remove, reasons } = planGateways({
    ...{ wish: null, hosts: [host(1), host(2), host(3)], placed: [] },
    ...facts,
  });
  return {
    place: place.map((one) => one.handle),
    remove: remove.map((one) => one.handle),
    reasons: reasons.join("; "),
  };
}

describe("gateways", () => {
  it("go where they were asked for, and nowhere else", () => {
    expect(plan({ wish: wish({ targets: [peer(2)] }) })).toMatchObject({ place: ["n2"], remove: [] });
    expect(plan({ wish: wish({ targets: [peer(2)] }), placed: [placed(2)] })).toMatchObject({ place: [] });
  });

  it("are as many as wanted, targets counted", () => {
    expect(plan({ wish: wish({ count: 2 }) }).place).toEqual(["n1", "n2"]);
    expect(plan({ wish: wish({ count: 2, targets: [peer(3)] }) }).place).toEqual(["n3", "n1"]);
    const few = plan({ wish: wish({ count: 5 }) });
    expect(few.place).toEqual(["n1", "n2", "n3"]);
    expect(few.reasons).toContain("2 more would be placed");
  });

  it("are spread over zones, and come last where they were refused", () => {
    const hosts = [host(1, { zone: "a" }), host(2, { zone: "a" }), host(3, { zone: "b" })];
    expect(plan({ hosts, wish: wish({ count: 2 }) }).place).toEqual(["n1", "n3"]);
    expect(plan({ hosts: [host(1, { refusals: 1 }), host(2)], wish: wish({ count: 1 }) }).place).toEqual([
      "n2",
    ]);
  });

  it("are only in the zone that was asked for, where nobody names them", () => {
    const hosts = [host(1, { zone: "a" }), host(2, { zone: "b" }), host(3)];
    expect(plan({ hosts, wish: wish({ count: 2, zone: "b" }) })).toMatchObject({
      ...{ place: ["n2"], reasons: expect.stringContaining("2 are wanted in all, in zone b: n2") },
    });
    expect(plan({ hosts, wish: wish({ count: 2, zone: "b", targets: [peer(3)] }) }).place).toEqual([
      "n3",
      "n2",
    ]);
    // One that stands elsewhere goes once the others serve.
    const elsewhere = { hosts, wish: wish({ count: 1, zone: "b" }) };
    expect(plan({ ...elsewhere, placed: [placed(1)] })).toMatchObject({ place: ["n2"], remove: [] });
    expect(plan({ ...elsewhere, placed: [placed(1), placed(2)] })).toMatchObject({
      place: [],
      remove: ["n1"],
    });
  });

  it("stay where they are while their host is away for a while", () => {
    const hosts = [host(1, { alive: false }), host(2), host(3)];
    expect(plan({ hosts, wish: wish({ count: 1 }), placed: [placed(1)] })).toMatchObject({
      place: [],
      remove: [],
    });
  });

  it("are placed elsewhere when it is lost, and only then taken off it", () => {
    const hosts = [host(1, { alive: false, lost: true }), host(2), host(3)];
    const asked = { hosts, wish: wish({ count: 1 }) };
    expect(plan({ ...asked, placed: [placed(1)] })).toMatchObject({ place: ["n2"], remove: [] });
    expect(plan({ ...asked, placed: [placed(1), placed(2, 80, true)] })).toMatchObject({
      place: [],
      remove: [],
    });
    expect(plan({ ...asked, placed: [placed(1), placed(2)] })).toMatchObject({ place: [], remove: ["n1"] });
  });

  it("are taken off it first where no two may be one, unless nobody could have it", () => {
    const lost = host(1, { alive: false, lost: true });
    const asked = { wish: wish({ count: 1, offFirst: true }), placed: [placed(1)] };
    expect(plan({ ...asked, hosts: [lost, host(2)] })).toMatchObject({ place: ["n2"], remove: ["n1"] });
    expect(plan({ ...asked, hosts: [lost, host(2, { alive: false })] })).toMatchObject({
      ...{ place: [], remove: [] },
    });
  });

  it("that were asked for by name wait for their host", () => {
    const hosts = [host(1, { alive: false, lost: true }), host(2)];
    expect(plan({ hosts, wish: wish({ targets: [peer(1)] }), placed: [placed(1)] })).toMatchObject({
      ...{ place: [], remove: [] },
    });
  });

  it("leave a member that leaves once another has one", () => {
    const hosts = [host(1, { leaving: true }), host(2)];
    expect(plan({ hosts, wish: wish({ count: 1 }), placed: [placed(1)] })).toMatchObject({
      place: ["n2"],
      remove: [],
    });
    expect(plan({ hosts, wish: wish({ count: 1 }), placed: [placed(1), placed(2)] }).remove).toEqual(["n1"]);
  });

  it("change their port one at a time", () => {
    const asked = { wish: wish({ count: 2, settings: "8080" }) };
    expect(plan({ ...asked, placed: [placed(1), placed(2)] }).place).toEqual(["n1"]);
    expect(plan({ ...asked, placed: [placed(1, 8080, true), placed(2)] }).place).toEqual([]);
    expect(plan({ ...asked, placed: [placed(1, 8080), placed(2)] }).place).toEqual(["n2"]);
  });

  it("all go when none is wanted", () => {
    expect(plan({ placed: [placed(1), placed(3)] })).toMatchObject({ place: [], remove: ["n1", "n3"] });
  });
});
