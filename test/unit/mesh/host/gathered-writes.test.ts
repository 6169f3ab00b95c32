import { Socket } from "node:net";
import type { MultiaddrConnection, Upgrader } from "@libp2p/interface";
import { describe, expect, it } from "vitest";
import { gatheringUpgrader } from "../../../../src/mesh/host/gathered-writes.ts";

type Sends = { sendData(data: Iterable<Uint8Array>): { canSendMore: boolean } };

/** A connection of @libp2p/tcp as far as it is used, and what its socket was given to send at once. */
async function upgraded(): Promise<{ connection: Sends; socket: Socket; writes: string[] }> {
  const socket = new Socket();
  const writes: string[] = [];
  Object.assign(socket, {
    _write: (chunk: Buffer, _encoding: string, done: () => void) => {
      writes.push(String(chunk));
      done();
    },
    _writev: (chunks: { chunk: Buffer }[], done: () => void) => {
      writes.push(chunks.map(({ chunk }) => String(chunk)).join("+"));
      done();
    },
  });
  const connection = {
    socket,
    sendData(data: Iterable<Uint8Array>) {
      let canSendMore = true;
      for (const part of data) canSendMore = this.socket.write(part);
      return { canSendMore };
    },
  };
  const upgrader = gatheringUpgrader({
    upgradeOutbound: async (one: unknown) => one,
    upgradeInbound: async () => undefined,
    getStreamMuxers: () => new Map([["/yamux", {}]]),
  } as unknown as Upgrader);
  expect(upgrader.getStreamMuxers().size).toBe(1);
  const signal = new AbortController().signal;
  const passed = await upgrader.upgradeOutbound(connection as unknown as MultiaddrConnection, { signal });
  return { connection: passed as unknown as Sends, socket, writes };
}

const parts = (...texts: string[]): Uint8Array[] => texts.map((text) => Buffer.from(text));
const tick = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));

describe("what is written to a connection", () => {
  it("in one turn is sent at once, in its order; what comes later is sent later", async () => {
    const { connection, writes } = await upgraded();
    connection.sendData(parts("length", "cipher"));
    connection.sendData(parts("next"));
    expect(writes).toEqual([]);
    await tick();
    expect(writes).toEqual(["length+cipher+next"]);
    connection.sendData(parts("later"));
    await tick();
    expect(writes).toEqual(["length+cipher+next", "later"]);
  });

  it("tells when the socket is full, as before", async () => {
    const { connection, socket } = await upgraded();
    const drained = new Promise((resolve) => socket.once("drain", resolve));
    expect(connection.sendData([Buffer.alloc(socket.writableHighWaterMark)]).canSendMore).toBe(false);
    await drained;
    expect(connection.sendData(parts("more")).canSendMore).toBe(true);
  });

  it("just before the connection ends is still sent", async () => {
    const { connection, socket, writes } = await upgraded();
    connection.sendData(parts("the", "last"));
    socket.destroySoon();
    await tick();
    expect(writes).toEqual(["the+last"]);
  });
});
