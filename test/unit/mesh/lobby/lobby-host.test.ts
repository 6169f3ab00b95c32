import { once } from "node:events";
import { connect, createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { afterEach, describe, expect, it } from "vitest";
import type { Json } from "../../../../src/ids/json.ts";
import { generateIdentity } from "../../../../src/mesh/identity/node-identity.ts";
import { type LobbyHandler, LobbyHost, type LobbyLimits } from "../../../../src/mesh/lobby/lobby-host.ts";
import { quietLog } from "../support/quiet-log.ts";

const hosts: LobbyHost[] = [];
afterEach(async () => {
  await Promise.all(hosts.splice(0).map((host) => host.stop()));
});

const echo: LobbyHandler = async (from, request) => ({ ...from, request });

async function lobby(
  handler: LobbyHandler = echo,
  limits: Partial<LobbyLimits> = {},
  listen = ["127.0.0.1"],
): Promise<LobbyHost & { readonly self: string }> {
  const identity = await generateIdentity();
  const host = new LobbyHost({ identity, listen, port: 0, limits }, { handler, log: quietLog });
  await host.start();
  hosts.push(host);
  return Object.assign(host, { self: identity.peerId });
}

const soon = { deadlineMs: 2000 };
const at = (host: LobbyHost, address = "127.0.0.1") => ({ address, port: host.port });

describe("lobby host", () => {
  it("carries a request and its reply, and proves who asks and who answers", async () => {
    const [a, b] = [await lobby(), await lobby()];
    const { peer, reply } = await a.ask(at(b), { hello: "é" }, soon);
    expect(peer).toBe(b.self);
    expect(reply).toEqual({ peer: a.self, address: "127.0.0.1", request: { hello: "é" } });
  });

  it("answers many at once, also from the same peer", async () => {
    const [a, b] = [await lobby(), await lobby()];
    const replies = await Promise.all(Array.from({ length: 8 }, (_, i) => a.ask(at(b), i, soon)));
    expect(replies.map(({ reply }) => (reply as { request: Json }).request)).toEqual([...Array(8).keys()]);
  });

  it("works both ways at once", async () => {
    const [a, b] = [await lobby(), await lobby()];
    const [one, two] = await Promise.all([a.ask(at(b), 1, soon), b.ask(at(a), 2, soon)]);
    expect([one.peer, two.peer]).toEqual([b.self, a.self]);
  });

  it("refuses another identity than the expected one, before a byte of the request", async () => {
    let asked = 0;
    const b = await lobby(async () => ++asked);
    const a = await lobby();
    const expectOther = { ...at(b), expect: (await generateIdentity()).peerId };
    await expect(a.ask(expectOther, 1, soon)).rejects.toMatchObject({
      code: "PEER_UNREACHABLE",
      data: { peer: b.self },
    });
    expect(asked).toBe(0);
  });

  it("says when nobody listens, when it is itself, and when the time is up", async () => {
    const b = await lobby(() => new Promise(() => undefined));
    const a = await lobby();
    await expect(a.ask(at(a), 1, soon)).rejects.toMatchObject({ code: "PEER_UNREACHABLE" });
    await expect(a.ask({ address: "127.0.0.1", port: 1 }, 1, soon)).rejects.toMatchObject({
      code: "PEER_UNREACHABLE",
    });
    await expect(a.ask({ address: "nonsense", port: 1 }, 1, soon)).rejects.toMatchObject({
      code: "PEER_UNREACHABLE",
    });
    await expect(a.ask(at(b), 1, { deadlineMs: 150 })).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
    const cancelled = new AbortController();
    const asking = a.ask(at(b), 1, { ...soon, signal: cancelled.signal });
    cancelled.abort();
    await expect(asking).rejects.toMatchObject({ code: "CANCELLED" });
  });

  it("ends a request whose handler takes too long", async () => {
    const b = await lobby(() => new Promise(() => undefined), { requestMs: 100 });
    const a = await lobby();
    await expect(a.ask(at(b), 1, soon)).rejects.toMatchObject({ code: "PEER_UNREACHABLE" });
    expect(b.counters()["dropped.late"]).toBe(1);
  });

  it("does not send what is too large", async () => {
    const b = await lobby();
    const a = await lobby();
    await expect(a.ask(at(b), "x".repeat(5000), soon)).rejects.toThrow(RangeError);
    expect(b.counters()).toEqual({});
    const { reply } = await a.ask(at(b), "x".repeat(4050), soon);
    expect(reply).toEqual({ error: "too-large" });
    expect(b.counters()).toMatchObject({ requests: 1, "replies.too-large": 1 });
  });

  it.each([
    ["a frame over the limit", Buffer.from([0, 0, 16, 1])],
    ["a frame of 4 GiB", Buffer.alloc(8, 255)],
    ["no JSON", Buffer.from([0, 0, 0, 2, 0x7b, 0x7b])],
    ["an empty frame", Buffer.alloc(4)],
  ])("drops %s, hangs up, and counts it", async (_, bytes) => {
    const b = await lobby();
    const rude = await createLibp2p({
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
    });
    const connection = await rude.dial(multiaddr(`/ip4/127.0.0.1/tcp/${b.port}`));
    const stream = await connection.newStream("/microceph/lobby/1");
    const closed = new Promise((resolve) => connection.addEventListener("close", resolve));
    stream.send(bytes);
    await closed;
    expect(b.counters()).toMatchObject({ "dropped.frame": 1 });
    expect(b.counters().requests).toBeUndefined();
    await rude.stop();
  });

  it("hides the reason when its handler fails", async () => {
    const b = await lobby(() => Promise.reject(new Error("secret")));
    const { reply } = await (await lobby()).ask(at(b), 1, soon);
    expect(reply).toEqual({ error: "internal" });
  });

  it("limits the rate of one address", async () => {
    // One ask is a connection and a request.
    const b = await lobby(echo, { perAddress: { burst: 4, perSecond: 0 } });
    const a = await lobby();
    for (let i = 0; i < 2; i += 1) await a.ask(at(b), i, soon);
    await expect(a.ask(at(b), 3, soon)).rejects.toMatchObject({ code: "PEER_UNREACHABLE" });
    expect(b.counters()).toMatchObject({ requests: 2, "dropped.rate": 1 });
  });

  it("closes connections that bring no request, and survives garbage", async () => {
    const b = await lobby(echo, { connectionMs: 200, requestMs: 200 });
    const sockets = [connect(b.port, "127.0.0.1"), connect(b.port, "127.0.0.1")];
    const closed = sockets.map((socket) => new Promise((resolve) => socket.on("close", resolve)));
    for (const socket of sockets) {
      socket.on("error", () => undefined);
      await once(socket, "connect");
    }
    sockets[1]?.write(Buffer.alloc(2000, 255));
    await Promise.all(closed);
    expect((await (await lobby()).ask(at(b), 1, soon)).peer).toBe(b.self);
  });

  it("ends a connection after its time, however busy it keeps it", async () => {
    const b = await lobby(echo, { connectionMs: 300 });
    const clingy = await createLibp2p({
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux({ keepAliveInterval: 20 })],
    });
    const connection = await clingy.dial(multiaddr(`/ip4/127.0.0.1/tcp/${b.port}`));
    const closed = new Promise((resolve) => connection.addEventListener("close", resolve));
    await closed;
    await clingy.stop();
  });

  it("names the address that is in use, and leaves nothing open", async () => {
    const busy = createServer().listen(0, "127.0.0.1");
    await once(busy, "listening");
    const { port } = busy.address() as { port: number };
    const identity = await generateIdentity();
    const host = new LobbyHost({ identity, listen: ["127.0.0.1"], port }, { handler: echo, log: quietLog });
    await expect(host.start()).rejects.toMatchObject({
      code: "PORT_IN_USE",
      message: `127.0.0.1:${port} is in use`,
    });
    busy.close();
  });

  it("listens on both families with one port", async () => {
    const b = await lobby(echo, {}, ["0.0.0.0", "::"]);
    const a = await lobby();
    expect((await a.ask(at(b), 1, soon)).reply).toMatchObject({ address: "127.0.0.1" });
    if (!networkInterfaces().lo?.some(({ family }) => family === "IPv6")) return;
    expect((await a.ask(at(b, "::1"), 1, soon)).reply).toMatchObject({ address: "::1" });
  });

  const linkLocal = Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
    (addresses ?? [])
      .filter(({ address }) => address.startsWith("fe80:"))
      .map(({ address }) => `${address}%${name}`),
  )[0];
  it.skipIf(linkLocal === undefined)("reaches link-local addresses and tells the zone", async () => {
    const b = await lobby(echo, {}, ["::"]);
    const { reply } = await (await lobby()).ask(at(b, linkLocal ?? ""), 1, soon);
    expect(reply).toMatchObject({ address: linkLocal });
  });
});
