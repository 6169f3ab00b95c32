import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { ApiClient } from "../../../src/api/client.ts";
import { ApiServer } from "../../../src/api/server.ts";
import { StubOperations } from "./stub-operations.ts";

/** A real server with stub operations in a directory of its own. */
export interface RunningServer extends AsyncDisposable {
  readonly stateDir: string;
  readonly socketPath: string;
  readonly operations: StubOperations;
  readonly server: ApiServer;
  readonly client: ApiClient;
}

export const silent = pino({ level: "silent" });

export async function runServer(options: { readonly deadlineMs?: number } = {}): Promise<RunningServer> {
  const stateDir = await mkdtemp(join(tmpdir(), "mc-api-"));
  const socketPath = join(stateDir, "control.socket");
  const operations = new StubOperations();
  const server = new ApiServer({ socketPath, version: "0.1.0", ...options }, { operations, log: silent });
  await server.start();
  return {
    stateDir,
    socketPath,
    operations,
    server,
    client: new ApiClient({ socketPath }),
    async [Symbol.asyncDispose]() {
      await server.stop();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
}
