import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { handle } from "../../../../src/ids/ids.ts";
import { PeerSockets } from "../../../../src/state/etcd/peer-sockets.ts";
import { quiet, testPeer, until } from "../../../support/etcd-cluster.ts";

let dir: string;
let own: Server;
let other: PeerSockets;
let sockets: PeerSockets;
let fail = false;
let accepted: Socket[];
const n1 = { handle: handle("n1"), peer: testPeer(1) };
const n2 = { handle: handle("n2"), peer: testPeer(2) };
const offered = (): string => join(dir, "one", "n2:0");

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "sockets-"));
  fail = false;
  accepted = [];
  other = new PeerSockets(
    { dir: join(dir, "two"), self: n2.handle },
    { openTunnel: unreachable, log: quiet },
  );
  await other.start([]);
  // In place of the other side's etcd.
  own = createServer({ allowHalfOpen: true }, (socket) => {
    accepted.push(socket);
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => own.listen(join(dir, "two", "n2:0"), resolve));
  const openTunnel = (): Promise<Duplex> => (fail ? unreachable() : other.connectOwn());
  sockets = new PeerSockets({ dir: join(dir, "one"), self: n1.handle }, { openTunnel, log: quiet });
});
afterEach(async () => {
  await sockets.stop();
  await other.stop();
  for (const socket of accepted) socket.destroy();
  await new Promise((resolve) => own.close(resolve));
  rmSync(dir, { recursive: true, force: true });
});

async function unreachable(): Promise<Duplex> {
  throw new Error("unreachable");
}

function dial(): Socket {
  return connect({ path: offered(), allowHalfOpen: true }).on("error", () => undefined);
}

/** When the other side has gone, as etcd sees it; nobody else may want what it still brings. */
function closed(socket: Socket): Promise<void> {
  socket.resume().once("end", () => socket.end());
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

/** All that comes until the end; the other direction stays open. */
function readToEnd(socket: Socket): Promise<string> {
  let all = "";
  return new Promise((resolve, reject) => {
    socket.setEncoding("utf8").on("data", (part) => {
      all += part;
    });
    socket.once("end", () => resolve(all)).once("error", reject);
  });
}

test("bytes and ends go both ways, each end for itself", async () => {
  await sockets.start([n1, n2]);
  const here = dial();
  const big = "x".repeat(3_000_000);
  here.end(big);
  await until("accepted", () => accepted.length === 1);
  const there = accepted[0] as Socket;
  expect((await readToEnd(there)).length).toBe(big.length);
  there.end("answer after the end");
  expect(await readToEnd(here)).toBe("answer after the end");
  expect(sockets.counters()).toMatchObject({ accepted: 1, tunnelFailed: 0 });
});

test("offers a socket for each other voter, over a stale file, and none for itself", async () => {
  await sockets.start([]);
  writeFileSync(offered(), "");
  await sockets.setVoters([n1, n2]);
  const here = dial();
  await until("accepted", () => accepted.length === 1);
  here.destroy();
  expect(existsSync(join(dir, "one", "n1:0"))).toBe(false);
});

test("a side that breaks off takes the other along", async () => {
  await sockets.start([n2]);
  for (const breakOff of ["here", "there"] as const) {
    const here = dial();
    const count = accepted.length;
    await until("accepted", () => accepted.length === count + 1);
    const there = accepted[count] as Socket;
    const [from, to] = breakOff === "here" ? [here, there] : [there, here];
    const gone = closed(to);
    from.destroy();
    await gone;
  }
});

test("a voter that is gone is cut off at once", async () => {
  await sockets.start([n2]);
  const here = dial();
  await until("accepted", () => accepted.length === 1);
  const gone = closed(here);
  await sockets.setVoters([n1]);
  await gone;
  expect(existsSync(offered())).toBe(false);
});

test("without a tunnel the connection is closed, for etcd to try again", async () => {
  fail = true;
  await sockets.start([n2]);
  await closed(dial());
  expect(sockets.counters()).toMatchObject({ accepted: 1, tunnelFailed: 1 });
});

test("stop ends what is open", async () => {
  await sockets.start([n2]);
  const here = dial();
  await until("accepted", () => accepted.length === 1);
  const gone = closed(here);
  await sockets.stop();
  await gone;
});
