import type { ServerResponse } from "node:http";
import type { MeshEvent } from "./contract/events.ts";

/** Where a stream reads: events are kept there, so a stream needs no buffer of its own. */
export interface EventSource {
  /** Number of the newest event. */
  head(): number;
  /** Kept lines after a number, oldest first; before them what is missing, if anything is. */
  read(
    after: number,
    limit: number,
  ): {
    readonly gap: MeshEvent | null;
    readonly events: readonly { readonly seq: number; readonly line: string }[];
  };
  /** Called at each new event. @returns stops it */
  on(listener: () => void): () => void;
}

export interface StreamOptions {
  /** First those kept after this number. */
  readonly since: number | undefined;
  /** Go on with what happens, until the caller leaves. */
  readonly follow: boolean;
}

/** Lines written at a time: with the socket's own buffer all that a reader who takes nothing costs. */
const pageLines = 256;

/**
 * The open answers of `GET /1.0/events`: one JSON object per line. A slow reader is written to when it has
 * taken what was written; if meanwhile more happened than is kept, it is told so by an `events.gap`.
 */
export class EventStreams {
  readonly #open = new Set<ServerResponse>();
  #written = 0;

  serve(response: ServerResponse, source: EventSource, options: StreamOptions): void {
    response.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" });
    // The head goes out at once: the caller knows that it is connected before anything happens.
    response.flushHeaders();
    let after = options.since ?? (options.follow ? source.head() : 0);
    let full = false;
    const write = (): void => {
      while (!full && !response.destroyed && !response.writableEnded) {
        const { gap, events } = source.read(after, pageLines);
        if (gap === null && events.length === 0) {
          if (!options.follow) response.end();
          return;
        }
        const lines = [...(gap === null ? [] : [JSON.stringify(gap)]), ...events.map(({ line }) => line)];
        after = events.at(-1)?.seq ?? gap?.seq ?? after;
        this.#written += lines.length;
        full = !response.write(`${lines.join("\n")}\n`);
      }
    };
    response.on("drain", () => {
      full = false;
      write();
    });
    const off = source.on(write);
    this.#open.add(response);
    response.once("close", () => {
      this.#open.delete(response);
      off();
    });
    write();
    if (response.destroyed) off();
  }

  get count(): number {
    return this.#open.size;
  }

  /** Lines written to all readers. */
  get written(): number {
    return this.#written;
  }

  /** End all, as the daemon stops. */
  end(): void {
    for (const response of this.#open) response.end();
  }
}
