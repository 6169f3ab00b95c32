import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { expect, test } from "vitest";
import type { MeshEvent } from "../../../src/api/contract/events.ts";
import { EventStreams } from "../../../src/api/event-stream.ts";

/** A response whose reader takes nothing. */
class StuckResponse extends EventEmitter {
  writableLength = 0;
  destroyed = false;
  writeHead(): void {}
  flushHeaders(): void {}
  write(text: string): void {
    this.writableLength += text.length;
  }
  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
}

test("a reader that takes nothing is cut off before it fills the memory", () => {
  const streams = new EventStreams();
  const response = new StuckResponse();
  let listener: (event: MeshEvent) => void = () => undefined;
  let subscribed = true;
  streams.serve(response as unknown as ServerResponse, (given) => {
    listener = given;
    return () => {
      subscribed = false;
    };
  });
  const event = { seq: 1, at: "2026-11-22T10:00:00.000Z", type: "big", data: "x".repeat(1_000_000) };
  for (let count = 0; count < 6 && subscribed; count += 1) listener(event);
  expect(response.destroyed).toBe(true);
  expect(response.writableLength).toBeLessThan(6_000_000);
  expect(streams.count).toBe(0);
});
