import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { clusterId } from "../../../../src/ids/ids.ts";
import { DurableDocument } from "../../../../src/state/document/durable-document.ts";
import { initialHead } from "../../../../src/state/document/initial-change.ts";
import { merge, peer, silent, type TestNode, TestNodes } from "./fixture.ts";

let nodes: TestNodes;
beforeEach(() => {
  nodes = new TestNodes();
});
afterEach(() => nodes.remove());

/** Damage that a disk or a person can do to the stored document, below SQLite's notice. */
const damages: Record<string, string> = {
  "a flipped bit in the snapshot":
    "UPDATE document SET snapshot = CAST(substr(snapshot, 1, 20) || x'a5' || substr(snapshot, 22) AS BLOB)",
  "a torn snapshot": "UPDATE document SET snapshot = substr(snapshot, 1, length(snapshot) / 2)",
  "an empty snapshot": "UPDATE document SET snapshot = x''",
  "a torn change": "UPDATE document_change SET bytes = substr(bytes, 1, length(bytes) / 2) WHERE n = 2",
  "an emptied change": "UPDATE document_change SET bytes = x'' WHERE n = 2",
  "a lost change": "DELETE FROM document_change WHERE n = 2",
  "an earlier epoch": "UPDATE document SET epoch = 0",
};

function written(): TestNode {
  const node = nodes.add();
  for (const name of ["a", "b", "c", "d"]) node.document.setSetting(name, "1");
  return node;
}

describe("stored content that is damaged", () => {
  test.each(Object.entries(damages))("%s is found, set aside, and fetched again", (_, sql) => {
    const [a, b] = [written(), nodes.add()];
    merge(a, b);
    a.store.db.exec(sql);
    a.restart();
    expect(a.document.refetching).toBe(true);
    const aside = a.store.db.prepare("SELECT count(*) AS n, max(reason) AS reason FROM document_aside").get();
    expect(Number(aside?.n)).toBeGreaterThanOrEqual(4);
    expect(String(aside?.reason)).not.toBe("");
    // It can be written at once, under an actor that nobody knows, and all of it comes together.
    a.document.setSetting("meanwhile", "1");
    b.document.setSetting("elsewhere", "1");
    a.restart();
    expect(a.document.refetching).toBe(true);
    merge(a, b);
    for (const node of [a, b]) {
      expect(Object.keys(node.document.view().settings)).toEqual([
        "a",
        "b",
        "c",
        "d",
        "elsewhere",
        "meanwhile",
      ]);
    }
    a.document.endRefetch();
    a.restart();
    expect(a.document.refetching).toBe(false);
    expect(Object.keys(a.document.view().settings)).toHaveLength(6);
  });

  test("what does not build on the damaged part is still read", () => {
    const a = written();
    a.store.db.exec(damages["a torn change"] ?? "");
    a.restart();
    expect(a.document.view().settings).toEqual({ a: "1" });
  });

  test("what is whole is not refetched", () => {
    const a = written();
    a.restart();
    expect(a.document.refetching).toBe(false);
    expect(a.document.view().settings).toEqual({ a: "1", b: "1", c: "1", d: "1" });
    expect(a.store.db.prepare("SELECT count(*) AS n FROM document_aside").get()).toEqual({ n: 0 });
  });

  test("an empty node that must fetch says so, also after a restart", () => {
    const a = nodes.add({ refetch: true });
    expect(a.document.refetching).toBe(true);
    a.restart();
    expect(a.document.refetching).toBe(true);
    a.document.endRefetch();
    a.restart();
    expect(a.document.refetching).toBe(false);
  });

  test("only the last few damaged documents are kept", () => {
    const a = written();
    for (let n = 0; n < 6; n += 1) {
      a.store.db.exec("UPDATE document SET snapshot = x''");
      a.restart();
    }
    const kept = a.store.db.prepare("SELECT count(DISTINCT reset) AS n FROM document_aside").get();
    expect(kept).toEqual({ n: 3 });
  });

  test("documents of two clusters in one store do not mix", () => {
    const a = written();
    const other = new DurableDocument(
      { cluster: clusterId("f".repeat(32)) },
      { store: a.store, now: Date.now, log: silent, onChange: () => undefined },
    );
    expect(other.heads()).toEqual([initialHead]);
    other.change([{ key: "setting/z", value: "1" }]);
    a.restart();
    expect(Object.keys(a.document.view().settings)).toEqual(["a", "b", "c", "d"]);
  });
});

describe("a disk that was set back", () => {
  test("does not make two changes of one number: the others still understand us", () => {
    const [a, b] = [written(), nodes.add()];
    merge(a, b);
    a.restart();
    const tables = (): Record<string, unknown>[] => a.store.db.prepare("SELECT * FROM document_change").all();
    const before = tables();
    a.document.setSetting("lost", "1");
    merge(a, b);
    a.store.db.exec(`DELETE FROM document_change WHERE n > ${before.length}`);
    a.restart();
    a.document.setSetting("new", "1");
    a.document.approve(peer(3));
    merge(a, b);
    expect(a.document.heads()).toEqual(b.document.heads());
    expect(Object.keys(a.document.view().settings)).toEqual(["a", "b", "c", "d", "lost", "new"]);
  });
});

describe("a sync message that is not one", () => {
  test("is refused, and the document is as before", () => {
    const [a, b] = [written(), nodes.add()];
    const session = b.document.session();
    const hello = session.next();
    const theirs = a.document.session();
    if (hello === null) throw new Error("nothing to say");
    theirs.receive(hello);
    const message = theirs.next();
    if (message === null) throw new Error("nothing to say");
    let before = b.document.heads();
    for (let at = 0; at < message.length; at += 3) {
      const torn = Uint8Array.from(message);
      torn[at] = (torn[at] ?? 0) ^ 0x55;
      const verdict = b.document.session().receive(torn);
      if (verdict === "refused") expect(b.document.heads(), `byte ${at}`).toEqual(before);
      before = b.document.heads();
    }
    for (const rubbish of [
      new Uint8Array(),
      new Uint8Array([1, 2, 3]),
      message.subarray(0, message.length / 2),
    ]) {
      expect(b.document.session().receive(rubbish)).toBe("refused");
    }
    b.restart();
    merge(a, b);
    expect(b.document.view().settings).toEqual({ a: "1", b: "1", c: "1", d: "1" });
  });
});
