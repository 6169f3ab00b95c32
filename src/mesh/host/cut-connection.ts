import type { Connection } from "@libp2p/interface";

/**
 * Close a connection now, without a word to its streams' users but the close event. `Connection.abort` throws
 * when one of its listeners aborts again, or when the socket is gone already.
 */
export function cutConnection(connection: Connection, reason: string): void {
  if (connection.status !== "open" && connection.status !== "closing") return;
  try {
    connection.abort(new Error(reason));
  } catch {
    // The muxer could not say goodbye: the socket is closed.
  }
}
