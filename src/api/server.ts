import type { FastifyInstance, InjectOptions } from "fastify";
import type { Logger } from "pino";
import type { Json } from "../ids/json.ts";
import { type ControlSocket, openControlSocket } from "./control-socket.ts";
import { EventStreams } from "./event-stream.ts";
import type { ForwardReply, ForwardRequest, Operations } from "./operations.ts";
import { buildRoutes, forwardedHeader } from "./routes.ts";

/** More callers than this at once are a fault of some script. */
const mostConnections = 512;

export interface ApiServerOptions {
  /** `<state>/control.socket` */
  readonly socketPath: string;
  readonly version: string;
  /** Milliseconds that an operation gets; default 1900, so that the answer is out within two seconds. */
  readonly deadlineMs?: number;
}

export interface ApiServerDeps {
  readonly operations: Operations;
  readonly log: Logger;
}

/** The API on the control socket. Who may open the socket is trusted with everything. */
export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #deps: ApiServerDeps;
  readonly #streams = new EventStreams();
  #app: FastifyInstance | undefined;
  #socket: ControlSocket | undefined;

  constructor(options: ApiServerOptions, deps: ApiServerDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Throws DAEMON_RUNNING when another daemon answers on the socket, PORT_IN_USE when the path is taken. */
  async start(): Promise<void> {
    const app = await buildRoutes(this.#options, { ...this.#deps, streams: this.#streams });
    await app.ready();
    app.server.maxConnections = mostConnections;
    this.#socket = await openControlSocket(this.#options.socketPath, async (path) => {
      await app.listen({ path });
    });
    this.#app = app;
  }

  /** No new requests; running ones are cut off, as their operations stop too. */
  async stop(): Promise<void> {
    this.#streams.end();
    await this.#socket?.remove();
    await this.#app?.close();
    this.#app = undefined;
  }

  /** Answer a request that another member forwarded. It goes no further: a second `target` is refused. */
  async inject(request: ForwardRequest): Promise<ForwardReply> {
    const app = this.#app;
    if (!app) throw new Error("the API server is not running");
    const options: InjectOptions = {
      method: request.method,
      url: request.path,
      headers: { [forwardedHeader]: "1", "content-type": "application/json" },
      ...(request.body === null ? {} : { payload: JSON.stringify(request.body) }),
    };
    const reply = await app.inject(options);
    return { status: reply.statusCode, body: JSON.parse(reply.body) as Json };
  }
}
