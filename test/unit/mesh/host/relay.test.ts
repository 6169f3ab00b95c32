import { describe, expect, it } from "vitest";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import type { PeerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import { Relay, type RelayLimits, relayMethod } from "../../../../src/mesh/host/relay.ts";
import { openReply } from "../../../../src/mesh/host/rpc.ts";
import { generateIdentity, type NodeIdentity } from "../../../../src/mesh/identity/node-identity.ts";

const deadline = { deadlineMs: 5_000 };
const never = new AbortController().signal;

/** Relays in a row of links: each is connected to the one before and after. */
class Row {
  readonly relays: Relay[];
  readonly ids: PeerId[];
  readonly served: { at: PeerId; author: PeerId; body: Json }[] = [];
  /** What goes over a link, to be changed on its way; and what comes back. */
  spoil: (request: Record<string, Json>, to: PeerId) => Record<string, Json> = (request) => request;
  spoilReply: (reply: Json) => Json = (reply) => reply;
  routes: PeerId[][] = [];
  serve: (body: Json) => Promise<Json> = async (body) => ({ v: 1, body: { echo: body } });
  readonly removed = new Set<PeerId>();
  readonly cut = new Set<PeerId>();
  requests: Record<string, Json>[] = [];

  constructor(identities: readonly NodeIdentity[], limits: Partial<RelayLimits> = {}) {
    this.ids = identities.map(({ peerId }) => peerId);
    this.relays = identities.map((identity) => {
      const self = identity.peerId;
      return new Relay(
        {
          identity,
          ask: async (peer, method, body, { signal }) => {
            expect(method).toBe(relayMethod);
            const request = this.spoil(body as Record<string, Json>, peer);
            this.requests.push(request);
            return this.spoilReply(await this.at(peer).handle(self, request, signal ?? never));
          },
          serve: async (author, _method, body) => {
            this.served.push({ at: self, author, body });
            return this.serve(body);
          },
          open: openReply,
          admits: (peer) => this.ids.includes(peer) && !this.removed.has(peer),
          isConnected: (peer) => !this.cut.has(peer) && this.#distance(peer, self) === 1,
          routes: (_target, most) => this.routes.slice(0, most),
        },
        limits,
      );
    });
  }

  at(peer: PeerId): Relay {
    return this.relays[this.ids.indexOf(peer)] as Relay;
  }

  ask(body: Json = "hello", target = this.ids.at(-1) as PeerId): Promise<Json> {
    return (this.relays[0] as Relay).request(target, "test.echo", body, deadline);
  }

  #distance(one: PeerId, other: PeerId): number {
    return Math.abs(this.ids.indexOf(one) - this.ids.indexOf(other));
  }
}

async function identities(count: number): Promise<NodeIdentity[]> {
  return Promise.all(Array.from({ length: count }, generateIdentity));
}

async function row(count: number, limits: Partial<RelayLimits> = {}): Promise<Row> {
  const made = new Row(await identities(count), limits);
  made.routes = [made.ids.slice(1, -1)];
  return made;
}

const refused = (why: string): object => ({
  code: "PEER_UNREACHABLE",
  message: expect.stringContaining(why),
});

describe("a relayed request", () => {
  it.each([3, 4])("reaches its target in a row of %i, in its author's name", async (count) => {
    const net = await row(count);
    expect(await net.ask()).toEqual({ echo: "hello" });
    expect(net.served).toEqual([{ at: net.ids.at(-1), author: net.ids[0], body: "hello" }]);
    expect(net.relays.map((relay) => relay.counters().carried)).toEqual([0, ...Array(count - 2).fill(1), 0]);
  });

  it("brings the target's error back as that", async () => {
    const net = await row(3);
    net.serve = async () => ({ v: 1, error: { code: "NO_QUORUM", message: "none", data: { votes: 1 } } });
    await expect(net.ask()).rejects.toMatchObject({ code: "NO_QUORUM", message: "none", data: { votes: 1 } });
  });

  it("has no way to one that no route leads to", async () => {
    const net = await row(3);
    net.routes = [];
    expect(net.relays[0]?.reaches(net.ids[2] as PeerId)).toBe(false);
    await expect(net.ask()).rejects.toMatchObject({ code: "PEER_UNREACHABLE" });
  });

  it("is tried another way when it was not carried, and not when it may have arrived", async () => {
    const net = await row(3);
    const [, relay] = net.ids as [PeerId, PeerId];
    const stranger = (await identities(1))[0]?.peerId as PeerId;
    net.routes = [[relay, stranger], [relay]];
    expect(await net.ask()).toEqual({ echo: "hello" });
    expect(net.requests).toHaveLength(3);
    net.spoil = (request, to) => {
      if (to === net.ids[2]) throw new MicrocephError("PEER_UNREACHABLE", "the connection was lost");
      return request;
    };
    net.routes = [[relay], [relay]];
    net.requests = [];
    await expect(net.ask()).rejects.toMatchObject({ code: "PEER_UNREACHABLE" });
    expect(net.requests).toHaveLength(1);
  });

  it("is carried out once, also when a relay denies to have carried it", async () => {
    const net = await row(3);
    const [, relay] = net.ids as [PeerId, PeerId];
    net.routes = [[relay], [relay]];
    let lies = 1;
    net.spoilReply = (reply) => {
      if (lies-- <= 0) return reply;
      throw new MicrocephError("PEER_UNREACHABLE", "no link here", { data: { carried: false } });
    };
    await expect(net.ask()).rejects.toMatchObject(refused("came before"));
    expect(net.served).toHaveLength(1);
  });
});

describe("a relay that lies", () => {
  const changes: [string, (request: Record<string, Json>, net: Row) => Record<string, Json>, string][] = [
    ["another body", (request) => ({ ...request, body: "bye" }), "signature"],
    ["another method", (request) => ({ ...request, method: "test.erase" }), "signature"],
    ["another author", (request, net) => ({ ...request, author: net.ids[1] as PeerId }), "signature"],
    ["no signature", (request) => ({ ...request, signature: "" }), "signature"],
    [
      "half a signature",
      (request) => ({ ...request, signature: `${request.signature}`.slice(0, 40) }),
      "sig",
    ],
    ["another nonce", (request) => ({ ...request, nonce: crypto.randomUUID() }), "signature"],
    ["another target", (request, net) => ({ ...request, target: net.ids[0] as PeerId }), "circle"],
    ["a stranger as author", (request) => ({ ...request, author: "12D3KooWStranger" }), "read"],
    ["a nonce that is none", (request) => ({ ...request, nonce: "x".repeat(1e6) }), "read"],
    ["a longer way", (request, net) => ({ ...request, via: net.ids.slice(0, 3) }), "read"],
    ["a method that is too long", (request) => ({ ...request, method: "m".repeat(129) }), "read"],
    ["a deadline without end", (request) => ({ ...request, deadlineMs: 1e12 }), "read"],
    ["a relayed request in it", (request) => ({ ...request, method: relayMethod }), "relayed one"],
  ];
  it.each(changes)("cannot deliver %s", async (_, change, why) => {
    const net = await row(3);
    net.spoil = (request, to) => (to === net.ids[2] ? change(request, net) : request);
    await expect(net.ask()).rejects.toMatchObject(refused(why));
    expect(net.served).toEqual([]);
  });

  it("cannot deliver what is nested too deep to be read", async () => {
    const net = await row(3);
    const deep = JSON.parse(`${"[".repeat(100_000)}${"]".repeat(100_000)}`) as Json;
    net.spoil = (request, to) => (to === net.ids[2] ? { ...request, body: deep } : request);
    await expect(net.ask()).rejects.toMatchObject(refused("signature"));
  });

  it.each<[string, Json]>([
    ["null", null],
    ["a list", []],
    ["text", "x"],
    ["an empty object", {}],
  ])("gets nowhere with %s as request", async (_, value) => {
    const net = await row(3);
    await expect((net.relays[2] as Relay).handle(net.ids[1] as PeerId, value, never)).rejects.toMatchObject({
      code: "USAGE",
    });
    expect(net.relays[2]?.counters().refused).toBe(1);
  });

  it("cannot have a request carried out a second time", async () => {
    const net = await row(3);
    await net.ask();
    const sent = net.requests.at(-1) as Record<string, Json>;
    const again = (net.relays[2] as Relay).handle(net.ids[1] as PeerId, sent, never);
    await expect(again).rejects.toThrow("came before");
    // Nor elsewhere.
    const other = (net.relays[1] as Relay).handle(
      net.ids[2] as PeerId,
      { ...sent, target: net.ids[1] as PeerId },
      never,
    );
    await expect(other).rejects.toThrow("signature");
    expect(net.served).toHaveLength(1);
  });

  const replies: [string, (reply: Record<string, Json>) => Json][] = [
    ["another reply", (reply) => ({ ...reply, reply: { v: 1, body: true } })],
    [
      "an error as the target's",
      (reply) => ({ ...reply, reply: { v: 1, error: { code: "USAGE", message: "x" } } }),
    ],
    ["no signature", ({ reply }) => ({ reply: reply as Json })],
    ["nothing", () => null],
  ];
  it.each(replies)("cannot answer with %s", async (_, change) => {
    const net = await row(3);
    net.spoilReply = (reply) => change(reply as Record<string, Json>);
    await expect(net.ask()).rejects.toMatchObject(refused("not its own"));
  });

  it("cannot answer with the reply to another request", async () => {
    const net = await row(3);
    let first: Json;
    net.spoilReply = (reply) => (first ??= reply);
    expect(await net.ask()).toEqual({ echo: "hello" });
    await expect(net.ask("again")).rejects.toMatchObject(refused("not its own"));
  });

  it("cannot pass off an error of its own as the target's", async () => {
    const net = await row(3);
    net.spoilReply = () => {
      throw new MicrocephError("NO_QUORUM", "believe me");
    };
    await expect(net.ask()).rejects.toMatchObject({ code: "PEER_UNREACHABLE" });
  });
});

describe("a relay", () => {
  it("carries nothing in a circle, for those who are no members, or over a link that is not there", async () => {
    const net = await row(4);
    const [author, one, two, target] = net.ids as [PeerId, PeerId, PeerId, PeerId];
    await net.ask();
    const sent = net.requests[0] as Record<string, Json>;
    const carry = (from: PeerId, via: PeerId[]): Promise<Json> =>
      (net.relays[1] as Relay).handle(from, { ...sent, via }, never);
    await expect(carry(two, [two])).rejects.toThrow("circle");
    await expect(carry(author, [author])).rejects.toThrow("circle");
    await expect(carry(author, [one])).rejects.toThrow("circle");
    await expect(carry(author, [target])).rejects.toThrow("no link");
    net.cut.add(two);
    await expect(carry(author, [two])).rejects.toThrow("no link");
    net.cut.clear();
    net.removed.add(two);
    await expect(carry(author, [two])).rejects.toThrow("no link");
    net.removed.add(author);
    await expect(carry(author, [two])).rejects.toThrow("no other member");
    expect(net.served).toHaveLength(1);
  });

  it.each([
    ["in all", { carried: 2, carriedFor: 9 }, "another neighbour"],
    ["for a neighbour", { carried: 9, carriedFor: 2 }, "the same"],
  ])("carries a bounded number at once %s, and more as these end", async (_, limits, from) => {
    const net = await row(3, limits);
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    net.serve = async (body) => {
      await released;
      return { v: 1, body };
    };
    const first = [net.ask(1), net.ask(2)];
    await expect.poll(() => net.served.length).toBe(2);
    const sent = net.requests[0] as Record<string, Json>;
    const asker = from === "the same" ? net.ids[0] : (from as PeerId);
    const third = (net.relays[1] as Relay).handle(asker as PeerId, sent, never);
    await expect(third).rejects.toMatchObject(refused("too many"));
    release();
    expect(await Promise.all(first)).toEqual([1, 2]);
    expect(await net.ask(4)).toBe(4);
  });

  it("forgets the oldest of the requests it remembers, so that memory is bounded", async () => {
    const net = await row(3, { remembered: 2 });
    for (const body of [1, 2, 3]) await net.ask(body);
    const nonces = net.requests.filter((_, index) => index % 2 === 1);
    const again = (request: Record<string, Json> | undefined): Promise<Json> =>
      (net.relays[2] as Relay).handle(net.ids[1] as PeerId, request as Json, never);
    await expect(again(nonces[2])).rejects.toThrow("came before");
    await expect(again(nonces[1])).rejects.toThrow("came before");
    await expect(again(nonces[0])).resolves.toBeDefined();
  });
});
