import { beforeEach, describe, expect, it } from "vitest";
import {
  announcement,
  fullSet,
  type Host,
  message,
  records,
  SimulatedLan,
  seeded,
  serviceName,
} from "./simulated-lan.ts";

let lan: SimulatedLan;
beforeEach(() => {
  lan = new SimulatedLan();
});

function names(host: Host): string[] {
  return host.core
    .sightings()
    .map(({ instance }) => instance)
    .sort();
}

function told(host: Host): string[] {
  return host.changes.map(({ event, sighting }) => `${event} ${sighting.instance}`);
}

describe("two hosts", () => {
  it.each(Array.from({ length: 20 }, (_, seed) => seed))(
    "see each other at most a second after the start (seed %i)",
    (seed) => {
      lan = new SimulatedLan(seed);
      const old = lan.add("old", { lan: "10.0.0.1" });
      old.core.announce(announcement("old"), lan.now);
      lan.run(600_000);
      const young = lan.add("young", { lan: "10.0.0.2" });
      young.core.announce(announcement("young"), lan.now);
      const began = lan.now;
      lan.run(3_000);
      expect(names(old)).toEqual(["young abcdef"]);
      expect(names(young)).toEqual(["old abcdef"]);
      expect((old.changes[0]?.at ?? 0) - began).toBeLessThanOrEqual(1_000);
      expect((young.changes[0]?.at ?? 0) - began).toBeLessThanOrEqual(240);
    },
  );

  it("tell a change of the TXT at once, a goodbye after a second", () => {
    const [one, other] = ["n1", "n2"].map((name, n) => lan.add(name, { lan: `10.0.0.${n + 1}` }));
    if (!one || !other) throw new Error("no hosts");
    one.core.announce(announcement("n1"), lan.now);
    lan.run(60_000);
    one.core.announce(announcement("n1", { st: "member" }), lan.now);
    const changedAt = lan.now;
    lan.run(10_000);
    const leftAt = lan.now;
    lan.leave(one);
    lan.run(10_000);
    expect(other.changes.map(({ event, at, sighting }) => [event, at, sighting.txt])).toEqual([
      ["seen", expect.any(Number), { st: "fresh" }],
      ["changed", changedAt, { st: "member" }],
      ["lost", leftAt + 1_000, { st: "member" }],
    ]);
  });

  it("lose one that crashed when its location record has lived", () => {
    const one = lan.add("n1", { lan: "10.0.0.1" });
    const other = lan.add("n2", { lan: "10.0.0.2" });
    one.core.announce(announcement("n1"), lan.now);
    lan.run(300_000);
    const heard = lan.from("n1").at(-1)?.at ?? 0;
    lan.crash("n1");
    lan.run(121_000);
    expect(told(other)).toEqual(["seen n1 abcdef", "lost n1 abcdef"]);
    expect(other.changes[1]?.at).toBe(heard + 120_000);
  });

  it("learn of a crash within 10 s when asked to make sure", () => {
    lan.add("n1", { lan: "10.0.0.1" }).core.announce(announcement("n1"), lan.now);
    const other = lan.add("n2", { lan: "10.0.0.2" });
    lan.run(10_000);
    other.core.reconfirm("n1 abcdef", lan.now);
    lan.run(15_000);
    expect(told(other)).toEqual(["seen n1 abcdef"]);
    lan.crash("n1");
    other.core.reconfirm("n1 abcdef", lan.now);
    lan.run(10_000);
    expect(told(other)).toEqual(["seen n1 abcdef", "lost n1 abcdef"]);
  });

  it("find each other again after the network was cut", () => {
    const hosts = ["n1", "n2"].map((name, n) => lan.add(name, { lan: `10.0.0.${n + 1}` }));
    for (const host of hosts) host.core.announce(announcement(host.name), lan.now);
    lan.run(3_600_000);
    lan.loses = () => true;
    lan.run(300_000);
    expect(hosts.map((host) => names(host))).toEqual([[], []]);
    lan.loses = () => false;
    lan.run(300_000);
    expect(hosts.map((host) => names(host))).toEqual([["n2 abcdef"], ["n1 abcdef"]]);
  });

  it("stay known to each other for a day at the cost of a few packets a minute", () => {
    const hosts = ["n1", "n2", "n3"].map((name, n) => lan.add(name, { lan: `10.0.0.${n + 1}` }));
    for (const host of hosts) host.core.announce(announcement(host.name), lan.now);
    lan.run(60_000);
    lan.sent.length = 0;
    lan.run(86_400_000);
    expect(hosts.flatMap((host) => told(host).filter((text) => !text.startsWith("seen")))).toEqual([]);
    expect(lan.sent.length / (24 * 60) / 3).toBeLessThan(3);
  });
});

describe("names", () => {
  it("go to the one who has them: the newcomer takes the next", () => {
    const one = lan.add("n1", { lan: "10.0.0.1" });
    one.core.announce({ ...announcement("n1"), instance: "same" }, lan.now);
    lan.run(10_000);
    const other = lan.add("n2", { lan: "10.0.0.2" });
    other.core.announce({ ...announcement("n2"), instance: "same" }, lan.now);
    lan.run(10_000);
    expect(other.renames).toEqual([{ what: "instance", from: "same", to: "same (2)" }]);
    expect(one.renames).toEqual([]);
    expect([names(one), names(other)]).toEqual([["same (2)"], ["same"]]);
  });

  it("of hosts likewise, while the instances stay", () => {
    const one = lan.add("n1", { lan: "10.0.0.1" });
    one.core.announce(announcement("n1"), lan.now);
    lan.run(10_000);
    const other = lan.add("n2", { lan: "10.0.0.2" });
    other.core.announce({ ...announcement("n1"), instance: "other" }, lan.now);
    lan.run(10_000);
    expect(other.renames).toEqual([{ what: "host", from: "n1", to: "n1-2" }]);
    expect(one.core.sightings()).toMatchObject([
      { instance: "other", host: "n1-2", addresses: ["10.0.0.2"] },
    ]);
    expect(other.core.sightings()).toMatchObject([{ host: "n1", addresses: ["10.0.0.1"] }]);
  });

  it.each(Array.from({ length: 30 }, (_, seed) => seed))(
    "are settled when all start at once (seed %i)",
    (seed) => {
      lan = new SimulatedLan(seed);
      const hosts = Array.from({ length: 4 }, (_, n) => lan.add(`n${n}`, { lan: `10.0.0.${n + 1}` }));
      for (const host of hosts) host.core.announce({ ...announcement(host.name), instance: "same" }, lan.now);
      lan.run(30_000);
      const inUse = hosts.map(({ core }) => core.identity?.instance ?? "").sort();
      expect(inUse).toEqual(["same", "same (2)", "same (3)", "same (4)"]);
      for (const host of hosts) {
        expect(names(host), host.name).toEqual(inUse.filter((name) => name !== host.core.identity?.instance));
      }
    },
  );

  it("stay as they are when TXT or port change after a rename", () => {
    lan.add("n1", { lan: "10.0.0.1" }).core.announce({ ...announcement("n1"), instance: "same" }, lan.now);
    lan.run(5_000);
    const other = lan.add("n2", { lan: "10.0.0.2" });
    other.core.announce({ ...announcement("n2"), instance: "same" }, lan.now);
    lan.run(5_000);
    other.core.announce({ ...announcement("n2", { st: "member" }), instance: "same", port: 7001 }, lan.now);
    lan.run(5_000);
    expect(other.core.identity).toMatchObject({ instance: "same (2)", port: 7001 });
    expect(other.renames).toHaveLength(1);
  });

  it("are not changed faster than once in 5 s when someone claims all of them", () => {
    const one = lan.add("n1", { lan: "10.0.0.1" });
    one.core.announce({ ...announcement("n1"), instance: "same" }, lan.now);
    for (let step = 0; step < 600; step++) {
      const instance = one.core.identity?.instance ?? "";
      lan.inject("lan", message({ answers: [records.location(instance, "attacker")] }));
      lan.run(100);
    }
    // 15 in the first seconds, then one in about 5 s.
    expect(one.renames.length).toBeGreaterThanOrEqual(15);
    expect(one.renames.length).toBeLessThanOrEqual(15 + 60 / 5 + 1);
  });

  it("with what the DNS cannot carry are made fit or refused", () => {
    const one = lan.add("n1", { lan: "10.0.0.1" });
    const announce = (part: object): void => one.core.announce({ ...announcement("n1"), ...part }, lan.now);
    announce({ instance: `n1.example.org\u0007${"ä".repeat(40)}`, host: "n1.example.org" });
    expect(one.core.identity).toMatchObject({ instance: `n1-example-org ${"ä".repeat(24)}`, host: "n1" });
    for (const part of [
      { instance: " " },
      { host: "" },
      { port: 0 },
      { port: 70_000 },
      { txt: { "": "x" } },
    ]) {
      expect(() => announce(part), JSON.stringify(part)).toThrow(TypeError);
    }
  });
});

describe("several interfaces", () => {
  it("announce on each link the addresses of its own interface, and sightings merge them", () => {
    const one = lan.add("n1", { left: "10.0.0.1", right: "10.1.0.1" });
    const other = lan.add("n2", { left: "10.0.0.2", right: "10.1.0.2" });
    const third = lan.add("n3", { right: "10.1.0.3" });
    one.core.announce(announcement("n1"), lan.now);
    lan.run(5_000);
    for (const { link, message: sent } of lan.from("n1")) {
      for (const record of [...sent.answers, ...sent.additionals, ...sent.authorities]) {
        if (record.type === "A")
          expect(record.data, link).toBe(link === "eth0/IPv4" ? "10.0.0.1" : "10.1.0.1");
      }
    }
    expect(other.core.sightings()).toMatchObject([
      { instance: "n1 abcdef", addresses: ["10.0.0.1", "10.1.0.1"], interfaces: ["eth0", "eth1"] },
    ]);
    expect(third.core.sightings()).toMatchObject([{ addresses: ["10.1.0.1"], interfaces: ["eth0"] }]);
    expect(told(other)).toEqual(["seen n1 abcdef", "changed n1 abcdef"]);
  });

  it("go and come: what was seen there is lost with the link, and found with it", () => {
    lan.add("n1", { left: "10.0.0.1", right: "10.1.0.1" }).core.announce(announcement("n1"), lan.now);
    const other = lan.add("n2", { left: "10.0.0.2", right: "10.1.0.2" });
    lan.run(5_000);
    other.core.removeLink("eth1/IPv4", lan.now);
    lan.run(0);
    expect(other.core.sightings()).toMatchObject([{ addresses: ["10.0.0.1"], interfaces: ["eth0"] }]);
    other.core.removeLink("eth0/IPv4", lan.now);
    lan.run(0);
    expect(other.core.sightings()).toEqual([]);
    other.core.putLink({ id: "eth0/IPv4", interface: "eth0", addresses: ["10.0.0.2"] }, lan.now);
    lan.run(300);
    expect(names(other)).toEqual(["n1 abcdef"]);
    expect(told(other).at(-1)).toBe("seen n1 abcdef");
  });

  it("say other addresses at once", () => {
    const one = lan.add("n1", { lan: "10.0.0.1" });
    const other = lan.add("n2", { lan: "10.0.0.2" });
    one.core.announce(announcement("n1"), lan.now);
    lan.run(60_000);
    one.core.putLink({ id: "eth0/IPv4", interface: "eth0", addresses: ["10.0.0.9"] }, lan.now);
    lan.run(1_500);
    expect(other.core.sightings()).toMatchObject([{ addresses: ["10.0.0.9"] }]);
    expect(told(other).filter((text) => text.startsWith("lost"))).toEqual([]);
  });

  it("with other addresses are asked on again: others may be reachable now", () => {
    lan.add("n1", { lan: "10.0.0.1" });
    const other = lan.add("n2", { lan: "10.0.0.2" });
    lan.run(600_000);
    lan.sent.length = 0;
    other.core.putLink({ id: "eth0/IPv4", interface: "eth0", addresses: ["10.0.0.9"] }, lan.now);
    lan.run(120);
    expect(lan.from("n2").map(({ message: sent }) => sent.questions[0]?.type)).toEqual(["PTR"]);
  });

  it("scope link-local addresses", () => {
    const other = lan.add("n2", { lan: "10.0.0.2" });
    lan.inject("lan", message({ answers: fullSet("n1", "n1", "fe80::1") }));
    expect(other.core.sightings()).toMatchObject([{ addresses: ["fe80::1%eth0"] }]);
  });

  it("probe and announce again when a link could not send", () => {
    const one = lan.add("n1", { lan: "10.0.0.1" });
    const other = lan.add("n2", { lan: "10.0.0.2" });
    lan.loses = () => true;
    one.core.announce(announcement("n1"), lan.now);
    lan.run(5_000);
    lan.loses = () => false;
    one.core.restartLink("eth0/IPv4", lan.now);
    lan.run(1_100);
    expect(names(other)).toEqual(["n1 abcdef"]);
  });
});

describe("what others send", () => {
  it("as a question of a simple resolver is answered by unicast only", () => {
    const one = lan.add("n1", { lan: "10.0.0.1" });
    one.core.announce(announcement("n1"), lan.now);
    lan.run(60_000);
    lan.sent.length = 0;
    const resolver = { address: "10.0.0.7", port: 40_000 };
    const query = message({ kind: "query", id: 5, questions: [{ name: serviceName, type: "PTR" }] });
    lan.inject("lan", query, resolver);
    expect(lan.sent).toMatchObject([{ to: resolver, message: { id: 5, kind: "response" } }]);
    lan.inject("lan", message({ answers: fullSet("x", "x", "10.0.0.7") }), resolver);
    expect(one.core.sightings()).toEqual([]);
  });

  it("under our own name is no sighting", () => {
    const one = lan.add("n1", { lan: "10.0.0.1" });
    one.core.announce(announcement("n1"), lan.now);
    lan.run(10_000);
    lan.inject("lan", message({ answers: fullSet("N1 ABCDEF", "n1", "10.0.0.1") }));
    expect(one.core.sightings()).toEqual([]);
  });

  it.each(Array.from({ length: 10 }, (_, seed) => seed))(
    "at random breaks nothing: no endless work, bounded answers, honest hosts stay known (seed %i)",
    (seed) => {
      const random = seeded(seed);
      lan = new SimulatedLan(seed);
      const hosts = ["n1", "n2"].map((name, n) => lan.add(name, { lan: `10.0.0.${n + 1}` }));
      for (const host of hosts) host.core.announce(announcement(host.name), lan.now);
      lan.run(5_000);
      lan.sent.length = 0;
      const labels = ["x1", "x2", "x3", "n9", "zz"];
      const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
      const packets = 2_000;
      for (let n = 0; n < packets; n++) {
        const label = pick(labels);
        const ttl = pick([0, 1, 5, 120, 4500]);
        const all = [
          records.pointer(label, ttl),
          records.location(label, pick(labels), Math.floor(random() * 65_536), ttl),
          records.text(label, [pick(["", "=", "a", "a=b", "x".repeat(200)])], ttl),
          records.address(
            pick(labels),
            pick(["10.0.0.77", "127.0.0.1", "fe80::5", "::"]),
            ttl,
            random() < 0.5,
          ),
        ].filter(() => random() < 0.7);
        const questions = [
          {
            name: pick([serviceName, `${label}.${serviceName}`, "n1.local"]),
            type: pick(["PTR", "ANY", "SRV", "A"] as const),
          },
        ];
        const kind = pick(["query", "response"] as const);
        const part =
          kind === "query" ? { questions, answers: all, truncated: random() < 0.2 } : { answers: all };
        lan.inject("lan", message({ kind, ...part }), {
          address: "10.0.0.66",
          port: pick([5353, 5353, 5353, 999]),
        });
        lan.run(Math.floor(random() * 200));
      }
      for (const host of hosts) {
        expect(
          host.core.sightings().some(({ instance }) => /^n[12] abcdef$/.test(instance)),
          host.name,
        ).toBe(true);
      }
      expect(lan.sent.length).toBeLessThan(packets * 6);
    },
  );
});
