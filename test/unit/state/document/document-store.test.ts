import * as Automerge from "@automerge/automerge";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { keyOf } from "../../../../src/state/document/entries.ts";
import { initialChange, initialHead } from "../../../../src/state/document/initial-change.ts";
import { encodeFacts } from "../../../../src/state/document/signed-facts.ts";
import { cluster, facts, merge, peer, signerOf, TestNodes } from "./fixture.ts";

let nodes: TestNodes;
beforeEach(() => {
  nodes = new TestNodes();
});
afterEach(() => {
  vi.useRealTimers();
  nodes.remove();
});

describe("a document of one's own", () => {
  test("the first change is the same bytes on every node", () => {
    const a = nodes.add();
    expect(a.document.heads()).toEqual([initialHead]);
    const [doc] = Automerge.applyChanges(Automerge.init(), [initialChange]);
    expect(Automerge.toJS(doc)).toEqual({ format: 1, epoch: 1 });
    expect(Automerge.getHeads(doc)).toEqual([initialHead]);
  });

  test("what is written is there after a restart", () => {
    const a = nodes.add({ now: () => Date.parse("2026-11-23T12:00:00Z") });
    a.document.setSetting("a.b", "1");
    a.document.setSettings({ c: "2", d: "3" });
    a.document.setSetting("d", null);
    a.document.setService("rgw", { count: 2 });
    a.document.setLabels(peer(7), { zone: "z1", name: "front" });
    a.document.setLabels(peer(7), { name: null });
    a.document.setAdmission("auto", "2026-11-24T12:00:00.000Z");
    a.document.approve(peer(8));
    a.document.deny(peer(9));
    a.document.setFacts(facts("n1"));
    const token = { name: "n3", hash: "0".repeat(64), expiresAt: "2026-11-24T12:00:00.000Z", used: null };
    a.document.setToken("0123456789abcdef", token);
    const before = a.document.view();
    expect(before).toEqual({
      settings: { "a.b": "1", c: "2" },
      services: { rgw: { count: 2 } },
      labels: { [peer(7)]: { zone: "z1" } },
      admission: expect.objectContaining({ mode: "auto", until: "2026-11-24T12:00:00.000Z" }),
      approvals: {
        [peer(8)]: { verdict: "approve", at: "2026-11-23T12:00:00.000Z", by: a.self },
        [peer(9)]: { verdict: "deny", at: "2026-11-23T12:00:00.000Z", by: a.self },
      },
      nodes: { [a.self]: facts("n1") },
      tokens: {
        "0123456789abcdef": [{ ...token, at: "2026-11-23T12:00:00.000Z", by: a.self }],
      },
      removals: {},
    });
    expect(a.document.problems()).toEqual([]);
    a.restart();
    expect(a.document.view()).toEqual(before);
    a.document.forget(peer(8));
    a.document.forget(a.self);
    a.document.forgetApproval(peer(9));
    expect(a.document.view()).toMatchObject({ approvals: {}, nodes: {} });
  });

  test("each open writes as another actor", () => {
    const a = nodes.add();
    a.document.setSetting("a", "1");
    a.restart();
    a.document.setSetting("a", "2");
    const doc = Automerge.load(storedBytes(a.path, a));
    expect(
      new Set(Automerge.getAllChanges(doc).map((change) => Automerge.decodeChange(change).actor)).size,
    ).toBe(3);
  });

  test("a bulk write is many small commits", () => {
    const a = nodes.add();
    a.document.setSettings(Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`s${n}`, `${n}`])));
    const doc = Automerge.load(storedBytes(a.path, a));
    expect(Automerge.getAllChanges(doc).length).toBe(1 + 13);
    expect(Object.keys(a.document.view().settings)).toHaveLength(100);
  });

  test("many writes are stored compactly and survive", () => {
    const a = nodes.add();
    for (let n = 0; n < 600; n += 1) a.document.setSetting("n", `${n}`);
    const rows = a.store.db.prepare("SELECT count(*) AS n FROM document_change").get();
    expect(Number(rows?.n)).toBeLessThan(256);
    a.restart();
    expect(a.document.view().settings).toEqual({ n: "599" });
  });

  test("listeners hear of a change when it is on disk, and one that throws harms nobody", () => {
    const a = nodes.add();
    const heard: boolean[] = [];
    a.document.on("change", () => {
      throw new Error("a bug elsewhere");
    });
    const stop = a.document.on("change", ({ local }) => heard.push(local));
    a.document.setSetting("a", "1");
    a.document.setSetting("a", "1");
    stop();
    a.document.setSetting("a", "2");
    expect(heard).toEqual([true]);
  });

  test.each<[string, (a: ReturnType<TestNodes["add"]>) => void]>([
    ["a setting's name", (a) => a.document.setSetting("__proto__", "1")],
    ["a setting's length", (a) => a.document.setSetting("a", "x".repeat(5000))],
    ["a service's size", (a) => a.document.setService("a", "x".repeat(70_000))],
    ["a service's depth", (a) => a.document.setService("a", JSON.parse("[".repeat(20) + "]".repeat(20)))],
    ["a zone", (a) => a.document.setLabels(peer(1), { zone: "a b" })],
    ["an end of auto", (a) => a.document.setAdmission("auto", "tomorrow")],
    ["an approval", (a) => a.document.approve("x" as never)],
    ["facts", (a) => a.document.setFacts({ ...facts("n"), meshPort: 70_000 })],
    ["facts' size", (a) => a.document.setFacts({ ...facts("n"), disks: "x".repeat(65_300) })],
  ])("%s that readers would ignore is refused", (_, write) => {
    const a = nodes.add();
    const before = a.document.heads();
    expect(() => write(a)).toThrow(expect.objectContaining({ code: "USAGE" }));
    expect(a.document.heads()).toEqual(before);
  });

  test("no room: the write fails with a code, and memory is as the disk", () => {
    const a = nodes.add();
    a.document.setSetting("a", "1");
    const { page_count: pages } = a.store.db.prepare("PRAGMA page_count").get() as { page_count: number };
    a.store.db.exec(`PRAGMA max_page_count = ${pages}`);
    const random = Array.from({ length: 4000 }, (_, n) => String.fromCharCode(33 + ((n * 7919) % 90))).join(
      "",
    );
    expect(() => {
      for (let n = 0; n < 20; n += 1) a.document.setService(`s${n}`, random + n);
    }).toThrow(expect.objectContaining({ code: "DISK_FULL" }));
    const inMemory = { view: a.document.view(), heads: a.document.heads() };
    expect(inMemory.view.settings).toEqual({ a: "1" });
    a.store.db.exec("PRAGMA max_page_count = 1000000");
    a.document.setSetting("b", "2");
    a.restart();
    expect(a.document.view()).toEqual({ ...inMemory.view, settings: { a: "1", b: "2" } });
  });
});

describe("two documents", () => {
  test("begun apart, each keeps what both wrote", () => {
    const [a, b] = [nodes.add(), nodes.add()];
    a.document.setSetting("a", "1");
    b.document.setSetting("b", "2");
    b.document.setLabels(peer(5), { zone: "z" });
    a.document.setLabels(peer(5), { name: "n" });
    merge(a, b);
    expect(a.document.heads()).toEqual(b.document.heads());
    expect(a.document.view()).toEqual(b.document.view());
    expect(a.document.view()).toMatchObject({
      settings: { a: "1", b: "2" },
      labels: { [peer(5)]: { zone: "z", name: "n" } },
    });
  });

  // Many pairs: which of two concurrent values Automerge itself prefers depends on random actor ids.
  test.each([1, 2, 3, 4, 5, 6])(
    "concurrent wishes: the stricter, until one who saw both wishes otherwise",
    () => {
      const [a, b] = [nodes.add(), nodes.add()];
      a.document.setAdmission("closed", null);
      b.document.setAdmission("auto", null);
      merge(a, b);
      for (const node of [a, b]) expect(node.document.view().admission.mode).toBe("closed");
      expect(a.document.view().admission.wishes).toHaveLength(2);
      b.document.setAdmission("auto", null);
      merge(a, b);
      for (const node of [a, b]) expect(node.document.view().admission.mode).toBe("auto");
      // One after the other: the later one, though it is less strict.
      a.document.setAdmission("closed", null);
      merge(a, b);
      b.document.setAdmission("approve", null);
      merge(a, b);
      for (const node of [a, b]) expect(node.document.view().admission.mode).toBe("approve");
    },
  );

  test("concurrent verdicts: deny, until one who saw both approves", () => {
    const [a, b] = [nodes.add(), nodes.add()];
    const pending = Array.from({ length: 16 }, (_, n) => peer(40 + n));
    for (const each of pending) {
      a.document.deny(each);
      b.document.approve(each);
    }
    merge(a, b);
    for (const each of pending) {
      for (const node of [a, b]) expect(node.document.view().approvals[each]?.verdict).toBe("deny");
      b.document.approve(each);
    }
    merge(a, b);
    for (const each of pending) {
      for (const node of [a, b]) expect(node.document.view().approvals[each]?.verdict).toBe("approve");
    }
  });

  test("an approval lapses, and one from the future is a problem", () => {
    let now = Date.parse("2026-11-23T12:00:00Z");
    const a = nodes.add({ now: () => now });
    a.document.approve(peer(9));
    now += 24 * 3_600_000;
    expect(a.document.view().approvals).toEqual({});
    now -= 30 * 3_600_000;
    expect(a.document.view().approvals).toEqual({});
    expect(a.document.problems()).toEqual([expect.objectContaining({ path: keyOf.approval(peer(9)) })]);
  });
});

describe("what is not valid", () => {
  test("is left out, listed, and kept for those who understand it", () => {
    const a = nodes.add();
    a.document.setSetting("good", "1");
    a.writeRaw([
      { key: "setting/BAD NAME", value: "1" },
      { key: "setting/long", value: "x".repeat(5000) },
      { key: "service/json", value: "{" },
      { key: "service/deep", value: "[".repeat(60_000) },
      { key: "admission", value: JSON.stringify({ mode: "open" }) },
      { key: "approval/nobody", value: "{}" },
      { key: keyOf.approval(peer(3)), value: JSON.stringify({ verdict: "approve", at: "x", by: peer(1) }) },
      { key: keyOf.label(peer(3), "zone"), value: "a zone" },
      { key: keyOf.node(peer(3)), value: "no signature" },
      { key: "label/12D3/zone", value: "z" },
      { key: "future/thing", value: "of a later version" },
    ]);
    const view = a.document.view();
    expect(view.settings).toEqual({ good: "1" });
    expect(view).toMatchObject({ services: {}, approvals: {}, labels: {}, nodes: {} });
    expect(view.admission).toMatchObject({ mode: "approve", wishes: [] });
    const problems = a.document.problems().map((problem) => problem.path);
    expect(problems).toEqual(
      expect.arrayContaining([
        "setting/BAD NAME",
        "setting/long",
        "service/json",
        "service/deep",
        "admission",
        "approval/nobody",
        keyOf.approval(peer(3)),
        keyOf.label(peer(3), "zone"),
        keyOf.node(peer(3)),
        "label/12D3/zone",
      ]),
    );
    expect(problems).toHaveLength(10);
    const doc = Automerge.load<Record<string, unknown>>(storedBytes(a.path, a));
    expect(String(doc["future/thing"])).toBe("of a later version");
    expect(String(doc["service/json"])).toBe("{");
  });

  test("a bad value concurrent with a good one does not hide it", () => {
    const [a, b] = [nodes.add(), nodes.add()];
    a.document.setAdmission("closed", null);
    a.document.setSetting("s", "good");
    b.writeRaw([
      { key: "admission", value: "rubbish" },
      { key: "setting/s", value: "x".repeat(5000) },
    ]);
    merge(a, b);
    for (const node of [a, b]) {
      expect(node.document.view().admission.mode).toBe("closed");
      expect(node.document.view().settings).toEqual({ s: "good" });
      expect(node.document.problems()).toHaveLength(2);
    }
  });

  test("nested values of another program are a problem, not a crash", () => {
    const a = nodes.add();
    const theirs = Automerge.change(
      Automerge.applyChanges(Automerge.init<Record<string, unknown>>(), [initialChange])[0],
      (root) => {
        root["setting/map"] = { nested: [1, 2] };
        root["service/number"] = 5;
        root.epoch = "text";
        root.admission = null;
        root[keyOf.node(peer(3))] = new Uint8Array([1]);
        root["setting/text"] = "a collaborative text is text too";
      },
    );
    receive(a, theirs);
    expect(a.document.view().settings).toEqual({ text: "a collaborative text is text too" });
    expect(
      a.document
        .problems()
        .map((problem) => problem.path)
        .sort(),
    ).toEqual(["admission", keyOf.node(peer(3)), "service/number", "setting/map"].sort());
    a.document.setSetting("map", "mended");
    expect(a.document.view().settings.map).toBe("mended");
  });

  test.each(["__proto__", "constructor", "toString", ""])("the key %j harms nobody", (key) => {
    const a = nodes.add();
    a.document.setSetting("constructor", "set");
    const [start] = Automerge.applyChanges(Automerge.init<Record<string, unknown>>(), [initialChange]);
    const change = Automerge.encodeChange({
      actor: "ab".repeat(16),
      seq: 1,
      startOp: 3,
      time: 0,
      message: null,
      deps: [initialHead],
      ops: [{ action: "set", obj: "_root", key, value: "x", pred: [] }],
    } as unknown as Parameters<typeof Automerge.encodeChange>[0]);
    const [theirs] = Automerge.applyChanges(start, [change]);
    receive(a, theirs);
    a.document.setSetting("after", "1");
    a.restart();
    expect(a.document.view().settings).toEqual({ constructor: "set", after: "1" });
    expect(a.document.view().settings.toString).toBe(undefined);
  });

  test("more entries than anyone needs are not looked at", () => {
    const a = nodes.add();
    a.writeRaw(Array.from({ length: 2060 }, (_, n) => ({ key: `label/${peer(1)}/x${n}`, value: "1" })));
    expect(a.document.problems()).toEqual([{ path: "label", text: expect.stringContaining("2060") }]);
  });
});

describe("facts", () => {
  const text = (n: number, name: string, as = n): string =>
    encodeFacts(cluster, peer(n), facts(name), signerOf(peer(as)));

  test.each<[string, string]>([
    ["signed by another member", text(3, "x", 1)],
    ["of another node", text(1, "x", 1)],
    ["of another cluster", encodeFacts("f".repeat(32) as never, peer(3), facts("x"), signerOf(peer(3)))],
    ["changed after signing", text(3, "x").replace("10.77.0.11", "10.77.0.66")],
    [
      "signed but not valid",
      encodeFacts(cluster, peer(3), { ...facts("x"), meshPort: -1 }, signerOf(peer(3))),
    ],
    ["too long", encodeFacts(cluster, peer(3), facts("x", { disks: "x".repeat(70_000) }), signerOf(peer(3)))],
  ])("%s are ignored and a problem", (_, value) => {
    const a = nodes.add();
    a.writeRaw([{ key: keyOf.node(peer(3)), value }]);
    expect(a.document.view().nodes).toEqual({});
    expect(a.document.problems()).toEqual([expect.objectContaining({ path: keyOf.node(peer(3)) })]);
    a.writeRaw([{ key: keyOf.node(peer(3)), value: text(3, "right") }]);
    expect(a.document.view().nodes[peer(3)]?.name).toBe("right");
    expect(a.document.problems()).toEqual([]);
  });

  test("fields of a later version are kept", () => {
    const a = nodes.add();
    const later = { ...facts("x"), colour: "green" };
    a.writeRaw([
      { key: keyOf.node(peer(3)), value: encodeFacts(cluster, peer(3), later, signerOf(peer(3))) },
    ]);
    expect(a.document.view().nodes[peer(3)]).toEqual(later);
  });

  test("a burst is written twice: the first at once, the last after a second", () => {
    vi.useFakeTimers();
    const a = nodes.add();
    const versions: string[] = [];
    a.document.on("change", () => versions.push(a.document.view().nodes[a.self]?.version ?? ""));
    for (const version of ["1", "2", "3"]) a.document.setFacts(facts("n", { version }));
    expect(versions).toEqual(["1"]);
    vi.advanceTimersByTime(999);
    expect(versions).toEqual(["1"]);
    vi.advanceTimersByTime(1);
    expect(versions).toEqual(["1", "3"]);
    vi.advanceTimersByTime(60_000);
    a.document.setFacts(facts("n", { version: "3", updatedAt: "2027-01-01T00:00:00Z" }));
    expect(versions).toEqual(["1", "3"]);
    a.document.setFacts(facts("n", { version: "4" }));
    a.document.setFacts(facts("n", { version: "5" }));
    a.restart();
    expect(a.document.view().nodes[a.self]?.version).toBe("5");
  });

  test.each<[string, (own: string) => string | null]>([
    ["rewritten", () => "rubbish"],
    ["set back to an older state", (own) => own],
    ["deleted", () => null],
  ])("our entry %s by another member comes back, not at once and not for ever", (_, attack) => {
    vi.useFakeTimers();
    const [a, b] = [nodes.add(), nodes.add()];
    a.document.setFacts(facts("n", { version: "old" }));
    merge(a, b);
    const old = encodeFacts(cluster, a.self, facts("n", { version: "old" }), signerOf(a.self));
    vi.advanceTimersByTime(10_000);
    a.document.setFacts(facts("n", { version: "new" }));
    merge(a, b);
    b.writeRaw([{ key: keyOf.node(a.self), value: attack(old) }]);
    merge(a, b);
    expect(a.document.view().nodes[a.self]?.version).not.toBe("new");
    const heads = a.document.heads();
    vi.advanceTimersByTime(29_999);
    expect(a.document.heads()).toEqual(heads);
    vi.advanceTimersByTime(1);
    expect(a.document.view().nodes[a.self]?.version).toBe("new");
    merge(a, b);
    expect(b.document.view().nodes[a.self]?.version).toBe("new");
    expect(b.document.problems()).toEqual([]);
    const healed = a.document.heads();
    vi.advanceTimersByTime(600_000);
    expect(a.document.heads()).toEqual(healed);
  });

  test("after the loss of a disk the later state holds, and the node writes one again", () => {
    vi.useFakeTimers();
    const [a, b] = [nodes.add(), nodes.add()];
    a.document.setFacts(facts("n", { version: "before", updatedAt: "2026-11-23T12:00:00Z" }));
    merge(a, b);
    a.store.db.exec("DELETE FROM document; DELETE FROM document_change");
    a.restart();
    a.document.setFacts(facts("n", { version: "after", updatedAt: "2026-11-23T12:00:01Z" }));
    merge(a, b);
    for (const node of [a, b]) expect(node.document.view().nodes[a.self]?.version).toBe("after");
    vi.advanceTimersByTime(60_000);
    merge(a, b);
    const values = Automerge.load<Record<string, unknown>>(storedBytes(a.path, a));
    expect(Automerge.getConflicts(values, keyOf.node(a.self))).toBe(undefined);
  });
});

type Node = ReturnType<TestNodes["add"]>;

/** The whole stored document of a node, as Automerge would load it. */
function storedBytes(_path: string, node: Node): Uint8Array {
  const head = node.store.db.prepare("SELECT snapshot FROM document").get()?.snapshot as Uint8Array;
  const rows = node.store.db.prepare("SELECT bytes FROM document_change ORDER BY n").all();
  return Buffer.concat([head, ...rows.map((row) => row.bytes as Uint8Array)]);
}

function receive<T>(node: Node, doc: Automerge.Doc<T>): void {
  const session = node.document.session();
  let state = Automerge.initSyncState();
  let theirs = doc;
  for (let round = 0; round < 20; round += 1) {
    const there = session.next();
    if (there !== null) [theirs, state] = Automerge.receiveSyncMessage(theirs, state, there);
    const [next, back] = Automerge.generateSyncMessage(theirs, state);
    state = next;
    if (back !== null) expect(session.receive(back)).not.toBe("refused");
    if (there === null && back === null) return;
  }
}
