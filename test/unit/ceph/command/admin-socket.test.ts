import { Buffer } from "node:buffer";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { askAdminSocket } from "../../../../src/ceph/command/admin-socket.ts";

let folder: string;
let path: string;
let server: Server | undefined;
const sockets: Socket[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "asok-"));
  path = join(folder, "asok");
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server?.close();
  await rm(folder, { recursive: true });
});

/** A daemon that gives each whole request to `answer`. */
function listen(answer: (socket: Socket, request: string) => void): Promise<void> {
  server = createServer((socket) => {
    sockets.push(socket);
    let text = "";
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      text += chunk.toString("utf8");
      if (text.endsWith("\0")) answer(socket, text.slice(0, -1));
    });
  });
  return new Promise((ready) => server?.listen(path, ready));
}

function framed(text: string, length = Buffer.byteLength(text)): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(length);
  return Buffer.concat([head, Buffer.from(text)]);
}

describe("the admin socket", () => {
  it("sends JSON with a NUL and reads length and body, in whatever pieces", async () => {
    let request = "";
    await listen((socket, text) => {
      request = text;
      const answer = framed('{"state":"ü"}');
      for (const byte of answer) socket.write(Buffer.from([byte]));
    });
    expect(await askAdminSocket(path, { prefix: "status" })).toEqual({ state: "ü" });
    expect(JSON.parse(request)).toEqual({ prefix: "status", format: "json" });
  });

  it.each<[string, (socket: Socket) => void, string]>([
    ["hangs up", (socket) => void socket.end(), "CEPH_DAEMON_DOWN"],
    ["hangs up inside its answer", (socket) => void socket.end(framed("{", 5)), "CEPH_DAEMON_DOWN"],
    ["announces too much", (socket) => void socket.write(framed("{}", 2 ** 31)), "CEPH_DAEMON_DOWN"],
    ["answers no JSON", (socket) => void socket.write(framed("{no")), "CEPH_REFUSED"],
    [
      "is still starting",
      (socket) => void socket.write(framed("ERROR: (22) Invalid argument\n")),
      "CEPH_DAEMON_DOWN",
    ],
    ["says nothing", () => undefined, "DEADLINE_EXCEEDED"],
  ])("a daemon that %s", async (_name, answer, code) => {
    await listen(answer);
    await expect(askAdminSocket(path, { prefix: "status" }, { deadlineMs: 300 })).rejects.toMatchObject({
      code,
    });
  });

  it("tells a missing socket", async () => {
    await expect(askAdminSocket(path, { prefix: "status" })).rejects.toMatchObject({
      code: "CEPH_DAEMON_DOWN",
    });
  });

  it("can be cancelled", async () => {
    const abort = new AbortController();
    await listen(() => abort.abort());
    await expect(askAdminSocket(path, { prefix: "status" }, { signal: abort.signal })).rejects.toMatchObject({
      code: "CANCELLED",
    });
    await expect(askAdminSocket(path, { prefix: "status" }, { signal: abort.signal })).rejects.toMatchObject({
      code: "CANCELLED",
    });
  });
});
