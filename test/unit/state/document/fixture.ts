import { createHash, createHmac } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { type ClusterId, clusterId, type PeerId, peerId } from "../../../../src/ids/ids.ts";
import type { NodeFacts } from "../../../../src/state/document/cluster-document.ts";
import { type DocumentOptions, DocumentStore } from "../../../../src/state/document/document-store.ts";
import { DurableDocument, type Edit } from "../../../../src/state/document/durable-document.ts";
import { LocalStore } from "../../../../src/state/store/local-store.ts";

export const cluster: ClusterId = clusterId("0123456789abcdef0123456789abcdef");
export const silent = pino({ level: "silent" });

/** PeerIds whose order is that of their numbers. */
export function peer(n: number): PeerId {
  const digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZ";
  const high = digits[Math.floor(n / digits.length)] ?? "Z";
  return peerId(`12D3KooW${"1".repeat(42)}${high}${digits[n % digits.length] ?? "Z"}`);
}

/** A stand-in for a node's key: whoever knows the name can sign, but only for that name. */
export function signerOf(id: PeerId): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => createHmac("sha256", `key of ${id}`).update(bytes).digest();
}

export function verify(id: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean {
  return Buffer.compare(signerOf(id)(bytes), signature) === 0;
}

export function facts(name: string, extra: Partial<NodeFacts> = {}): NodeFacts {
  return {
    name,
    addresses: ["10.77.0.11"],
    meshPort: 7001,
    lobbyPort: 7000,
    version: "0.1.0",
    cephVersion: "18.2.4",
    etcdVersion: "3.4.23",
    disks: [{ path: "/dev/vdb", bytes: 10_737_418_240 }],
    updatedAt: "2026-11-23T12:00:00.000Z",
    osds: [{ osd: 0, path: "/dev/vdb", uuid: "u" }],
    services: ["mon"],
    ...extra,
  };
}

/** A node's disk and what runs on it; `crash` forgets what was not on the disk. */
export class TestNode {
  readonly self: PeerId;
  readonly path: string;
  readonly options: DocumentOptions;
  now: () => number;
  store: LocalStore;
  document: DocumentStore;

  constructor(
    directory: string,
    n: number,
    options: { now?: () => number; refetch?: boolean; cluster?: ClusterId } = {},
  ) {
    this.self = peer(n);
    this.path = join(directory, `${n}.db`);
    this.now = options.now ?? Date.now;
    this.options = {
      self: this.self,
      cluster: options.cluster ?? cluster,
      ...(options.refetch === undefined ? {} : { refetch: options.refetch }),
    };
    this.store = LocalStore.open(this.path);
    this.document = this.#newDocument();
  }

  #newDocument(): DocumentStore {
    const document = new DocumentStore(this.options, {
      store: this.store,
      now: () => this.now(),
      log: silent,
      sign: signerOf(this.self),
      verify,
    });
    document.open();
    return document;
  }

  restart(): void {
    this.close();
    this.store = LocalStore.open(this.path);
    this.document = this.#newDocument();
  }

  close(): void {
    this.document.close();
    this.store.close();
  }

  /** Write what the typed layer would not, as a member with another program could. */
  writeRaw(edits: Edit[]): void {
    this.document.close();
    const raw = new DurableDocument(
      { cluster: this.options.cluster },
      { store: this.store, now: this.now, log: silent, onChange: () => undefined },
    );
    raw.change(edits);
    this.document = this.#newDocument();
  }
}

/** A directory that goes with the nodes in it. */
export class TestNodes {
  readonly directory = mkdtempSync(join(tmpdir(), "document-"));
  readonly nodes: TestNode[] = [];

  add(options: ConstructorParameters<typeof TestNode>[2] = {}): TestNode {
    const node = new TestNode(this.directory, this.nodes.length, options);
    this.nodes.push(node);
    return node;
  }

  remove(): void {
    for (const node of this.nodes) node.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Make two documents equal, without a network. */
export function merge(a: TestNode, b: TestNode): void {
  const [left, right] = [a.document.session(), b.document.session()];
  for (let round = 0; round < 20; round += 1) {
    const there = left.next();
    if (there !== null && right.receive(there) === "refused") throw new Error("refused");
    const back = right.next();
    if (back !== null && left.receive(back) === "refused") throw new Error("refused");
    if (there === null && back === null) return;
  }
  throw new Error("no end of the talk");
}

/** Deterministic numbers in [0, 1): mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
