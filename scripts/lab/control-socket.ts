import { request } from "node:http";
import { nodeStateDir } from "./layout.ts";

export interface ApiReply {
  readonly status: number;
  /** Parsed JSON, or the text when it is none. */
  readonly body: unknown;
}

/**
 * Path of a node's control socket for the host. Through /proc it is short enough for sun_path and works
 * wherever the lab keeps its files.
 */
export function controlSocket(holder: number): string {
  return `/proc/${holder}/root${nodeStateDir}/control.socket`;
}

/** One request to a node's daemon; rejects when nothing answers in `deadlineMs`. */
export function callDaemon(
  holder: number,
  method: string,
  path: string,
  body: unknown,
  deadlineMs: number,
): Promise<ApiReply> {
  return new Promise((resolve, reject) => {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const call = request(
      {
        socketPath: controlSocket(holder),
        method,
        path,
        agent: false,
        signal: AbortSignal.timeout(deadlineMs),
        headers:
          payload === undefined
            ? {}
            : { "content-type": "application/json", "content-length": Buffer.byteLength(payload) },
      },
      (reply) => {
        const chunks: Buffer[] = [];
        reply.on("data", (chunk: Buffer) => chunks.push(chunk));
        reply.on("error", reject);
        reply.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          let parsed: unknown = text;
          try {
            parsed = JSON.parse(text);
          } catch {
            // Not JSON: handed over as it is.
          }
          resolve({ status: reply.statusCode ?? 0, body: parsed });
        });
      },
    );
    call.on("error", reject);
    call.end(payload);
  });
}
