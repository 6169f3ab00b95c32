import { describe, expect, it } from "vitest";
import { conflictIn, losesTieBreak, Prober, probeMessage } from "../../../src/discovery/core/prober.ts";
import { recordSet } from "../../../src/discovery/core/record-set.ts";
import type { ResourceRecord } from "../../../src/discovery/core/records.ts";
import { encodeText } from "../../../src/discovery/core/text-record.ts";
import { message, records, serviceName } from "./simulated-lan.ts";

const text = encodeText({ st: "fresh" });
const set = recordSet({ serviceName, instance: "n1", host: "n1", port: 7000, text }, ["10.0.0.1"]);

describe("the prober", () => {
  it("probes three times 250 ms apart and is done 250 ms after the last", () => {
    const prober = new Prober(100);
    const steps = [99, 100, 349, 350, 600, 849, 850].map((at) => prober.step(at));
    expect(steps).toEqual(["wait", "probe", "wait", "probe", "probe", "wait", "done"]);
  });

  it("starts over a second after a lost tie-break", () => {
    const prober = new Prober(0);
    prober.step(0);
    prober.postpone(10);
    expect(prober.asking()).toBe(false);
    expect([1009, 1010, 1260, 1510, 1760].map((at) => prober.step(at))).toEqual([
      "wait",
      "probe",
      "probe",
      "probe",
      "done",
    ]);
  });

  it("asks for anything under both names and proposes the unique records without flush bit", () => {
    const probe = probeMessage(set);
    expect(probe.questions).toEqual([
      { name: `n1.${serviceName}`, type: "ANY" },
      { name: "n1.local", type: "ANY" },
    ]);
    expect(probe.authorities.map(({ type, flush }) => [type, flush])).toEqual([
      ["SRV", false],
      ["TXT", false],
      ["A", false],
    ]);
  });

  const own = { addresses: new Set(["10.0.0.1", "10.0.1.1"]), said: () => false };
  it.each<[string, ResourceRecord, "instance" | "host" | null]>([
    ["our SRV", records.location("n1", "n1"), null],
    ["our name with another host", records.location("N1", "other"), "instance"],
    ["our name with another TXT", records.text("n1", ["st=member"]), "instance"],
    ["a goodbye of another's", records.location("n1", "other", 7000, 0), null],
    ["another instance", records.location("n2", "other"), null],
    ["our address", records.address("n1", "10.0.0.1"), null],
    // An avahi-daemon on this host announces the same host name with the addresses of each interface.
    ["an address of our other interface", records.address("n1", "10.0.1.1"), null],
    ["another host's address", records.address("N1", "10.0.0.2"), "host"],
    ["another host's address of a family we lack", records.address("n1", "fd00::2"), "host"],
    ["a pointer to our name", records.pointer("n1"), null],
  ])("judges %s", (_what, record, conflict) => {
    expect(conflictIn(message({ answers: [record] }), set, own)).toBe(conflict);
    expect(conflictIn(message({ additionals: [record] }), set, own)).toBe(conflict);
  });

  it("takes no old record of its own for a conflict when a reflector brings it back", () => {
    const response = message({ answers: [records.text("n1", ["st=claimed"])] });
    expect(conflictIn(response, set, { ...own, said: () => true })).toBeNull();
  });

  const probeWith = (authorities: ResourceRecord[], name = `n1.${serviceName}`) =>
    message({ kind: "query", questions: [{ name, type: "ANY" }], authorities });
  it.each<[string, ReturnType<typeof message>, boolean]>([
    ["the same records", probeMessage(set), false],
    ["later data", probeWith([records.location("n1", "n1", 7001), records.text("n1", ["st=fresh"])]), true],
    [
      "earlier data",
      probeWith([records.location("n1", "n1", 6999), records.text("n1", ["st=fresh"])]),
      false,
    ],
    ["a later host address", probeWith([records.address("n1", "10.0.0.2")], "n1.local"), true],
    ["an earlier host address", probeWith([records.address("n1", "10.0.0.0")], "n1.local"), false],
    ["later data without the question", probeWith([records.address("n1", "10.0.0.2")], "other"), false],
    ["a query without proposals", probeWith([]), false],
  ])("decides the tie with %s", (_what, probe, loses) => expect(losesTieBreak(probe, set)).toBe(loses));
});
