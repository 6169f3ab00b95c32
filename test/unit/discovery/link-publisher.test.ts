import { beforeEach, describe, expect, it } from "vitest";
import { LinkPublisher } from "../../../src/discovery/core/link-publisher.ts";
import type { Message } from "../../../src/discovery/core/message.ts";
import { serviceTypeDomain } from "../../../src/discovery/core/names.ts";
import type { Identity } from "../../../src/discovery/core/record-set.ts";
import type { RecordType, ResourceRecord } from "../../../src/discovery/core/records.ts";
import { encodeText } from "../../../src/discovery/core/text-record.ts";
import { message, records, serviceName } from "./simulated-lan.ts";

const identity: Identity = {
  serviceName,
  instance: "n1",
  host: "n1",
  port: 7000,
  text: encodeText({ st: "fresh" }),
};
const from = { address: "10.0.0.9", port: 5353 };
const nobody = new Set<string>();

/** Sends of a publisher with the time of each, its randomness fixed at one half: 70 ms of delay. */
class Rig {
  now = 0;
  readonly publisher = new LinkPublisher({ random: () => 0.5 });
  sent: { readonly at: number; readonly message: Message }[] = [];

  run(until: number): void {
    for (;;) {
      const due = this.publisher.due();
      if (due > until) break;
      this.now = Math.max(this.now, due);
      for (const one of this.publisher.advance(this.now)) this.sent.push({ at: this.now, message: one });
    }
    this.now = until;
  }

  query(part: Partial<Message>, sender = from): void {
    this.publisher.receive(message({ kind: "query", ...part }), this.now, nobody, sender);
  }

  response(answers: ResourceRecord[]): string | null {
    return this.publisher.receive(message({ answers }), this.now, nobody, from);
  }

  /** `[time, kind, types of the answers]`, emptied. */
  take(): [number, string, string][] {
    const shown = this.sent.map(({ at, message: { kind, answers } }): [number, string, string] => [
      at,
      kind,
      answers.map(({ type, ttl }) => (ttl === 0 ? `-${type}` : type)).join(" "),
    ]);
    this.sent = [];
    return shown;
  }
}

let rig: Rig;
const ptr = { name: serviceName, type: "PTR" } as const;
const quiet = 60_000;

beforeEach(() => {
  rig = new Rig();
  rig.publisher.publish(identity, ["10.0.0.1", "fd00::1"], 0);
});

describe("start", () => {
  it("probes three times, then announces twice, one second apart, and says nothing more", () => {
    rig.run(quiet);
    const all = "PTR PTR SRV TXT A AAAA";
    expect(rig.take()).toEqual([
      [125, "query", ""],
      [375, "query", ""],
      [625, "query", ""],
      [875, "response", all],
      [1875, "response", all],
    ]);
    expect(rig.publisher.due()).toBe(Number.POSITIVE_INFINITY);
  });

  it("sets the flush bit on unique records only", () => {
    rig.run(quiet);
    const announced = rig.sent.at(-1)?.message.answers ?? [];
    expect(announced.map(({ type, flush }) => `${type} ${flush}`)).toEqual([
      "PTR false",
      "PTR false",
      "SRV true",
      "TXT true",
      "A true",
      "AAAA true",
    ]);
  });

  it("answers nothing before the names are its own", () => {
    rig.run(700);
    rig.take();
    rig.query({ questions: [ptr, { name: "n1.local", type: "A" }] });
    rig.run(874);
    expect(rig.take()).toEqual([]);
  });

  it("reports a conflict only once it has asked: the probe will bring it up", () => {
    expect(rig.response([records.location("n1", "other")])).toBeNull();
    rig.run(125);
    expect(rig.response([records.location("n1", "other")])).toBe("instance");
    expect(rig.response([records.address("n1", "10.0.0.2")])).toBe("host");
  });

  it("yields a second to the winner of a tie-break", () => {
    rig.run(125);
    rig.query({
      questions: [{ name: `n1.${serviceName}`, type: "ANY" }],
      authorities: [records.location("n1", "n1", 7001)],
    });
    rig.run(quiet);
    expect(rig.take().map(([at]) => at)).toEqual([125, 1125, 1375, 1625, 1875, 2875]);
  });
});

describe("answers", () => {
  beforeEach(() => {
    rig.run(quiet);
    rig.take();
  });

  it.each<[string, string, RecordType | "ANY", number, string, string]>([
    // Shared answers wait 20–120 ms (here 70), unique ones do not.
    ["the service", serviceName, "PTR", 70, "PTR", "SRV TXT A AAAA"],
    ["the service in capitals", serviceName.toUpperCase(), "PTR", 70, "PTR", "SRV TXT A AAAA"],
    ["the list of service types", serviceTypeDomain, "PTR", 70, "PTR", ""],
    ["the location", `n1.${serviceName}`, "SRV", 0, "SRV", "A AAAA"],
    ["the text", `n1.${serviceName}`, "TXT", 0, "TXT", ""],
    ["the host's IPv4 address", "n1.local", "A", 0, "A", "AAAA"],
    ["anything of the instance", `n1.${serviceName}`, "ANY", 0, "SRV TXT", "A AAAA"],
  ])("answers a question for %s", (_what, name, type, delay, answers, additionals) => {
    rig.query({ questions: [{ name, type }] });
    rig.run(rig.now + 5_000);
    expect(rig.sent.map(({ at }) => at)).toEqual([quiet + delay]);
    const sent = rig.sent[0]?.message;
    expect(sent?.answers.map((record) => record.type).join(" ")).toBe(answers);
    expect(sent?.additionals.map((record) => record.type).join(" ")).toBe(additionals);
  });

  it.each<[string, string, RecordType]>([
    ["another service", "_http._tcp.local", "PTR"],
    ["another host", "n2.local", "A"],
    ["a type the name has not", `n1.${serviceName}`, "A"],
  ])("is silent on %s", (_what, name, type) => {
    rig.query({ questions: [{ name, type }] });
    rig.run(rig.now + 5_000);
    expect(rig.take()).toEqual([]);
  });

  it.each([
    ["all of its life left", 4500, false],
    ["half of its life left", 2250, false],
    ["less than half of its life left", 2249, true],
  ])("treats a known answer with %s", (_what, ttl, answered) => {
    rig.query({ questions: [ptr], answers: [records.pointer("n1", ttl)] });
    rig.run(rig.now + 5_000);
    expect(rig.take().length).toBe(answered ? 1 : 0);
  });

  it("is not silenced by known answers of other data", () => {
    rig.query({ questions: [ptr], answers: [records.pointer("n2")] });
    rig.run(rig.now + 5_000);
    expect(rig.take()).toHaveLength(1);
  });

  it("waits 400–500 ms where known answers go on, and takes those of the next packet into account", () => {
    rig.query({ questions: [ptr], truncated: true });
    rig.run(rig.now + 449);
    expect(rig.take()).toEqual([]);
    rig.query({ answers: [records.pointer("n1")] });
    rig.run(rig.now + 5_000);
    expect(rig.take()).toEqual([]);
  });

  it("still answers one asker when another knows the answer", () => {
    rig.query({ questions: [ptr], truncated: true });
    rig.query({ questions: [ptr] }, { address: "10.0.0.8", port: 5353 });
    rig.query({ answers: [records.pointer("n1")] });
    rig.run(rig.now + 5_000);
    expect(rig.take()).toHaveLength(1);
  });

  it("leaves an answer that another host has just given (the list of service types)", () => {
    rig.query({ questions: [{ name: serviceTypeDomain, type: "PTR" }] });
    rig.response([{ name: serviceTypeDomain, type: "PTR", ttl: 4500, flush: false, data: serviceName }]);
    rig.run(rig.now + 5_000);
    expect(rig.take()).toEqual([]);
  });

  it("never repeats a record within a second: the answer waits", () => {
    rig.query({ questions: [ptr] });
    rig.run(quiet + 300);
    rig.query({ questions: [ptr] });
    rig.query({ questions: [{ name: "n1.local", type: "A" }] });
    rig.run(quiet + 5_000);
    expect(rig.take().map(([at]) => at)).toEqual([quiet + 70, quiet + 1_070]);
  });

  it("defends its names against a probe at once, down to 250 ms after the last time", () => {
    const probe = { questions: [{ name: `n1.${serviceName}`, type: "ANY" as const }] };
    const authorities = [records.location("n1", "other")];
    rig.query({ ...probe, authorities });
    rig.run(quiet + 100);
    rig.query({ ...probe, authorities });
    rig.run(quiet + 5_000);
    expect(rig.take().map(([at, , types]) => [at, types])).toEqual([
      [quiet, "SRV TXT"],
      [quiet + 250, "SRV TXT"],
    ]);
  });

  it("collects answers that fall due together", () => {
    rig.query({ questions: [ptr, { name: serviceTypeDomain, type: "PTR" }] });
    rig.run(quiet + 5_000);
    expect(rig.take()).toEqual([[quiet + 70, "response", "PTR PTR"]]);
  });

  it("replies to a simple resolver by unicast terms: its question, id, short lives, no flush bit", () => {
    const question = { name: `n1.${serviceName}`, type: "SRV" as const };
    const reply = rig.publisher.reply(message({ kind: "query", id: 77, questions: [question] }));
    expect(reply).toMatchObject({ id: 77, questions: [question] });
    expect(reply?.answers.map(({ ttl, flush }) => [ttl, flush])).toEqual([[10, false]]);
    expect(
      rig.publisher.reply(message({ kind: "query", questions: [{ name: "x.local", type: "A" }] })),
    ).toBeNull();
  });
});

describe("changes", () => {
  beforeEach(() => {
    rig.run(quiet);
    rig.take();
  });

  it("announces a new TXT at once and again after a second, nothing else", () => {
    rig.publisher.publish(
      { ...identity, text: encodeText({ st: "member" }) },
      ["10.0.0.1", "fd00::1"],
      rig.now,
    );
    rig.run(quiet + 5_000);
    expect(rig.sent.map(({ message: { answers } }) => answers[0]?.flush)).toEqual([true, true]);
    expect(rig.take()).toEqual([
      [quiet, "response", "TXT"],
      [quiet + 1_000, "response", "TXT"],
    ]);
  });

  it("says only the last of several TXTs again", () => {
    const publish = (st: string): void =>
      rig.publisher.publish({ ...identity, text: encodeText({ st }) }, ["10.0.0.1", "fd00::1"], rig.now);
    publish("claimed");
    rig.run(quiet + 100);
    publish("member");
    rig.run(quiet + 5_000);
    const texts = rig.sent.map(({ at, message: { answers } }) => [
      at - quiet,
      answers.map((one) => (one.type === "TXT" ? String(Buffer.from(one.data[0] ?? [])) : one.type)),
    ]);
    expect(texts).toEqual([
      [0, ["st=claimed"]],
      [100, ["st=member"]],
      [1_100, ["st=member"]],
    ]);
  });

  it("announces other addresses and takes leave of those that nothing replaces", () => {
    rig.publisher.publish(identity, ["10.0.0.2"], rig.now);
    rig.run(quiet + 5_000);
    expect(rig.take()).toEqual([
      [quiet, "response", "-AAAA"],
      [quiet, "response", "A"],
      [quiet + 1_000, "response", "A"],
    ]);
  });

  it("probes for a new name after a goodbye for the old one", () => {
    rig.publisher.publish({ ...identity, instance: "n1 (2)" }, ["10.0.0.1"], rig.now);
    rig.run(quiet + 5_000);
    expect(rig.take().map(([at, kind, types]) => [at - quiet, kind, types])).toEqual([
      [0, "response", "-PTR -SRV -TXT"],
      [125, "query", ""],
      [375, "query", ""],
      [625, "query", ""],
      [875, "response", "PTR PTR SRV TXT A"],
      [1875, "response", "PTR PTR SRV TXT A"],
    ]);
  });

  it("takes leave with TTL 0, but not of the list of service types nor of the host", () => {
    const [goodbye] = rig.publisher.goodbye();
    expect(goodbye?.answers.map(({ name, type, ttl }) => `${type} ${name} ${ttl}`)).toEqual([
      `PTR ${serviceName} 0`,
      `SRV n1.${serviceName} 0`,
      `TXT n1.${serviceName} 0`,
    ]);
  });

  it("says again what another process on this host takes leave of", () => {
    rig.response([records.address("n1", "10.0.0.1", 0)]);
    rig.run(quiet + 5_000);
    expect(rig.take()).toEqual([[quiet, "response", "A"]]);
  });

  it("probes again when another host answers under its name, and keeps it if that one falls silent", () => {
    expect(rig.response([records.location("n1", "other")])).toBeNull();
    expect(rig.publisher.established()).toBe(false);
    rig.run(quiet + 5_000);
    expect(rig.publisher.established()).toBe(true);
    expect(rig.take().filter(([, kind]) => kind === "query")).toHaveLength(3);
  });
});
