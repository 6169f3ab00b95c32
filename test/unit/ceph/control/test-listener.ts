import { createServer, type Server } from "node:net";

/** A program that listens, one at a time; what is started in a test is this. */
export function testListener(): {
  /** @returns the port; 0 asks for a free one */
  readonly listen: (port: number) => Promise<number>;
  readonly stopListening: () => Promise<void>;
} {
  let server: Server | undefined;
  return {
    listen(port) {
      const listening = createServer((socket) => socket.destroy());
      server = listening;
      return new Promise((resolve) => {
        listening.listen(port, () => resolve((listening.address() as { port: number }).port));
      });
    },
    async stopListening() {
      const listening = server;
      server = undefined;
      if (listening?.listening) await new Promise((resolve) => listening.close(resolve));
    },
  };
}
