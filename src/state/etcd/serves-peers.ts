import { request } from "node:http";

/**
 * Whether etcd has read its data and runs: its own peer socket then answers, with or without a majority. (The
 * sockets take connections earlier than that, and the client socket answers only once there is a leader.)
 */
export function servesPeers(socketPath: string, deadlineMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request(
      { socketPath, path: "/version", agent: false, signal: AbortSignal.timeout(deadlineMs) },
      (response) => {
        response.resume();
        response.on("error", () => undefined);
        resolve(response.statusCode === 200);
      },
    );
    call.on("error", () => resolve(false));
    call.end();
  });
}
