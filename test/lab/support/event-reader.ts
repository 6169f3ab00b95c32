import { type ClientRequest, request } from "node:http";
import { createInterface } from "node:readline";
import { controlSocket } from "../../../scripts/lab/control-socket.ts";
import type { MeshEvent } from "../../../src/api/contract/events.ts";
import type { Lab } from "./lab.ts";

/** `GET /1.0/events` of a node, kept open; what came so far is in `events`. */
export class EventReader {
  readonly events: MeshEvent[] = [];
  /** When each of them came, in milliseconds of `performance.now()`. */
  readonly arrivals: number[] = [];
  readonly #request: ClientRequest;

  private constructor(call: ClientRequest) {
    this.#request = call;
  }

  /** Resolves when the daemon has answered with a stream of JSON lines. */
  static open(lab: Lab, node: string, since?: number): Promise<EventReader> {
    return new Promise((resolve, reject) => {
      const query = since === undefined ? "" : `?since=${since}`;
      const socketPath = controlSocket(lab.hosts.node(node).holder);
      const call = request({ socketPath, path: `/1.0/events${query}`, agent: false });
      const reader = new EventReader(call);
      call.on("error", reject);
      call.on("response", (reply) => {
        const type = reply.headers["content-type"] ?? "";
        if (reply.statusCode !== 200 || !type.startsWith("application/x-ndjson")) {
          reject(new Error(`GET /1.0/events answered ${reply.statusCode} ${type}`));
        }
        const lines = createInterface({ input: reply });
        lines.on("line", (line) => {
          if (line === "") return;
          reader.events.push(JSON.parse(line) as MeshEvent);
          reader.arrivals.push(performance.now());
        });
        // The end of the daemon or of this reader ends the stream in mid-air.
        for (const stream of [reply, lines]) stream.on("error", () => undefined);
        resolve(reader);
      });
      call.end();
    });
  }

  close(): void {
    this.#request.on("error", () => undefined);
    this.#request.destroy();
  }
}
