import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { assertPortFree } from "../../../src/process/free-port.ts";

const servers: ReturnType<typeof createServer>[] = [];

async function listenOn(host: string): Promise<number> {
  const server = createServer();
  servers.push(server);
  server.listen({ host, port: 0 });
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.close();
    await once(server, "close");
  }
});

describe("a port that the daemon will need", () => {
  test.each(["0.0.0.0", "127.0.0.1", "::"])("in use on %s", async (host) => {
    const port = await listenOn(host);
    await expect(assertPortFree(port)).rejects.toMatchObject({ code: "PORT_IN_USE" });
  });

  test("free, twice in a row: the probe leaves nothing behind", async () => {
    const port = await listenOn("127.0.0.1");
    const [server] = servers.splice(0);
    server?.close();
    if (server) await once(server, "close");
    await assertPortFree(port);
    await assertPortFree(port);
  });
});
