import { createServer } from "node:net";
import { MicrocephError } from "../errors/microceph-error.ts";

/**
 * Throws PORT_IN_USE when something listens on this TCP port already. The mesh opens its port only when this
 * node becomes a member: by then it is too late to refuse.
 */
export async function assertPortFree(port: number): Promise<void> {
  // Without IPv6 `::` cannot be listened on, and is not what would be in the way.
  for (const host of ["0.0.0.0", "::"]) {
    if ((await listenError(host, port)) !== "EADDRINUSE") continue;
    const place = `${host === "::" ? "[::]" : host}:${port}`;
    throw new MicrocephError("PORT_IN_USE", `${place} is in use`, { data: { address: host, port } });
  }
}

/** The code of the error that listening meets; undefined when it works. */
function listenError(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "unknown"));
  server.listen({ host, port, ipv6Only: true, exclusive: true }, () =>
    server.close(() => resolve(undefined)),
  );
  return promise;
}
