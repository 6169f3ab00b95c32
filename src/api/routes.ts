import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import type { Logger } from "pino";
import { z } from "zod";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import {
  type Endpoint,
  type EndpointName,
  endpoints,
  type InputOf,
  type ReplyOf,
} from "./contract/endpoints.ts";
import { asyncEnvelope, errorEnvelope, syncEnvelope } from "./contract/envelope.ts";
import { eventsQuery, meshEvent } from "./contract/events.ts";
import { longestWaitSeconds } from "./contract/jobs.ts";
import { nodeReference } from "./contract/shape.ts";
import { withDeadline } from "./deadline.ts";
import { asyncReply, codedError, errorReply, syncReply } from "./envelopes.ts";
import type { EventStreams } from "./event-stream.ts";
import { describeRoutes } from "./openapi.ts";
import type { ForwardRequest, Operations, RequestContext } from "./operations.ts";

/** Marks a request that another member handed over: it is answered here and nowhere else. */
export const forwardedHeader = "x-microceph-forwarded";

/** Of the two seconds that an answer may take, what the operation gets. */
const defaultDeadlineMs = 1900;
const bodyLimitBytes = 1024 * 1024;

export interface RoutesOptions {
  readonly version: string;
  readonly deadlineMs?: number;
}

export interface RoutesDeps {
  readonly operations: Operations;
  readonly streams: EventStreams;
  readonly log: Logger;
}

type Handlers = {
  readonly [Name in EndpointName]: (input: InputOf<Name>, context: RequestContext) => Promise<ReplyOf<Name>>;
};
type AnyHandler = (input: unknown, context: RequestContext) => Promise<unknown>;

/** The HTTP application: every endpoint of the contract, the event stream and the OpenAPI document. */
export async function buildRoutes(options: RoutesOptions, deps: RoutesDeps): Promise<FastifyInstance> {
  const app = fastify({
    bodyLimit: bodyLimitBytes,
    requestTimeout: 10_000,
    keepAliveTimeout: 5_000,
    forceCloseConnections: true,
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  parseEveryBodyAsJson(app);
  answerFaults(app, deps.log);
  await describeRoutes(app, options.version);
  // The compiler checks here that the operations fit the contract.
  const handlers: Handlers = deps.operations;
  for (const [name, endpoint] of Object.entries(endpoints) as [EndpointName, Endpoint][]) {
    const handler: AnyHandler = (input, context) =>
      (handlers[name] as AnyHandler).call(handlers, input, context);
    addEndpoint(app, name, endpoint, handler, options, deps.operations);
  }
  addEventStream(app, deps);
  addMetrics(app, deps.operations);
  app.get("/1.0/openapi.json", { schema: { hide: true } }, async () => JSON.stringify(app.swagger()));
  return app;
}

function addEndpoint(
  app: FastifyInstance,
  name: EndpointName,
  endpoint: Endpoint,
  handler: AnyHandler,
  options: RoutesOptions,
  operations: Operations,
): void {
  const reply =
    endpoint.kind === "async"
      ? { 202: asyncEnvelope(endpoint.reply) }
      : { 200: syncEnvelope(endpoint.reply) };
  const schema = {
    operationId: name,
    summary: endpoint.summary,
    ...(endpoint.params ? { params: endpoint.params } : {}),
    querystring: targeted(endpoint.query ?? z.strictObject({})),
    ...(endpoint.body ? { body: endpoint.body } : {}),
    response: { ...reply, "4xx": errorEnvelope, "5xx": errorEnvelope },
  };
  const run = <T>(
    request: FastifyRequest,
    answer: FastifyReply,
    work: (context: RequestContext) => Promise<T>,
  ): Promise<T> => {
    const deadlineMs = deadlineOf(endpoint, request, options);
    return withDeadline(deadlineMs, callerOf(answer), (signal) => work({ signal, deadlineMs }));
  };
  for (const [index, path] of [endpoint.path, ...(endpoint.aliases ?? [])].entries()) {
    app.route({
      method: endpoint.method,
      url: path.replace(/\{(\w+)\}/g, ":$1"),
      schema: index === 0 ? schema : { ...schema, hide: true },
      // Before validation: the other member may know fields that this one does not.
      preValidation: async (request, answer) => {
        const target = takeTarget(request);
        if (target === undefined) return;
        const forwarded = await run(request, answer, (context) =>
          operations.forward(target, forwardRequest(endpoint, request), context),
        );
        if (forwarded) return sendRaw(answer, forwarded.status, forwarded.body);
      },
      handler: async (request, answer) => {
        const { target: _, ...query } = request.query as Record<string, unknown>;
        const input = { ...(request.body as object | undefined), ...query, ...(request.params as object) };
        const result = await run(request, answer, (context) => handler(input, context));
        if (endpoint.kind === "sync") return syncReply(result);
        const accepted = asyncReply(result as { id: string });
        return answer.code(202).header("location", accepted.operation).send(accepted);
      },
    });
  }
}

function addEventStream(app: FastifyInstance, { operations, streams }: RoutesDeps): void {
  app.get(
    "/1.0/events",
    {
      schema: {
        operationId: "events",
        summary: "Events as they happen, one JSON object per line (application/x-ndjson)",
        querystring: eventsQuery,
        response: { 200: meshEvent, "4xx": errorEnvelope, "5xx": errorEnvelope },
      },
    },
    (request, answer) => {
      const { since, follow } = request.query as z.output<typeof eventsQuery>;
      answer.hijack();
      streams.serve(answer.raw, operations.events, { since, follow: follow === "true" });
    },
  );
}

/** As a scraper asks for it: plain text without an envelope. */
function addMetrics(app: FastifyInstance, operations: Operations): void {
  app.get(
    "/1.0/metrics",
    { schema: { operationId: "metrics", summary: "Figures of this daemon in Prometheus' text format" } },
    async (_request, answer) =>
      answer.header("content-type", "text/plain; version=0.0.4; charset=utf-8").send(operations.metrics()),
  );
}

/** Callers such as `curl -d` name other types; an empty body is an empty request. */
function parseEveryBodyAsJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser("error", "error");
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "string" }, (request, body, done) => {
    if (body === "") done(null, {});
    else parse(request, body as string, done);
  });
  app.addHook("preValidation", async (request) => {
    if (request.method !== "GET" && (request.body === undefined || request.body === null)) request.body = {};
  });
}

function answerFaults(app: FastifyInstance, log: Logger): void {
  app.setErrorHandler(async (thrown, request, answer) => {
    const error = codedError(thrown);
    if (error.code === "INTERNAL") {
      log.error({ err: thrown, method: request.method, path: request.routeOptions.url }, "request failed");
    }
    return sendRaw(answer, error.httpStatus, errorReply(error) as unknown as Json);
  });
  app.setNotFoundHandler(async (request, answer) => {
    const path = request.url.split("?")[0] ?? "";
    const error = new MicrocephError("NOT_FOUND", `no such path: ${request.method} ${path.slice(0, 200)}`);
    return sendRaw(answer, error.httpStatus, errorReply(error) as unknown as Json);
  });
}

function sendRaw(answer: FastifyReply, status: number, body: Json): FastifyReply {
  return answer
    .code(status)
    .header("content-type", "application/json; charset=utf-8")
    .send(JSON.stringify(body));
}

function targeted(query: z.ZodObject): z.ZodObject {
  return query.extend({
    target: nodeReference.optional().describe("member that answers: name or PeerId prefix"),
  });
}

/** Remove `?target=` from the request; undefined when there is none. */
function takeTarget(request: FastifyRequest): string | undefined {
  const query = request.query as Record<string, unknown>;
  const target = query.target;
  if (target === undefined) return undefined;
  if (typeof target !== "string" || !nodeReference.safeParse(target).success) {
    throw new MicrocephError("USAGE", "target takes one node: a name or a PeerId prefix");
  }
  if (request.headers[forwardedHeader] !== undefined) {
    throw new MicrocephError("USAGE", "a forwarded request names no target of its own");
  }
  delete query.target;
  return target;
}

function forwardRequest(endpoint: Endpoint, request: FastifyRequest): ForwardRequest {
  const url = new URL(request.url, "http://localhost");
  url.searchParams.delete("target");
  return {
    method: endpoint.method,
    path: url.pathname + url.search,
    body: endpoint.body ? (request.body as Json) : null,
  };
}

function deadlineOf(endpoint: Endpoint, request: FastifyRequest, options: RoutesOptions): number {
  const base = options.deadlineMs ?? defaultDeadlineMs;
  if (!endpoint.waits) return base;
  const asked = Number((request.query as { timeout?: unknown }).timeout ?? 30);
  const seconds = Number.isFinite(asked) ? Math.min(Math.max(asked, 0), longestWaitSeconds) : 0;
  return base + seconds * 1000;
}

/** Aborted when the caller closes the connection before it has its answer. */
function callerOf(answer: FastifyReply): AbortSignal {
  const leaving = new AbortController();
  answer.raw.once("close", () => leaving.abort());
  return leaving.signal;
}
