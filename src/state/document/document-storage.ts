import { crc32 } from "node:zlib";
import type { ClusterId } from "../../ids/ids.ts";
import type { LocalStore } from "../store/local-store.ts";
import { withStoreErrors } from "../store/store-errors.ts";

/** One piece of a stored document: the snapshot, or changes made since. */
export interface StoredChunk {
  readonly bytes: Uint8Array;
  /** False when the checksum does not fit: the bytes are not those that were written. */
  readonly whole: boolean;
}

export interface StoredDocument {
  readonly epoch: number;
  readonly refetching: boolean;
  /** The snapshot first, then the changes in the order of their writing. */
  readonly chunks: readonly StoredChunk[];
}

/** How many times a damaged document is kept for inspection. */
const asidesKept = 3;

const tables = `
  CREATE TABLE IF NOT EXISTS document (
    cluster TEXT PRIMARY KEY, epoch INTEGER NOT NULL, refetching INTEGER NOT NULL,
    snapshot BLOB NOT NULL, checksum INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS document_change (
    cluster TEXT NOT NULL, n INTEGER NOT NULL, bytes BLOB NOT NULL, checksum INTEGER NOT NULL,
    PRIMARY KEY (cluster, n)) STRICT;
  CREATE TABLE IF NOT EXISTS document_aside (
    reset INTEGER NOT NULL, cluster TEXT NOT NULL, at TEXT NOT NULL, reason TEXT NOT NULL,
    n INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;
`;

/**
 * A document in the tables of the local store: a snapshot and the changes since. Each call that writes is one
 * transaction, durable on return. The bytes are opaque here; each piece has a checksum of its own, since an
 * empty piece would pass as an empty document.
 */
export class DocumentStorage {
  readonly #store: LocalStore;
  readonly #cluster: ClusterId;
  #next = 1;
  #changeBytes = 0;
  #snapshotBytes = 0;

  constructor(store: LocalStore, cluster: ClusterId) {
    this.#store = store;
    this.#cluster = cluster;
    withStoreErrors(store.path, () => store.db.exec(tables));
  }

  /** Sizes in bytes, and how many writes there were since the snapshot. */
  get sizes(): { readonly snapshot: number; readonly writes: number; readonly changes: number } {
    return { snapshot: this.#snapshotBytes, writes: this.#next - 1, changes: this.#changeBytes };
  }

  load(): StoredDocument | undefined {
    return withStoreErrors(this.#store.path, () => {
      const { db } = this.#store;
      const head = db.prepare("SELECT * FROM document WHERE cluster = ?").get(this.#cluster);
      if (head === undefined) return undefined;
      const rows = db
        .prepare("SELECT n, bytes, checksum FROM document_change WHERE cluster = ? ORDER BY n")
        .all(this.#cluster);
      const chunks = [
        chunk(head.snapshot, head.checksum),
        ...rows.map((row) => chunk(row.bytes, row.checksum)),
      ];
      this.#next = Number(rows.at(-1)?.n ?? 0) + 1;
      this.#snapshotBytes = chunks[0]?.bytes.length ?? 0;
      this.#changeBytes = chunks.slice(1).reduce((sum, each) => sum + each.bytes.length, 0);
      return { epoch: Number(head.epoch), refetching: head.refetching === 1, chunks };
    });
  }

  append(bytes: Uint8Array): void {
    withStoreErrors(this.#store.path, () =>
      this.#store.db
        .prepare("INSERT INTO document_change (cluster, n, bytes, checksum) VALUES (?, ?, ?, ?)")
        .run(this.#cluster, this.#next, bytes, crc32(bytes)),
    );
    this.#next += 1;
    this.#changeBytes += bytes.length;
  }

  /** Put a snapshot in the place of all that is stored. */
  replace(document: { epoch: number; refetching: boolean; snapshot: Uint8Array }): void {
    const { epoch, refetching, snapshot } = document;
    this.#store.transaction(() => {
      this.#store.db
        .prepare(
          "INSERT OR REPLACE INTO document (cluster, epoch, refetching, snapshot, checksum) VALUES (?, ?, ?, ?, ?)",
        )
        .run(this.#cluster, epoch, refetching ? 1 : 0, snapshot, crc32(snapshot));
      this.#store.db.prepare("DELETE FROM document_change WHERE cluster = ?").run(this.#cluster);
    });
    this.#next = 1;
    this.#changeBytes = 0;
    this.#snapshotBytes = snapshot.length;
  }

  setRefetching(refetching: boolean): void {
    withStoreErrors(this.#store.path, () =>
      this.#store.db
        .prepare("UPDATE document SET refetching = ? WHERE cluster = ?")
        .run(refetching ? 1 : 0, this.#cluster),
    );
  }

  /** Copy what is stored to where it can be looked at later, before it is replaced. */
  copyAside(reason: string, at: string): void {
    this.#store.transaction(() => {
      const { db } = this.#store;
      const last = db.prepare("SELECT max(reset) AS reset FROM document_aside").get()?.reset;
      const reset = Number(last ?? 0) + 1;
      db.prepare(
        `INSERT INTO document_aside (reset, cluster, at, reason, n, bytes)
         SELECT ?1, cluster, ?2, ?3, 0, snapshot FROM document WHERE cluster = ?4
         UNION ALL SELECT ?1, cluster, ?2, ?3, n, bytes FROM document_change WHERE cluster = ?4`,
      ).run(reset, at, reason, this.#cluster);
      db.prepare("DELETE FROM document_aside WHERE reset <= ?").run(reset - asidesKept);
    });
  }
}

function chunk(bytes: unknown, checksum: unknown): StoredChunk {
  const content = bytes instanceof Uint8Array ? bytes : new Uint8Array();
  return { bytes: content, whole: bytes instanceof Uint8Array && checksum === crc32(content) };
}
