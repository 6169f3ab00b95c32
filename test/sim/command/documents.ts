import { MicrocephError } from "../../../src/errors/microceph-error.ts";
import type { PeerId } from "../../../src/ids/ids.ts";
import type { Json } from "../../../src/ids/json.ts";
import type { DocumentStore } from "../../../src/state/document/document-store.ts";
import { DocumentSync } from "../../../src/state/document/document-sync.ts";
import type { Random, VirtualProcess, VirtualTime } from "../../support/virtual-time.ts";
import { cluster, peer, silent, TestNodes } from "../../unit/state/document/fixture.ts";
import { ModelDocument, ModelRegistry } from "./model-document.ts";
import { streamBytes } from "./wire.ts";

/** Up to so many nodes hold real Automerge documents on a real store. */
export const mostRealDocuments = 30;
/** As the daemon sets it for a request of the document. */
const requestMs = 5_000;

export interface DocumentWire {
  readonly time: VirtualTime;
  readonly random: Random;
  process(self: number): VirtualProcess;
  connected(self: number): readonly PeerId[];
  /** False: not connected. */
  send(from: number, to: number, bytes: number, arrived: () => void): boolean;
  publish(from: number, heads: string[], bytes: number): void;
  /** The document of that node has changed. */
  changed(self: number): void;
}

interface Holder {
  readonly document: DocumentStore;
  readonly write: (key: string, value: string) => void;
  /** Open again what is on its disk. */
  readonly restart: () => DocumentStore;
  readonly has: (key: string, value: string, heads: readonly string[]) => boolean;
}

/** The document on every node: the real sync between real documents, or above 30 nodes between models of them. */
export class SimDocuments {
  readonly real: boolean;
  readonly #wire: DocumentWire;
  readonly #holders: Holder[] = [];
  readonly #syncs: (DocumentSync | undefined)[] = [];
  readonly #nodes = new TestNodes();
  readonly #registry = new ModelRegistry();

  constructor(count: number, wire: DocumentWire, real = count <= mostRealDocuments) {
    this.real = real;
    this.#wire = wire;
    for (let self = 0; self < count; self += 1) this.#holders.push(real ? this.#real() : this.#model(self));
  }

  #real(): Holder {
    const now = (): number => 1_700_000_000_000 + this.#wire.time.now();
    const node = this.#nodes.add({ now });
    return {
      document: node.document,
      write: (key, value) => node.document.setSetting(key, value),
      restart: () => {
        node.restart();
        return node.document;
      },
      has: (key, value) => node.document.view().settings[key] === value,
    };
  }

  #model(self: number): Holder {
    const model = new ModelDocument(idOf(self), self, cluster, this.#registry);
    return {
      document: model.asStore(),
      write: () => model.write(),
      restart: () => model.asStore(),
      has: (_key, _value, heads) => model.hasHeads(heads),
    };
  }

  start(self: number): void {
    const { time, random } = this.#wire;
    const holder = this.#holder(self);
    const document = this.#syncs[self] === undefined ? holder.document : holder.restart();
    this.#holders[self] = { ...holder, document };
    const process = this.#wire.process(self);
    document.on("change", () => this.#wire.changed(self));
    const sync = new DocumentSync({
      document,
      request: (to, body, signal) => this.#request(self, to, body, signal),
      connected: () => [...this.#wire.connected(self)],
      publishHeads: (heads) => this.#wire.publish(self, heads, JSON.stringify(heads).length),
      log: silent,
      now: () => time.now(),
      random: () => random.next(),
      after: (ms, run) =>
        time.timer(ms, process, () => {
          time.settle();
          run();
        }),
    });
    this.#syncs[self] = sync;
    sync.start();
    time.settle();
  }

  /** As after `kill -9`: nothing is finished. */
  end(self: number): void {
    void this.#syncs[self]?.stop();
    this.#wire.time.settle();
  }

  connection(self: number, other: number, up: boolean): void {
    if (up) this.#syncs[self]?.onConnect(idOf(other));
    else this.#syncs[self]?.onDisconnect(idOf(other));
    this.#wire.time.settle();
  }

  hint(self: number, from: number, heads: Json): void {
    this.#syncs[self]?.onHeads(idOf(from), heads);
  }

  /** An edit; the heads that it leads to. */
  write(self: number, key: string, value: string): string[] {
    this.#holder(self).write(key, value);
    this.#wire.time.settle();
    return this.heads(self);
  }

  heads(self: number): string[] {
    return this.#holder(self).document.heads();
  }

  hasHeads(self: number, heads: readonly string[]): boolean {
    return this.#holder(self).document.hasHeads(heads);
  }

  has(self: number, key: string, value: string, heads: readonly string[]): boolean {
    return this.#holder(self).has(key, value, heads);
  }

  async remove(): Promise<void> {
    await Promise.all(this.#syncs.map((sync) => sync?.stop()));
    this.#nodes.remove();
  }

  #holder(self: number): Holder {
    const holder = this.#holders[self];
    if (holder === undefined) throw new RangeError(`no node ${self}`);
    return holder;
  }

  #request(from: number, to: PeerId, body: Json, signal: AbortSignal): Promise<Json> {
    const { time, send, process } = this.#wire;
    const target = indexOf(to);
    return new Promise((resolve, reject) => {
      const settle = (then: () => void): void => {
        time.settle();
        then();
      };
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      time.after(requestMs, process(from), () =>
        settle(() => reject(new MicrocephError("DEADLINE_EXCEEDED", "no answer"))),
      );
      const sent = send(from, target, sizeOf(body), () => {
        const sync = this.#syncs[target];
        if (sync === undefined) return;
        time.settle();
        void sync.handle(idOf(from), copyOf(body)).then((reply) => {
          send(target, from, sizeOf(reply), () => settle(() => resolve(copyOf(reply))));
        }, reject);
      });
      if (!sent) reject(new MicrocephError("PEER_UNREACHABLE", "not connected"));
    });
  }
}

const ids: readonly PeerId[] = Array.from({ length: 1000 }, (_, n) => peer(n));
const indexes = new Map<PeerId, number>(ids.map((id, n) => [id, n]));

/** PeerIds in the order of the nodes. */
export function idOf(index: number): PeerId {
  const id = ids[index];
  if (id === undefined) throw new RangeError(`no node ${index}`);
  return id;
}

export function indexOf(id: PeerId): number {
  return indexes.get(id) ?? -1;
}

function copyOf(body: Json): Json {
  return structuredClone(body);
}

function sizeOf(body: Json): number {
  // Half of a stream, and the frame around the body.
  return JSON.stringify(body).length + streamBytes / 2 + 60;
}
