import type { Stream } from "@libp2p/interface";
import { lpStream } from "@libp2p/utils";
import type { Json } from "../../ids/json.ts";

/** JSON in frames that begin with their length (32 bits, big-endian), both ways on one stream. */
export interface JsonFrames {
  /** Rejects when the stream ends, the frame is longer than the limit, or it is no JSON. */
  read(signal: AbortSignal): Promise<Json>;
  /** Rejects with a RangeError, before a byte is sent, when the frame would be longer than the limit. */
  write(value: Json, signal: AbortSignal): Promise<void>;
}

const lengthBytes = 4;
// Room for the prefix of the frame and for what follows it in the same packet.
const slack = 64 * 1024;

export function jsonFrames(stream: Stream, maxBytes: number): JsonFrames {
  const frames = lpStream(stream, {
    maxDataLength: maxBytes,
    maxBufferSize: maxBytes + slack,
    // Not the usual varint: its decoder goes on for as long as someone sends one without end, byte by byte.
    maxLengthLength: lengthBytes,
    lengthEncoder: encodeLength,
    lengthDecoder: decodeLength,
  });
  return {
    read: async (signal) => {
      const bytes = await frames.read({ signal });
      return JSON.parse(Buffer.from(bytes.subarray()).toString("utf8")) as Json;
    },
    write: async (value, signal) => {
      const bytes = Buffer.from(JSON.stringify(value));
      if (bytes.length > maxBytes) {
        throw new RangeError(`a frame of ${bytes.length} bytes is over the limit of ${maxBytes}`);
      }
      await frames.write(bytes, { signal });
    },
  };
}

function encodeLength(length: number): Uint8Array {
  const bytes = Buffer.alloc(lengthBytes);
  bytes.writeUInt32BE(length);
  return bytes;
}

/** A RangeError asks for another byte. */
function decodeLength(bytes: { readonly byteLength: number; subarray(): Uint8Array }): number {
  if (bytes.byteLength < lengthBytes) throw new RangeError("the length is not complete yet");
  return Buffer.from(bytes.subarray()).readUInt32BE();
}
