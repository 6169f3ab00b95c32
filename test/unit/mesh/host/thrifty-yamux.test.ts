import type { Stream, StreamMuxerFactory } from "@libp2p/interface";
import { multiaddrConnectionPair } from "@libp2p/utils";
import { yamux } from "@libp2p/yamux";
import { expect, it, vi } from "vitest";
import { thriftyYamux } from "../../../../src/mesh/host/thrifty-yamux.ts";

/** A stream from one end to the other, and how often the other end has sent something. */
async function opened(make: () => () => StreamMuxerFactory): Promise<{
  readonly near: Stream;
  readonly far: Stream;
  readonly sentByFar: () => number;
}> {
  const [outbound, inbound] = multiaddrConnectionPair();
  const sent = vi.spyOn(inbound, "send");
  const [client, server] = [make()().createStreamMuxer(outbound), make()().createStreamMuxer(inbound)];
  const arrival = new Promise<Stream>((resolve) => {
    server.addEventListener("stream", ({ detail }) => resolve(detail));
  });
  const near = await client.createStream();
  return { near, far: await arrival, sentByFar: () => sent.mock.calls.length };
}

/** Wait until so many bytes came. */
function arrived(stream: Stream, bytes: number): Promise<void> {
  return new Promise((resolve) => {
    let left = bytes;
    stream.addEventListener("message", ({ data }) => {
      left -= data.byteLength;
      if (left === 0) resolve();
    });
  });
}

const small = new Uint8Array(100);
const messages = 200;

it.each([
  ["thrifty", () => thriftyYamux(), 2],
  // If this fails the library has learnt it, and ours can go.
  ["as it comes", () => yamux(), messages],
] as const)("yamux %s answers small messages so often", async (_kind, make, most) => {
  const { near, far, sentByFar } = await opened(make);
  for (let sent = 0; sent < messages; sent += 1) {
    const came = arrived(far, small.byteLength);
    near.send(small);
    await came;
  }
  expect(sentByFar()).toBeLessThanOrEqual(most + 2);
  if (most > 2) expect(sentByFar()).toBeGreaterThan(most / 2);
});

it("more than all windows is carried, and what waits while the reader pauses comes when it resumes", async () => {
  const { near, far } = await opened(() => thriftyYamux({ streamOptions: { maxStreamWindowSize: 2 ** 20 } }));
  const chunk = new Uint8Array(2 ** 16);
  const chunks = 128;
  const all = arrived(far, chunks * chunk.byteLength);
  const send = async (count: number): Promise<void> => {
    for (let sent = 0; sent < count; sent += 1) if (!near.send(chunk)) await near.onDrain();
  };
  await send(chunks / 2);
  far.pause();
  const rest = send(chunks / 2);
  await new Promise((resolve) => setImmediate(resolve));
  far.resume();
  await Promise.all([rest, all]);
});
