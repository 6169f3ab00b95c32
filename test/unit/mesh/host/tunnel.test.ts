import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { Duplex, duplexPair, PassThrough, type Readable } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import type { MeshHost } from "../../../../src/mesh/host/mesh-host.ts";
import { FreezingProxy } from "../support/freezing-proxy.ts";
import { connectAll, isUp, MeshNodes } from "../support/mesh-nodes.ts";

const nodes = new MeshNodes();
afterEach(() => nodes.stop());

async function connected(): Promise<[MeshHost, MeshHost]> {
  const [a, b] = (await nodes.start(2)) as [MeshHost, MeshHost];
  await connectAll([a, b]);
  return [a, b];
}

async function digestOf(stream: Readable): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of stream) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

const megabyte = 1024 * 1024;

describe("tunnel", () => {
  it("carries megabytes both ways at once and ends when both sides have ended", async () => {
    const [a, b] = await connected();
    const froms: string[] = [];
    b.offerTunnel("echo", (from) => {
      froms.push(from);
      return new PassThrough();
    });
    const tunnel = await a.openTunnel(b.self, "echo");
    const sent = Array.from({ length: 16 }, () => randomBytes(megabyte));
    const received = digestOf(tunnel);
    for (const chunk of sent) if (!tunnel.write(chunk)) await once(tunnel, "drain");
    tunnel.end();
    const wanted = createHash("sha256").update(Buffer.concat(sent)).digest("hex");
    expect(await received).toBe(wanted);
    expect(froms).toEqual([a.self]);
    await closed(tunnel);
    expect(tunnel.errored).toBeNull();
  });

  it("holds the sender back while the receiver does not read, and loses nothing", async () => {
    const [a, b] = await connected();
    const total = 40 * megabyte;
    const block = 32 * 1024;
    let produced = 0;
    const hash = createHash("sha256");
    const source = new Duplex({
      read() {
        const chunk = produced < total ? randomBytes(block) : null;
        if (chunk !== null) hash.update(chunk);
        produced += block;
        this.push(chunk);
      },
      write: (_chunk, _encoding, done) => done(),
    });
    b.offerTunnel("flood", () => source);
    const tunnel = await a.openTunnel(b.self, "flood");
    const received = createHash("sha256");
    const readSome = async (most?: number): Promise<number> => {
      if (tunnel.readableLength === 0) await once(tunnel, "readable");
      const chunk = tunnel.read(most) as Buffer | null;
      if (chunk !== null) received.update(chunk);
      return chunk?.length ?? 0;
    };
    // Fast first, so that the windows grow. Then little by little: what the muxer kept meanwhile comes at once
    // and fills this end again, which is when a pause is easily forgotten.
    for (let count = 0; count < 12 * megabyte; ) count += await readSome();
    for (let round = 0; round < 4; round += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      const before = produced;
      await readSome(64 * 1024);
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(produced - before, `in round ${round}`).toBeLessThan(4 * megabyte);
    }
    expect(produced).toBeLessThan(total);
    for await (const chunk of tunnel) received.update(chunk as Buffer);
    expect(received.digest("hex")).toBe(hash.digest("hex"));
  });

  it("is open in one direction when the other has ended", async () => {
    const [a, b] = await connected();
    const ends = Promise.withResolvers<Duplex>();
    b.offerTunnel("half", () => {
      const [near, other] = duplexPair();
      ends.resolve(other);
      return near;
    });
    const tunnel = await a.openTunnel(b.self, "half");
    const end = await ends.promise;
    tunnel.end("question");
    expect(await textOf(end)).toBe("question");
    end.end("answer");
    expect(await textOf(tunnel)).toBe("answer");
    await Promise.all([closed(tunnel), closed(end)]);
    expect([tunnel.errored, end.errored]).toEqual([null, null]);
  });

  it("fails at the other end when one end is destroyed", async () => {
    const [a, b] = await connected();
    const ends = Promise.withResolvers<Socket>();
    const server = createServer((socket) => ends.resolve(socket)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    b.offerTunnel("socket", () => connect(port, "127.0.0.1"));
    const tunnel = await a.openTunnel(b.self, "socket");
    const socket = await ends.promise;
    socket.write("x");
    await once(tunnel, "readable");
    socket.resetAndDestroy();
    await closed(tunnel);
    expect(tunnel.errored).toMatchObject({ code: "PEER_UNREACHABLE" });
    server.close();
  });

  it("says that a service is not offered, or could not be opened, or the peer is not there", async () => {
    const [a, b] = await connected();
    const withdraw = b.offerTunnel("later", () => Promise.reject(new Error("no socket there")));
    const refused = (service: string, reason: string): Promise<void> =>
      expect(a.openTunnel(b.self, service)).rejects.toMatchObject({
        code: "PEER_UNREACHABLE",
        message: expect.stringContaining(reason),
      });
    await refused("unknown", "not offered");
    await refused("later", "no socket there");
    withdraw();
    await refused("later", "not offered");
    await b.stop();
    await isUp(a, b.self, false);
    await refused("later", "not connected");
  });

  it("fails on both ends when the connection is lost or the member removed", async () => {
    const [a, b] = (await nodes.start(2, { pulseMs: 50 })) as [MeshHost, MeshHost];
    const proxy = new FreezingProxy(b.port);
    const port = await proxy.start();
    const contact = { peer: b.self, addresses: ["127.0.0.1"], port };
    a.setMembers(new Map([[b.self, contact]]));
    b.setMembers(new Map([[a.self, { peer: a.self, addresses: [], port: null }]]));
    await Promise.all([isUp(a, b.self), isUp(b, a.self)]);
    const ends: Duplex[] = [];
    b.offerTunnel("echo", () => {
      const end = new PassThrough();
      ends.push(end);
      return end;
    });
    const first = await a.openTunnel(b.self, "echo");
    proxy.freeze();
    await closed(first);
    expect(first.errored).toMatchObject({ code: "PEER_UNREACHABLE" });
    await closed(ends[0] as Duplex);
    proxy.thaw();
    await isUp(a, b.self);
    const second = await a.openTunnel(b.self, "echo");
    b.setMembers(new Map());
    await Promise.all([closed(ends[1] as Duplex), closed(second)]);
    expect(second.errored).not.toBeNull();
    await proxy.stop();
  });
});

/** All that comes; unlike `for await`, it leaves the other direction open. */
async function textOf(stream: Readable): Promise<string> {
  let text = "";
  stream.on("data", (chunk: Buffer) => {
    text += String(chunk);
  });
  await once(stream, "end");
  return text;
}

/** Waits for the close event, whatever error comes before it. */
function closed(stream: Duplex): Promise<void> {
  return stream.closed ? Promise.resolve() : new Promise((resolve) => stream.once("close", () => resolve()));
}
