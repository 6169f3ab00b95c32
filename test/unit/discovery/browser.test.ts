import { beforeEach, describe, expect, it } from "vitest";
import { Browser } from "../../../src/discovery/core/browser.ts";
import type { Message } from "../../../src/discovery/core/message.ts";
import { fold } from "../../../src/discovery/core/names.ts";
import type { ResourceRecord } from "../../../src/discovery/core/records.ts";
import { fullSet, message, records, serviceName } from "./simulated-lan.ts";

const key = (instance: string): string => fold(`${instance}.${serviceName}`);

/** A browser with a clock; its randomness is 0: first queries after 20 ms, refreshes at exact shares. */
class Rig {
  now = 0;
  readonly browser = new Browser({ serviceName, random: () => 0 }, 0);
  sent: { readonly at: number; readonly message: Message }[] = [];

  run(until: number): void {
    for (;;) {
      const due = this.browser.due();
      if (due > until) break;
      this.now = Math.max(this.now, due);
      for (const one of this.browser.advance(this.now)) this.sent.push({ at: this.now, message: one });
    }
    this.now = until;
  }

  hear(answers: readonly ResourceRecord[], additionals: readonly ResourceRecord[] = []): void {
    this.browser.receive(message({ answers, additionals }), this.now, "10.0.0.1");
  }

  hearQuestion(name: string, from: string | null): void {
    const question = { name, type: "PTR" } as const;
    this.browser.receive(message({ kind: "query", questions: [question] }), this.now, from);
  }

  /** Times of the questions for the service since the last call. */
  asked(): number[] {
    const times = this.sent.filter(({ message: { questions } }) =>
      questions.some(({ type }) => type === "PTR"),
    );
    this.sent = [];
    return times.map(({ at }) => at);
  }

  /** `[time, questions]` without those for the service itself, emptied. */
  take(): [number, string][] {
    const shown = this.sent.map(({ at, message: { questions } }): [number, string] => [
      at,
      questions
        .flatMap(({ type, name }) => (type === "PTR" ? [] : `${type} ${name.split(".")[0]}`))
        .join(", "),
    ]);
    this.sent = [];
    return shown.filter(([, text]) => text !== "");
  }

  seen(instance = "n1"): boolean {
    return this.browser.view(key(instance)) !== null;
  }
}

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});

describe("probes of others", () => {
  const probe = (instance: string, host: string, address: string): readonly ResourceRecord[] =>
    fullSet(instance, host, address).filter(({ type }) => type !== "PTR");
  const hearProbe = (authorities: readonly ResourceRecord[], from: string | null = "10.0.0.1"): void =>
    rig.browser.receive(message({ kind: "query", authorities }), rig.now, from);

  it("show an instance at once, and for as long as its announcement may take", () => {
    hearProbe(probe("n1", "n1", "10.0.0.1"));
    expect(rig.browser.view(key("n1"))).toMatchObject({ port: 7000, addresses: ["10.0.0.1"] });
    rig.run(4_900);
    expect(rig.seen()).toBe(true);
    rig.run(5_000);
    expect(rig.seen()).toBe(false);
    expect(rig.browser.keys()).toEqual([]);
  });

  it("are followed by the announcement, which stays", () => {
    hearProbe(probe("n1", "n1", "10.0.0.1"));
    rig.browser.takeDirty();
    rig.run(1_000);
    rig.hear(fullSet("n1", "n1", "10.0.0.1"));
    rig.run(60_000);
    expect(rig.seen()).toBe(true);
    expect(rig.browser.refused).toBe(0);
  });

  it("change nothing that was announced, and are not about other services or from this node", () => {
    rig.hear(fullSet("n1", "n1", "10.0.0.1"));
    rig.browser.takeDirty();
    hearProbe([
      records.location("n1", "other", 9),
      records.text("n1", ["st=member"]),
      ...probe("n2", "n1", "10.9.9.9"),
    ]);
    expect(rig.browser.view(key("n1"))).toMatchObject({ port: 7000, addresses: ["10.0.0.1"] });
    expect(rig.browser.view(key("n2"))).toMatchObject({ addresses: ["10.0.0.1"] });
    hearProbe([{ ...records.location("n3", "n3"), name: "n3._other._tcp.local" }]);
    hearProbe(probe("n4", "n4", "10.0.0.4"), null);
    hearProbe([records.pointer("n5")]);
    expect(rig.browser.keys()).toEqual(["n1", "n2"].map(key));
  });

  it("make no more instances known than there is room for", () => {
    for (let index = 0; index < 1_100; index++) hearProbe(probe(`node ${index}`, `h${index}`, "10.0.0.1"));
    expect(rig.browser.keys()).toHaveLength(1_024);
    expect(rig.browser.refused).toBe(76);
    rig.run(6_000);
    expect(rig.browser.keys()).toEqual([]);
  });
});

describe("browsing", () => {
  it("asks after 20 ms, then after 1, 2, 4 … seconds, in the end once an hour", () => {
    rig.run(4 * 3_600_000);
    const times = rig.sent.map(({ at }) => at - 20);
    expect(times.slice(0, 6)).toEqual([0, 1_000, 3_000, 7_000, 15_000, 31_000]);
    const gaps = times.map((at, index) => at - (times[index - 1] ?? 0)).slice(1);
    expect(Math.max(...gaps)).toBe(3_600_000);
    expect(rig.sent.length).toBe(15);
  });

  it("asks soon when a stranger asks for the service, at most once in 15 s", () => {
    rig.run(3_000_000);
    rig.hear(fullSet("n1", "n1", "10.0.0.1"));
    rig.asked();
    for (const from of ["10.0.0.1", null]) rig.hearQuestion(serviceName, from);
    rig.hearQuestion("_other._tcp.local", "10.0.0.2");
    rig.run(3_001_000);
    expect(rig.asked()).toEqual([]);
    rig.hearQuestion(serviceName, "10.0.0.2");
    rig.run(3_001_010);
    rig.hearQuestion(serviceName, "10.0.0.3");
    rig.run(3_010_000);
    rig.hearQuestion(serviceName, "10.0.0.2");
    rig.run(3_016_020);
    expect(rig.asked()).toEqual([3_001_020]);
    rig.hearQuestion(serviceName, "10.0.0.2");
    rig.run(3_017_000);
    expect(rig.asked()).toEqual([3_016_040]);
  });

  it("names the pointers it knows that have more than half of their life left", () => {
    rig.hear([...fullSet("n1", "n1", "10.0.0.1"), ...fullSet("n2", "n2", "10.0.0.2", 60)]);
    rig.run(31_021);
    const known = rig.sent
      .filter(({ message: { questions } }) => questions[0]?.type === "PTR")
      .at(-1)?.message;
    expect(known?.answers.map(({ data, ttl }) => [data, ttl])).toEqual([[`n1.${serviceName}`, 4_468]]);
  });

  it("spreads many known answers over packets, all but the last truncated", () => {
    for (let index = 0; index < 100; index++) rig.hear(fullSet(`node ${index}`, "n1", "10.0.0.1"));
    rig.run(20);
    const packets = rig.sent.map((one) => one.message);
    expect(packets.length).toBeGreaterThan(3);
    expect(packets.flatMap(({ answers }) => answers)).toHaveLength(100);
    expect(packets.map(({ truncated }) => truncated)).toEqual(packets.map((_, n) => n < packets.length - 1));
    expect(packets.map(({ questions }) => questions.length)).toEqual(
      packets.map((_, n) => (n === 0 ? 1 : 0)),
    );
  });
});

describe("resolving", () => {
  it("knows an instance by pointer, location, text and address, from any section in any order", () => {
    const [pointer, location, text, address] = fullSet("n1", "n1", "10.0.0.1");
    if (!pointer || !location || !text || !address) throw new Error("incomplete");
    rig.hear([address, text], [location, pointer]);
    expect(rig.browser.view(key("N1"))).toMatchObject({
      instance: "n1",
      host: "n1",
      port: 7000,
      addresses: ["10.0.0.1"],
      txt: { st: "fresh" },
    });
  });

  const [pointer, location, text, address] = fullSet("n1", "n1", "10.0.0.1");
  it.each<[string, (ResourceRecord | undefined)[], string]>([
    ["location and text", [pointer], "SRV n1, TXT n1"],
    ["location", [pointer, text], "SRV n1"],
    ["text", [pointer, location, address], "TXT n1"],
    ["addresses", [pointer, location, text], "A n1, AAAA n1"],
    ["nothing", [pointer, location, text, address], ""],
  ])("asks for missing %s soon, and again at doubling intervals", (_what, given, asked) => {
    rig.hear(given.flatMap((one) => one ?? []));
    rig.run(4_000);
    expect(rig.take()).toEqual(asked === "" ? [] : [20, 1_020, 3_020].map((at) => [at, asked]));
  });

  it("stops asking when the answer is there", () => {
    rig.hear([records.pointer("n1")]);
    rig.run(100);
    rig.hear(fullSet("n1", "n1", "10.0.0.1").slice(1));
    rig.take();
    rig.run(10_000);
    expect(rig.take()).toEqual([]);
    expect(rig.seen()).toBe(true);
  });

  it.each<[string, ResourceRecord[]]>([
    [
      "of another service",
      [{ ...records.pointer("n1"), name: "_http._tcp.local" }, ...fullSet("n1", "n1", "10.0.0.1").slice(1)],
    ],
    ["without a pointer", fullSet("n1", "n1", "10.0.0.1").slice(1)],
    ["with a dot in its label", fullSet("n.1", "n1", "10.0.0.1")],
    [
      "on port 0",
      [
        records.pointer("n1"),
        records.location("n1", "n1", 0),
        records.text("n1", []),
        records.address("n1", "10.0.0.1"),
      ],
    ],
    ["on this host's loopback", fullSet("n1", "n1", "127.0.0.1")],
    ["on a multicast address", fullSet("n1", "n1", "ff02::1")],
  ])("does not see an instance %s", (_what, given) => {
    rig.hear(given);
    expect(rig.seen()).toBe(false);
  });

  it("ignores addresses of hosts that nobody points to", () => {
    rig.hear([records.address("stranger", "10.0.0.7")]);
    rig.hear([records.pointer("n1"), records.location("n1", "stranger"), records.text("n1", ["a=b"])]);
    expect(rig.seen()).toBe(false);
  });
});

describe("life", () => {
  beforeEach(() => {
    rig.hear(fullSet("n1", "n1", "10.0.0.1"));
    rig.run(100);
    rig.take();
  });

  it("asks again at 80, 85, 90, 95 % of a life and loses the instance at its end", () => {
    rig.run(119_999);
    expect(rig.take()).toEqual([96, 102, 108, 114].map((second) => [second * 1_000, "SRV n1, A n1"]));
    expect(rig.seen()).toBe(true);
    rig.run(120_000);
    expect(rig.seen()).toBe(false);
    expect(rig.browser.keys()).toEqual([]);
  });

  it("searches afresh after a loss without goodbye", () => {
    rig.run(119_000);
    rig.sent = [];
    rig.run(122_000);
    expect(rig.sent.map(({ at }) => at)).toEqual([120_020, 121_020]);
  });

  it("does not search afresh after a goodbye", () => {
    rig.run(40_000);
    rig.sent = [];
    rig.hear([records.pointer("n1", 0), records.location("n1", "n1", 7000, 0)]);
    rig.run(45_000);
    expect(rig.sent).toEqual([]);
  });

  it("begins a new life with each answer", () => {
    rig.run(96_000);
    rig.hear([records.location("n1", "n1"), records.address("n1", "10.0.0.1")]);
    rig.run(191_000);
    expect(rig.seen()).toBe(true);
    expect(rig.take()).toEqual([[96_000, "SRV n1, A n1"]]);
  });

  it.each<[string, ResourceRecord]>([
    ["pointer", records.pointer("n1", 0)],
    ["location", records.location("n1", "n1", 7000, 0)],
  ])("keeps an instance for a second after the goodbye of its %s", (_what, goodbye) => {
    rig.hear([goodbye]);
    rig.run(rig.now + 999);
    expect(rig.seen()).toBe(true);
    rig.run(rig.now + 1);
    expect(rig.seen()).toBe(false);
  });

  it("forgets a goodbye when the instance is back within the second", () => {
    rig.hear(fullSet("n1", "n1", "10.0.0.1").map((record) => ({ ...record, ttl: 0 })));
    rig.run(600);
    rig.hear(fullSet("n1", "n1", "10.0.0.1"));
    rig.run(60_000);
    expect(rig.seen()).toBe(true);
  });

  it("ignores the goodbye of what it does not know", () => {
    rig.hear([records.pointer("n2", 0), records.address("n1", "10.0.0.9", 0)]);
    expect(rig.browser.keys()).toEqual([key("n1")]);
    expect(rig.browser.view(key("n1"))?.addresses).toEqual(["10.0.0.1"]);
  });

  it("replaces text and location at once, addresses that are older than a second after a second", () => {
    rig.run(5_000);
    rig.hear([
      records.text("n1", ["st=member"]),
      records.address("n1", "10.0.0.2"),
      records.location("n1", "n1", 7001),
    ]);
    const view = (): unknown => rig.browser.view(key("n1"));
    expect(view()).toMatchObject({ port: 7001, txt: { st: "member" }, addresses: ["10.0.0.1", "10.0.0.2"] });
    rig.run(6_000);
    expect(view()).toMatchObject({ addresses: ["10.0.0.2"] });
  });

  it("keeps all addresses of a set that comes in several packets", () => {
    rig.run(5_000);
    rig.hear([records.address("n1", "10.0.0.1"), records.address("n1", "10.0.0.2")]);
    rig.run(5_500);
    rig.hear([records.address("n1", "10.0.0.3")]);
    rig.run(10_000);
    expect(rig.browser.view(key("n1"))?.addresses).toEqual(["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
  });

  it("adds an address without flush bit", () => {
    rig.run(5_000);
    rig.hear([records.address("n1", "10.0.0.2", 120, false)]);
    rig.run(10_000);
    expect(rig.browser.view(key("n1"))?.addresses).toEqual(["10.0.0.1", "10.0.0.2"]);
  });

  it("drops the addresses of the host it moved away from", () => {
    rig.hear([records.location("n1", "other"), records.address("other", "10.0.0.5")]);
    rig.hear([records.location("n1", "n1")]);
    expect(rig.seen()).toBe(false);
  });
});

describe("reconfirming", () => {
  beforeEach(() => {
    rig.hear(fullSet("n1", "n1", "10.0.0.1"));
    rig.run(40_000);
    rig.take();
    rig.browser.reconfirm(key("N1"), rig.now);
  });

  it("asks at once and twice more, and loses what nobody answers for in 10 s", () => {
    rig.run(49_999);
    expect(rig.take()).toEqual([40_000, 41_000, 43_000].map((at) => [at, "SRV n1, TXT n1, A n1"]));
    expect(rig.seen()).toBe(true);
    rig.run(50_000);
    expect(rig.seen()).toBe(false);
  });

  it("keeps what is answered for", () => {
    rig.run(40_500);
    rig.hear(fullSet("n1", "n1", "10.0.0.1").slice(1));
    rig.take();
    rig.run(90_000);
    expect(rig.seen()).toBe(true);
    expect(rig.take()).toEqual([]);
  });
});

describe("limits", () => {
  it("keeps 1024 instances; a complete one makes room among the incomplete", () => {
    for (let index = 0; index < 1_100; index++) rig.hear([records.pointer(`x${index}`)]);
    expect(rig.browser.keys()).toHaveLength(1_024);
    rig.hear(fullSet("n1", "n1", "10.0.0.1"));
    expect(rig.seen()).toBe(true);
    expect(rig.browser.keys()).toHaveLength(1_024);
  });

  it("refuses more when all are complete, and counts it", () => {
    for (let index = 0; index < 1_024; index++) rig.hear(fullSet(`x${index}`, `x${index}`, "10.0.0.1"));
    rig.hear(fullSet("n1", "n1", "10.0.0.1"));
    expect(rig.seen()).toBe(false);
    expect(rig.browser.keys()).toHaveLength(1_024);
    expect(rig.browser.refused).toBeGreaterThan(0);
  });

  it("keeps 16 addresses of a host", () => {
    rig.hear(fullSet("n1", "n1", "10.0.0.1"));
    rig.hear(Array.from({ length: 40 }, (_, n) => records.address("n1", `10.0.1.${n + 1}`)));
    expect(rig.browser.view(key("n1"))?.addresses).toHaveLength(16);
  });

  it("asks for the missing pieces of many at a bearable rate", () => {
    for (let index = 0; index < 1_024; index++) rig.hear([records.pointer(`x${index}`)]);
    rig.run(1_019);
    const questions = rig.sent.flatMap((one) => one.message.questions);
    expect(questions.length).toBeLessThanOrEqual(5 * 64);
    expect(questions.length).toBeGreaterThan(3 * 64);
  });

  it("does not ask for records that live for seconds only", () => {
    rig.hear(fullSet("n1", "n1", "10.0.0.1", 5));
    rig.run(6_000);
    expect(rig.take()).toEqual([]);
    expect(rig.seen()).toBe(false);
  });
});
