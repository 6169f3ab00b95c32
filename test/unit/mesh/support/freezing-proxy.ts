import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** TCP to a local port that can stop moving bytes with its sockets open, as a cut cable or a stopped process does. */
export class FreezingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #frozen = false;

  constructor(targetPort: number) {
    this.#server = createServer((inbound) => {
      const outbound = connect(targetPort, "127.0.0.1");
      this.#relay(inbound, outbound);
      this.#relay(outbound, inbound);
    });
  }

  async start(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  freeze(): void {
    this.#frozen = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Move bytes again; nothing was lost. */
  resume(): void {
    this.#frozen = false;
    for (const socket of this.#sockets) socket.resume();
  }

  /** Let new connections through; those that were frozen are lost. */
  thaw(): void {
    this.#frozen = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.thaw();
    this.#server.close();
    await once(this.#server, "close");
  }

  #relay(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on("data", (bytes) => to.write(bytes));
    from.on("error", () => undefined);
    from.on("close", () => {
      this.#sockets.delete(from);
      if (!this.#frozen) to.destroy();
    });
    if (this.#frozen) from.pause();
  }
}
