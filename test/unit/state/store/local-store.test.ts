import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LocalStore } from "../../../../src/state/store/local-store.ts";
import { openOrSetAside } from "../../../../src/state/store/set-aside.ts";
import { storeError } from "../../../../src/state/store/store-errors.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "store-"));
  path = join(directory, "state.db");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function withStore<T>(work: (store: LocalStore) => T): T {
  const store = LocalStore.open(path);
  try {
    return work(store);
  } finally {
    store.close();
  }
}

function flipIn(file: string, text: string): void {
  const bytes = readFileSync(file);
  const at = bytes.indexOf(text);
  expect(at, `${text} is in ${file}`).toBeGreaterThan(0);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(file, bytes);
}

describe("LocalStore", () => {
  test("keeps values over a reopen", () => {
    withStore((store) => {
      store.put("a/1", { x: [1, null, "é"] });
      store.put("a/2", null);
      store.put("b", true);
      store.delete("b");
    });
    withStore((store) => {
      expect(store.get("a/1")).toEqual({ x: [1, null, "é"] });
      expect(store.get("a/2")).toBe(null);
      expect(store.get("b")).toBe(undefined);
      expect(store.list("a/")).toEqual([
        ["a/1", { x: [1, null, "é"] }],
        ["a/2", null],
      ]);
    });
  });

  test("the prefix of list is taken literally", () => {
    withStore((store) => {
      for (const key of ["a%", "a_b", "ab", "a", "b", "aé"]) store.put(key, 0);
      expect(store.list("a").map(([key]) => key)).toEqual(["a", "a%", "a_b", "ab", "aé"]);
      expect(store.list("a_").map(([key]) => key)).toEqual(["a_b"]);
    });
  });

  test("a transaction is undone as a whole, an inner one alone", () => {
    withStore((store) => {
      expect(() =>
        store.transaction(() => {
          store.put("a", 1);
          throw new Error("no");
        }),
      ).toThrow("no");
      store.transaction(() => {
        store.put("b", 1);
        expect(() =>
          store.transaction(() => {
            store.put("c", 1);
            throw new Error("no");
          }),
        ).toThrow("no");
      });
      expect(store.list("").map(([key]) => key)).toEqual(["b"]);
      expect(() => store.transaction(async () => 1)).toThrow(TypeError);
      store.put("d", 1);
      expect(store.get("d")).toBe(1);
    });
  });

  test("all its files are 0600, whatever the umask and what was there", () => {
    writeFileSync(path, "");
    chmodSync(path, 0o666);
    const before = process.umask(0);
    try {
      withStore((store) => {
        store.put("a", 1);
        expect(readdirSync(directory).sort()).toEqual(["state.db", "state.db-shm", "state.db-wal"]);
        for (const name of readdirSync(directory)) {
          expect(statSync(join(directory, name)).mode & 0o777, name).toBe(0o600);
        }
      });
    } finally {
      process.umask(before);
    }
  });

  test("writes are synchronised to the disk", () => {
    withStore((store) => {
      expect(store.db.prepare("PRAGMA synchronous").get()).toEqual({ synchronous: 2 });
      expect(store.db.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
    });
  });

  test("a flipped bit in a value is found, though SQLite does not see it", () => {
    withStore((store) => store.put("k", "precious"));
    flipIn(path, "precious");
    expect(() => LocalStore.open(path)).toThrow(expect.objectContaining({ code: "STATE_CORRUPT" }));
  });

  test.each([
    ["text instead of a database", Buffer.from("hello, this is no database at all".repeat(50))],
    ["a damaged page", undefined],
  ])("%s is STATE_CORRUPT and names the file", (_, content) => {
    withStore((store) => {
      for (let n = 0; n < 200; n += 1) store.put(`key${n}`, "x".repeat(200));
    });
    const bytes = content ?? readFileSync(path).fill(0xa5, 8192, 12288);
    writeFileSync(path, bytes);
    expect(() => LocalStore.open(path)).toThrow(
      expect.objectContaining({ code: "STATE_CORRUPT", message: expect.stringContaining(path) }),
    );
  });

  test("a file of a later version is refused and not set aside", () => {
    withStore((store) => store.db.exec("INSERT INTO schema (version) VALUES (99)"));
    expect(() => openOrSetAside(path)).toThrow(expect.objectContaining({ code: "STATE_TOO_NEW" }));
    expect(readdirSync(directory)).toEqual(["state.db"]);
  });

  test("no room is DISK_FULL, and what was there stays readable", () => {
    withStore((store) => {
      store.put("a", 1);
      const { page_count: pages } = store.db.prepare("PRAGMA page_count").get() as { page_count: number };
      store.db.exec(`PRAGMA max_page_count = ${pages}`);
      expect(() => store.put("b", "x".repeat(100_000))).toThrow(
        expect.objectContaining({ code: "DISK_FULL" }),
      );
      expect(() =>
        store.transaction(() => {
          store.put("c", 1);
          store.put("b", "x".repeat(100_000));
        }),
      ).toThrow(expect.objectContaining({ code: "DISK_FULL" }));
      expect(store.list("")).toEqual([["a", 1]]);
    });
  });

  test.each([
    ["ENOSPC", "DISK_FULL"],
    ["EDQUOT", "DISK_FULL"],
  ])("%s of the file system is %s", (code, expected) => {
    expect(storeError(Object.assign(new Error("x"), { code }), "/f")).toMatchObject({ code: expected });
  });
});

describe("openOrSetAside", () => {
  const at = (): Date => new Date("2026-11-23T05:06:07.089Z");

  test("a whole file is just opened", () => {
    withStore((store) => store.put("a", 1));
    const opened = openOrSetAside(path, at);
    expect(opened.setAside).toBe(null);
    expect(opened.store.get("a")).toBe(1);
    opened.store.close();
  });

  test("a damaged file and its log are moved away, not deleted", () => {
    writeFileSync(path, "rubbish".repeat(1000));
    writeFileSync(`${path}-wal`, "old log");
    const opened = openOrSetAside(path, at);
    expect(opened.setAside?.path).toBe(`${path}.corrupt-20261123T050607.089Z`);
    expect(opened.setAside?.reason).toContain(path);
    expect(readFileSync(`${path}.corrupt-20261123T050607.089Z`, "utf8")).toBe("rubbish".repeat(1000));
    expect(opened.store.list("")).toEqual([]);
    opened.store.put("a", 1);
    opened.store.close();

    writeFileSync(path, "rubbish");
    const again = openOrSetAside(path, at);
    expect(again.setAside?.path).toBe(`${path}.corrupt-20261123T050607.089Z-2`);
    again.store.close();
  });

  test("the log that a crash half-way left behind does not reach the new database", () => {
    withStore((store) => store.put("old", 1));
    const other = new DatabaseSync(path);
    other.exec("PRAGMA wal_autocheckpoint = 0; INSERT OR REPLACE INTO kv VALUES ('old', '2', 0)");
    const log = readFileSync(`${path}-wal`);
    other.close();
    expect(log.length).toBeGreaterThan(0);
    rmSync(path);
    writeFileSync(`${path}-wal`, log);
    withStore((store) => expect(store.list("")).toEqual([]));
  });
});
