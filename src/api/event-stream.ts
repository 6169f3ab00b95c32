import type { ServerResponse } from "node:http";
import type { MeshEvent } from "./contract/events.ts";

/** A reader this far behind is cut off: it can come back with `since`. */
const mostUnreadBytes = 4 * 1024 * 1024;

/** The open answers of `GET /1.0/events`: one JSON object per line. */
export class EventStreams {
  readonly #open = new Set<ServerResponse>();

  serve(response: ServerResponse, subscribe: (listener: (event: MeshEvent) => void) => () => void): void {
    response.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" });
    // The head goes out at once: the caller knows that it is connected before anything happens.
    response.flushHeaders();
    this.#open.add(response);
    let unsubscribe: (() => void) | undefined;
    response.once("close", () => {
      this.#open.delete(response);
      unsubscribe?.();
    });
    unsubscribe = subscribe((event) => {
      if (response.writableLength > mostUnreadBytes) response.destroy();
      else response.write(`${JSON.stringify(event)}\n`);
    });
    if (response.destroyed) unsubscribe();
  }

  get count(): number {
    return this.#open.size;
  }

  /** End all, as the daemon stops. */
  end(): void {
    for (const response of this.#open) response.end();
  }
}
