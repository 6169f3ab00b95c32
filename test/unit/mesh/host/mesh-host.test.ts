import { once } from "node:events";
import { createServer } from "node:net";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { pino } from "pino";
import { afterEach, describe, expect, it, vi } from "vitest";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import type { PeerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import { MeshHost } from "../../../../src/mesh/host/mesh-host.ts";
import { generateIdentity } from "../../../../src/mesh/identity/node-identity.ts";
import { FreezingProxy } from "../support/freezing-proxy.ts";
import { certify, cluster, connectAll, contactOf, isUp, MeshNodes } from "../support/mesh-nodes.ts";
import { quietLog } from "../support/quiet-log.ts";

const nodes = new MeshNodes();
afterEach(() => nodes.stop());

const soon = { deadlineMs: 3000 };
const never = (): Promise<Json> => new Promise(() => undefined);

async function pair(): Promise<[MeshHost, MeshHost]> {
  const [a, b] = await nodes.start(2);
  if (a === undefined || b === undefined) throw new Error("two were started");
  return [a, b];
}

/** Two that are connected; the first reaches the second through a proxy that can fall silent. */
async function linkedByProxy(): Promise<{ a: MeshHost; b: MeshHost; proxy: FreezingProxy }> {
  const [a, b] = (await nodes.start(2, { pulseMs: 50 })) as [MeshHost, MeshHost];
  const proxy = new FreezingProxy(b.port);
  const port = await proxy.start();
  a.setMembers(new Map([[b.self, { peer: b.self, addresses: ["127.0.0.1"], port }]]));
  b.setMembers(new Map([[a.self, { peer: a.self, addresses: [], port: null }]]));
  await Promise.all([isUp(a, b.self), isUp(b, a.self)]);
  return { a, b, proxy };
}

describe("admission to the mesh", () => {
  it("refuses a stranger at the handshake, whichever side dials", async () => {
    const [a, b] = await pair();
    let asked = 0;
    a.handle("probe", async () => ++asked);
    // b takes a for a member and dials; a knows nothing of b.
    b.setMembers(new Map([[a.self, contactOf(a)]]));
    const seen: boolean[] = [];
    b.onConnection((_, up) => seen.push(up));
    await expect(b.request(a.self, "probe", null, soon)).rejects.toMatchObject({ code: "PEER_UNREACHABLE" });
    // Long enough for several dials; the redial loop goes on meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 900));
    expect({ seen, asked, a: a.connected(), b: b.connected(), open: a.connectionCount(b.self) }).toEqual({
      seen: [],
      asked: 0,
      a: [],
      b: [],
      open: 0,
    });
    // The same dial goes through as soon as a knows it.
    a.setMembers(new Map([[b.self, { peer: b.self, addresses: [], port: null }]]));
    await Promise.all([isUp(a, b.self), isUp(b, a.self)]);
    expect(await b.request(a.self, "probe", null, soon)).toBe(1);
  });

  it("gives a stranger none of its protocols", async () => {
    const lines: string[] = [];
    const log = pino({ level: "info" }, { write: (line) => lines.push(line) });
    const identity = await generateIdentity();
    const a = new MeshHost({ identity, listen: ["127.0.0.1"], port: 0, cluster }, { log });
    await a.start();
    const stranger = await createLibp2p({
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
    });
    const protocols = [
      "/microceph/rpc/1",
      "/microceph/tunnel/1",
      "/microceph/pulse/1",
      "/meshsub/1.2.0",
      "/ipfs/id/1.0.0",
      "/ipfs/ping/1.0.0",
    ];
    for (const protocol of protocols) {
      const opening = stranger.dialProtocol(multiaddr(`/ip4/127.0.0.1/tcp/${a.port}`), protocol);
      await expect(opening, protocol).rejects.toThrow();
    }
    // Not even a connection came about, which would have been cut then.
    expect(lines).toEqual([]);
    await stranger.stop();
    await a.stop();
  });

  it("lets a member in that is added later, and cuts one that is removed at once", async () => {
    const [a, b, c] = (await nodes.start(3)) as [MeshHost, MeshHost, MeshHost];
    await connectAll([a, b]);
    const all = new Map([a, b, c].map((mesh) => [mesh.self, contactOf(mesh)]));
    for (const mesh of [a, b, c]) mesh.setMembers(all);
    await Promise.all([isUp(a, c.self), isUp(b, c.self)]);
    all.delete(c.self);
    a.setMembers(all);
    expect(a.connected()).toEqual([b.self]);
    await isUp(c, a.self, false);
    await expect(c.request(a.self, "anything", null, soon)).rejects.toMatchObject({
      code: "PEER_UNREACHABLE",
    });
    // It stays out, and the others stay in.
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(a.connectionCount(c.self)).toBe(0);
    expect(b.connected().sort()).toEqual([a.self, c.self].sort());
  });

  it("admits an introduced member until it is denied, and a forged introduction never", async () => {
    const [a, b] = await pair();
    b.setMembers(new Map([[a.self, { peer: a.self, addresses: [], port: null }]]));
    const certificate = certify(b.self);
    a.introduce({ ...certificate, decision: 2 }, contactOf(b));
    a.introduce(certify(a.self), contactOf(b));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(a.connectionCount(b.self)).toBe(0);
    a.introduce(certificate, contactOf(b));
    await isUp(a, b.self);
    // A journal that does not name it yet changes nothing.
    a.setMembers(new Map());
    expect(a.connected()).toEqual([b.self]);
    a.deny(b.self);
    expect(a.connected()).toEqual([]);
    a.introduce(certificate, contactOf(b));
    a.setMembers(new Map([[b.self, contactOf(b)]]));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(a.connectionCount(b.self)).toBe(0);
  });

  it("names the address that is in use", async () => {
    const busy = createServer().listen(0, "127.0.0.1");
    await once(busy, "listening");
    const { port } = busy.address() as { port: number };
    const identity = await generateIdentity();
    const mesh = new MeshHost({ identity, listen: ["127.0.0.1"], port, cluster }, { log: quietLog });
    await expect(mesh.start()).rejects.toMatchObject({
      code: "PORT_IN_USE",
      data: { address: "127.0.0.1", port },
    });
    busy.close();
  });
});

describe("requests", () => {
  it("carry JSON both ways, many at once, up to 4 MiB", async () => {
    const [a, b] = await pair();
    await connectAll([a, b]);
    b.handle("echo", async (from, body) => ({ from, body }));
    const bodies: Json[] = [null, "é", [1, { two: [] }], ...Array.from({ length: 200 }, (_, i) => i)];
    const replies = await Promise.all(bodies.map((body) => a.request(b.self, "echo", body, soon)));
    expect(replies).toEqual(bodies.map((body) => ({ from: a.self, body })));
    const big = "x".repeat(4 * 1024 * 1024 - 200);
    const reply = (await a.request(b.self, "echo", big, soon)) as { body: string };
    expect(reply.body.length).toBe(big.length);
    await expect(a.request(b.self, "echo", `${big}${"x".repeat(300)}`, soon)).rejects.toThrow(RangeError);
  });

  it("bring the other side's error with its code, message and data", async () => {
    const [a, b] = await pair();
    await connectAll([a, b]);
    b.handle("refuse", () =>
      Promise.reject(new MicrocephError("NO_QUORUM", "two of three are away", { data: { voters: ["n1"] } })),
    );
    b.handle("break", () => Promise.reject(new Error("out of luck")));
    b.handle("too-much", async () => "x".repeat(4 * 1024 * 1024));
    await expect(a.request(b.self, "refuse", null, soon)).rejects.toMatchObject({
      code: "NO_QUORUM",
      message: "two of three are away",
      data: { voters: ["n1"] },
    });
    await expect(a.request(b.self, "break", null, soon)).rejects.toMatchObject({
      code: "INTERNAL",
      message: "out of luck",
    });
    await expect(a.request(b.self, "too-much", null, soon)).rejects.toMatchObject({ code: "INTERNAL" });
    await expect(a.request(b.self, "unheard-of", null, soon)).rejects.toMatchObject({
      code: "UNSUPPORTED_BY_PEER",
    });
  });

  it("end at their deadline or when cancelled, and tell the handler", async () => {
    const [a, b] = await pair();
    await connectAll([a, b]);
    const reasons: string[] = [];
    b.handle("wait", (_from, body, signal) => {
      signal.addEventListener("abort", () => reasons.push(String(body)));
      return never();
    });
    const started = performance.now();
    await expect(a.request(b.self, "wait", "late", { deadlineMs: 200 })).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
    });
    expect(performance.now() - started).toBeLessThan(1000);
    const controller = new AbortController();
    const asking = a.request(b.self, "wait", "cancelled", { ...soon, signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    await expect(asking).rejects.toMatchObject({ code: "CANCELLED" });
    await vi.waitFor(() => expect(reasons).toEqual(["late", "cancelled"]));
  });

  it("fail when the peer goes away", async () => {
    const [a, b] = await pair();
    await connectAll([a, b]);
    b.handle("wait", never);
    const asking = a.request(b.self, "wait", null, { deadlineMs: 10_000 });
    setTimeout(() => void b.stop(), 50);
    await expect(asking).rejects.toMatchObject({ code: "PEER_UNREACHABLE" });
    await isUp(a, b.self, false);
  });
});

describe("connections", () => {
  it("are one for each pair, also after dials from both sides at once", async () => {
    const meshes = await nodes.start(5);
    await connectAll(meshes);
    for (const mesh of meshes) {
      for (const other of meshes) {
        if (other !== mesh) mesh.dialHint(other.self, ["127.0.0.1"], other.port);
      }
    }
    await vi.waitFor(
      () => {
        for (const mesh of meshes) {
          const counts = meshes
            .filter((other) => other !== mesh)
            .map(({ self }) => mesh.connectionCount(self));
          expect(counts, mesh.self).toEqual([1, 1, 1, 1]);
        }
      },
      { timeout: 4000 },
    );
  });

  it("that are two come down to one on both sides, and hints still get through", async () => {
    let offset = 0;
    const now = (): number => performance.now() + offset;
    const [lower, higher] = (await nodes.start(2, { pulseMs: 100 }, now)) as [MeshHost, MeshHost];
    const proxy = new FreezingProxy(higher.port);
    const port = await proxy.start();
    // The lower's dial hangs so long that the higher's is let in; then both come about.
    proxy.freeze();
    lower.setMembers(new Map([[higher.self, { peer: higher.self, addresses: ["127.0.0.1"], port }]]));
    await new Promise((resolve) => setTimeout(resolve, 200));
    offset = 2000;
    higher.setMembers(new Map([[lower.self, contactOf(lower)]]));
    await Promise.all([isUp(lower, higher.self), isUp(higher, lower.self)]);
    const downs: boolean[] = [];
    lower.onConnection((_, up) => downs.push(up));
    higher.onConnection((_, up) => downs.push(up));
    proxy.resume();
    const counts = (): number[] => [lower.connectionCount(higher.self), higher.connectionCount(lower.self)];
    await vi.waitFor(() => expect(counts()).toEqual([2, 2]), { timeout: 2000, interval: 5 });
    await vi.waitFor(() => expect(counts()).toEqual([1, 1]), { timeout: 3000 });
    expect(downs).toEqual([]);
    higher.handle("echo", async (_from, body) => body);
    expect(await lower.request(higher.self, "echo", 1, soon)).toBe(1);
    const heard: PeerId[] = [];
    for (const mesh of [lower, higher]) mesh.subscribe("heads", (from) => heard.push(from));
    await vi.waitFor(
      async () => {
        await Promise.all([lower.publish("heads", 1), higher.publish("heads", 2)]);
        expect(new Set(heard)).toEqual(new Set([lower.self, higher.self]));
      },
      { timeout: 3000, interval: 100 },
    );
    await proxy.stop();
  });

  it("that are lost tell once whether the other daemon has ended; one that is silent may live", async () => {
    const { a, b, proxy } = await linkedByProxy();
    const ended: PeerId[] = [];
    a.onEnded((peer) => ended.push(peer));
    proxy.freeze();
    await isUp(a, b.self, false);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(ended).toEqual([]);
    proxy.thaw();
    await isUp(a, b.self);
    await proxy.stop();
    await vi.waitFor(() => expect(ended).toEqual([b.self]), { timeout: 3000 });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(ended).toEqual([b.self]);
  });

  it("come back after a restart on another port, by a changed record or a hint", async () => {
    const [a, b] = await pair();
    await connectAll([a, b]);
    await b.stop();
    await isUp(a, b.self, false);
    const restarted = await nodes.start(1);
    const c = restarted[0] as MeshHost;
    // Another node in its place: a dials the new record and finds it; b's old address finds nobody.
    c.setMembers(new Map([[a.self, { peer: a.self, addresses: [], port: null }]]));
    a.setMembers(new Map([[c.self, { peer: c.self, addresses: ["127.0.0.1"], port: 1 }]]));
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(a.connected()).toEqual([]);
    a.dialHint(c.self, ["127.0.0.1"], c.port);
    await isUp(a, c.self);
  });

  it("are cut when the other side falls silent, and do not hold a request past its deadline", async () => {
    const { a, b, proxy } = await linkedByProxy();
    b.handle("echo", async (_from, body) => body);
    expect(await a.request(b.self, "echo", 1, soon)).toBe(1);
    proxy.freeze();
    const frozen = performance.now();
    const big = "x".repeat(1024 * 1024);
    await expect(a.request(b.self, "echo", big, { deadlineMs: 60 })).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
    });
    const hanging = a.request(b.self, "echo", big, { deadlineMs: 20_000 });
    await expect(hanging).rejects.toMatchObject({ code: "PEER_UNREACHABLE" });
    await Promise.all([isUp(a, b.self, false), isUp(b, a.self, false)]);
    // Four pulses of 50 ms; the rest is for a loaded machine.
    expect(performance.now() - frozen).toBeLessThan(2000);
    proxy.thaw();
    await isUp(a, b.self);
    expect(await a.request(b.self, "echo", 2, soon)).toBe(2);
    await proxy.stop();
  });
});

describe("hints", () => {
  it("reach every other member, with their author, and only listeners of their topic", async () => {
    const meshes = await nodes.start(3);
    await connectAll(meshes);
    const heard: [PeerId, PeerId, Json][] = [];
    for (const mesh of meshes) mesh.subscribe("heads", (from, body) => heard.push([mesh.self, from, body]));
    const wrong = vi.fn();
    meshes[1]?.subscribe("journal", wrong);
    const author = meshes[0] as MeshHost;
    await vi.waitFor(
      async () => {
        await author.publish("heads", { n: 1 });
        expect(new Set(heard.map(([at]) => at)).size).toBe(2);
      },
      { timeout: 4000, interval: 100 },
    );
    expect(heard.every(([at, from]) => at !== author.self && from === author.self)).toBe(true);
    expect(wrong).not.toHaveBeenCalled();
    await expect(author.publish("heads", "x".repeat(17_000))).rejects.toThrow(RangeError);
  });

  it("of someone who is no member here are not taken from a member that relays them", async () => {
    const [a, b, c] = (await nodes.start(3)) as [MeshHost, MeshHost, MeshHost];
    await connectAll([a, b]);
    b.setMembers(new Map([a, c].map((mesh) => [mesh.self, contactOf(mesh)])));
    c.setMembers(new Map([[b.self, contactOf(b)]]));
    await Promise.all([isUp(c, b.self), isUp(b, c.self)]);
    const heard: string[] = [];
    for (const mesh of [a, b]) mesh.subscribe("events", (from) => heard.push(`${mesh.self} from ${from}`));
    const hears = (mesh: MeshHost, author: MeshHost): Promise<void> =>
      vi.waitFor(
        async () => {
          await author.publish("events", 1);
          expect(heard).toContain(`${mesh.self} from ${author.self}`);
        },
        { timeout: 4000, interval: 100 },
      );
    await hears(a, b);
    await hears(b, c);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(heard).not.toContain(`${a.self} from ${c.self}`);
  });

  it("do not fail when nobody is there", async () => {
    const [a] = await pair();
    await a.publish("events", { alone: true });
  });
});
