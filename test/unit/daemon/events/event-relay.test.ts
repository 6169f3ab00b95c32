import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EventLog } from "../../../../src/daemon/events/event-log.ts";
import { EventRelay } from "../../../../src/daemon/events/event-relay.ts";
import type { PeerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import { EventRing } from "../../../../src/state/store/event-ring.ts";
import { LocalStore } from "../../../../src/state/store/local-store.ts";
import { quietLog } from "../../mesh/support/quiet-log.ts";

/** A member with its own store; gossip and requests go as the test says. */
class Node {
  readonly name: PeerId;
  readonly store: LocalStore;
  readonly peers: Node[] = [];
  /** What becomes of a message to that node; by default it arrives. */
  gossip: (to: Node, body: Json) => void = (to, body) => to.relay.hear(this.name, body);
  log: EventLog;
  relay: EventRelay;
  readonly #limit: number;

  constructor(folder: string, name: string, limit = 10_000) {
    this.name = name as PeerId;
    this.#limit = limit;
    this.store = LocalStore.open(join(folder, `${name}.db`));
    this.log = this.#newLog();
    this.relay = this.#newRelay();
  }

  /** As after a restart of the daemon. */
  async restart(): Promise<void> {
    await this.relay.stop();
    this.log.close();
    this.log = this.#newLog();
    this.relay = this.#newRelay();
  }

  tell(step: string): void {
    this.relay.tell("job.changed", { id: "1", kind: "disk.add", state: "running", step, progress: 0 });
  }

  /** What its stream shows of the others' jobs. */
  heard(): string[] {
    return this.log.read(0, 1_000).events.flatMap(({ line }) => {
      const event = JSON.parse(line) as { type: string; node: string; data: { step?: string } };
      return event.node === this.name ? [] : [event.data.step ?? event.type];
    });
  }

  #newLog(): EventLog {
    const ring = new EventRing({ limit: this.#limit }, { store: this.store });
    return new EventLog({ ring, self: this.name, now: () => 0, log: quietLog });
  }

  #newRelay(): EventRelay {
    return new EventRelay({
      events: this.log,
      publish: async (body) => {
        for (const peer of this.peers) this.gossip(peer, JSON.parse(JSON.stringify(body)) as Json);
      },
      pull: async (peer, body) => {
        const other = this.peers.find(({ name }) => name === peer);
        if (other === undefined) throw new Error("not connected");
        return other.relay.answer(body);
      },
      log: quietLog,
    });
  }
}

let folder: string;
let a: Node;
let b: Node;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "relay-"));
  a = new Node(folder, "a");
  b = new Node(folder, "b");
  a.peers.push(b);
  b.peers.push(a);
});
afterEach(async () => {
  vi.useRealTimers();
  for (const node of [a, b]) {
    await node.relay.stop();
    node.log.close();
    node.store.close();
  }
  rmSync(folder, { recursive: true, force: true });
});

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("an event that only one node knows of", () => {
  it("comes to the others once, in order, with its origin", () => {
    a.tell("one");
    a.tell("two");
    expect(b.heard()).toEqual(["one", "two"]);
    const [event] = b.log.read(0, 1).events.map(({ line }) => JSON.parse(line) as { node: string });
    expect(event?.node).toBe("a");
  });

  it("comes once though the message comes twice", () => {
    a.gossip = (to, body) => {
      to.relay.hear(a.name, body);
      to.relay.hear(a.name, body);
    };
    a.tell("one");
    a.tell("two");
    expect(b.heard()).toEqual(["one", "two"]);
    expect(b.relay.counters().duplicates).toBe(2);
  });

  it("is not repeated by a late message after a restart", async () => {
    const messages: Json[] = [];
    a.gossip = (to, body) => {
      messages.push(body);
      to.relay.hear(a.name, body);
    };
    a.tell("one");
    await b.restart();
    for (const message of messages) b.relay.hear(a.name, message);
    expect(b.heard()).toEqual(["one"]);
  });

  it("is pulled when the numbers show that one is missing", async () => {
    a.tell("one");
    a.gossip = () => undefined;
    a.tell("two");
    a.tell("three");
    a.gossip = (to, body) => to.relay.hear(a.name, body);
    a.log.emit("quorum.lost", {});
    a.tell("four");
    await settled();
    a.tell("five");
    expect(b.heard()).toEqual(["one", "two", "three", "four", "five"]);
  });

  it("is pulled when the last of a burst was lost", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    a.tell("one");
    a.gossip = () => undefined;
    a.tell("two");
    a.gossip = (to, body) => to.relay.hear(a.name, body);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(b.heard()).toEqual(["one", "two"]);
  });

  it("is pulled at reconnect, over restarts of both", async () => {
    a.tell("one");
    a.gossip = () => undefined;
    a.tell("two");
    await a.restart();
    a.tell("three");
    await b.restart();
    b.relay.onConnect(a.name);
    await settled();
    expect(b.heard()).toEqual(["one", "two", "three"]);
  });

  it("is no news to one that never heard of its origin", async () => {
    a.gossip = () => undefined;
    a.tell("one");
    b.relay.onConnect(a.name);
    await settled();
    expect(b.heard()).toEqual([]);
    a.gossip = (to, body) => to.relay.hear(a.name, body);
    a.tell("two");
    expect(b.heard()).toEqual(["two"]);
  });

  it("is known to be missing when its origin keeps it no longer", async () => {
    const short = new Node(folder, "c", 600);
    short.peers.push(b);
    b.peers.push(short);
    short.tell("one");
    short.gossip = () => undefined;
    for (let n = 0; n < 2_000; n += 1) short.tell(String(n));
    b.relay.onConnect(short.name);
    for (let turn = 0; turn < 20; turn += 1) await settled();
    const heard = b.heard();
    expect(heard.slice(0, 3)).toEqual(["one", "events.gap", "1400"]);
    expect(heard.at(-1)).toBe("1999");
    await short.relay.stop();
    short.log.close();
    short.store.close();
  });

  it("starts anew with an origin that has lost its numbers", async () => {
    for (const step of ["one", "two", "three"]) a.tell(step);
    const anew = new Node(mkdtempSync(join(folder, "anew-")), "a");
    anew.peers.push(b);
    b.peers.splice(0, 1, anew);
    b.relay.onConnect(anew.name);
    await settled();
    anew.tell("after");
    await settled();
    expect(b.heard()).toEqual(["one", "two", "three", "after"]);
    await anew.relay.stop();
    anew.log.close();
    anew.store.close();
  });

  it.each([
    ["no message", 7],
    ["of another version", { v: 2, head: 1 }],
    ["of a type that all conclude for themselves", event("decision.made", {})],
    ["of a type that is not known", event("job.exploded", {})],
    ["with data that does not fit", event("job.changed", { id: 1 })],
  ])("is counted and dropped when it is %s", (_what, body) => {
    b.relay.hear(a.name, body as Json);
    expect(b.heard()).toEqual([]);
    expect(b.relay.counters().malformed).toBe(1);
  });
});

function event(type: string, data: Json): Json {
  return { v: 1, previous: 0, event: { seq: 1, at: "2026-11-22T10:00:00.000Z", type, data } };
}
