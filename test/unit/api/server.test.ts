import { request } from "node:http";
import { describe, expect, test } from "vitest";
import { endpoints } from "../../../src/api/contract/endpoints.ts";
import { runServer } from "./running-server.ts";
import { ids } from "./stub-operations.ts";

interface RawReply {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the raw wire is what is looked at
  readonly body: any;
}

function raw(
  socketPath: string,
  method: string,
  path: string,
  body?: string,
  headers: Record<string, string> = {},
): Promise<RawReply> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, headers, agent: false }, (reply) => {
      let text = "";
      reply.setEncoding("utf8");
      reply.on("data", (part: string) => {
        text += part;
      });
      reply.on("end", () => resolve({ status: reply.statusCode ?? 0, body: JSON.parse(text) }));
    });
    call.on("error", reject);
    call.end(body);
  });
}

describe("envelopes", () => {
  test("a finished request has MicroCeph's envelope", async () => {
    await using api = await runServer();
    const { status, body } = await raw(api.socketPath, "GET", "/1.0");
    expect(status).toBe(200);
    expect(body).toEqual({
      type: "sync",
      status: "Success",
      status_code: 200,
      operation: "",
      error_code: 0,
      error: "",
      metadata: {
        name: "n1",
        version: "0.1.0",
        cephVersion: "16.2.15",
        api_version: "1.0",
        api_extensions: ["mesh"],
        state: "member",
      },
    });
    expect((await raw(api.socketPath, "GET", "/core/1.0")).body).toEqual(body);
  });

  test("a job is answered with 202 and its path", async () => {
    await using api = await runServer();
    const { status, body } = await raw(api.socketPath, "POST", "/1.0/disks", '{"path":"/dev/vdb"}');
    expect(status).toBe(202);
    expect(body).toMatchObject({ type: "async", status_code: 100, operation: "/1.0/jobs/job-1" });
    expect(body.metadata).toMatchObject({ id: "job-1", state: "running" });
  });

  test("a refusal carries code, remedy and data, and the code's HTTP status", async () => {
    await using api = await runServer();
    const { status, body } = await raw(api.socketPath, "POST", "/1.0/mesh/deny", '{"node":"n"}');
    expect(status).toBe(409);
    expect(body).toMatchObject({
      type: "error",
      error_code: 409,
      error: '"n" fits n1 and n2',
      metadata: { code: "AMBIGUOUS_NODE", data: { candidates: [{ id: ids.n1 }, { id: ids.n2 }] } },
    });
    expect(body.metadata.remedy).not.toBe("");
  });
});

describe("bad requests are coded", () => {
  const cases: [string, string, string, string | undefined, number, string][] = [
    ["unknown path", "GET", "/1.0/nothing", undefined, 404, "NOT_FOUND"],
    ["known path, other method", "DELETE", "/1.0/mesh", undefined, 404, "NOT_FOUND"],
    ["unknown field", "POST", "/1.0/cluster", '{"nmae":"x"}', 400, "USAGE"],
    ["unknown query", "GET", "/1.0/mesh?recursion=1", undefined, 400, "USAGE"],
    ["wrong type", "POST", "/1.0/mesh/approve", '{"nodes":"n4"}', 400, "USAGE"],
    ["nothing to approve", "POST", "/1.0/mesh/approve", "", 400, "USAGE"],
    ["names and all", "POST", "/1.0/mesh/approve", '{"nodes":["n4"],"all":true}', 400, "USAGE"],
    ["no JSON", "POST", "/1.0/mesh/deny", "{", 400, "USAGE"],
    ["prototype pollution", "POST", "/1.0/mesh/deny", '{"__proto__":{"a":1},"node":"n4"}', 400, "USAGE"],
    ["bad mode", "PUT", "/1.0/mesh/admission", '{"mode":"open"}', 400, "USAGE"],
    [
      "time for a mode without",
      "PUT",
      "/1.0/mesh/admission",
      '{"mode":"closed","forSeconds":5}',
      400,
      "USAGE",
    ],
    [
      "for ever and not",
      "PUT",
      "/1.0/mesh/admission",
      '{"mode":"auto","forSeconds":5,"forever":true}',
      400,
      "USAGE",
    ],
    ["bad loop size", "POST", "/1.0/disks", '{"path":"loop,1K,3"}', 400, "USAGE"],
    ["relative device", "POST", "/1.0/disks", '{"path":["vdb"]}', 400, "USAGE"],
    ["bad address", "POST", "/1.0/cluster", '{"monIp":"10.0.0"}', 400, "USAGE"],
    ["negative wait", "GET", "/1.0/jobs/x/wait?timeout=-1", undefined, 400, "USAGE"],
    ["job that is not there", "GET", "/1.0/jobs/x", undefined, 404, "NOT_FOUND"],
    ["bad setting key", "GET", "/1.0/settings/%2e%2e%2f", undefined, 400, "USAGE"],
    ["two targets", "GET", "/1.0/mesh?target=n2&target=n3", undefined, 400, "USAGE"],
    ["events of another", "GET", "/1.0/events?target=n2", undefined, 400, "USAGE"],
    [
      "body over 1 MiB",
      "POST",
      "/1.0/mesh/deny",
      JSON.stringify({ node: "x".repeat(1_100_000) }),
      400,
      "USAGE",
    ],
  ];
  test.each(cases)("%s", async (_name, method, path, body, status, code) => {
    await using api = await runServer();
    const reply = await raw(api.socketPath, method, path, body);
    expect({ status: reply.status, code: reply.body.metadata.code }).toEqual({ status, code });
    expect(reply.body.type).toBe("error");
    expect(reply.body.error).not.toBe("");
    expect(api.operations.calls).toEqual([]);
  });

  test("the message names the field", async () => {
    await using api = await runServer();
    const { body } = await raw(api.socketPath, "POST", "/1.0/cluster", '{"nmae":"x"}');
    expect(body.error).toContain("nmae");
  });

  test("curl's default content type is read as JSON", async () => {
    await using api = await runServer();
    const reply = await raw(api.socketPath, "POST", "/1.0/mesh/deny", '{"node":"n4"}', {
      "content-type": "application/x-www-form-urlencoded",
    });
    expect(reply.status).toBe(200);
  });
});

describe("faults of operations", () => {
  test("an unexpected throw is INTERNAL and the server lives on", async () => {
    await using api = await runServer();
    api.operations.mesh = async () => {
      throw new TypeError("boom");
    };
    const { status, body } = await raw(api.socketPath, "GET", "/1.0/mesh");
    expect([status, body.metadata.code, body.error]).toEqual([500, "INTERNAL", "boom"]);
    expect((await raw(api.socketPath, "GET", "/1.0")).status).toBe(200);
  });

  test("an answer that breaks the contract does not leave", async () => {
    await using api = await runServer();
    api.operations.report = { ...api.operations.report, asOf: "yesterday" };
    const { status, body } = await raw(api.socketPath, "GET", "/1.0/mesh");
    expect([status, body.metadata.code]).toEqual([500, "INTERNAL"]);
  });

  test("an operation that hangs is answered at its deadline, and its signal is aborted", async () => {
    await using api = await runServer({ deadlineMs: 50 });
    let reason: unknown;
    api.operations.status = (_input?: object, context?: { signal: AbortSignal }) =>
      new Promise(() => context?.signal.addEventListener("abort", () => (reason = context.signal.reason)));
    const { status, body } = await raw(api.socketPath, "GET", "/1.0/status");
    expect([status, body.metadata.code]).toEqual([504, "DEADLINE_EXCEEDED"]);
    expect(reason).toMatchObject({ code: "DEADLINE_EXCEEDED" });
  });

  test("a caller that leaves aborts its operation", async () => {
    await using api = await runServer();
    const aborted = new Promise((resolve) => {
      api.operations.status = (_input?: object, context?: { signal: AbortSignal }) =>
        new Promise(() => {
          context?.signal.addEventListener("abort", () => resolve(context.signal.reason));
          call.destroy();
        });
    });
    const call = request({ socketPath: api.socketPath, path: "/1.0/status", agent: false });
    call.on("error", () => undefined);
    call.end();
    expect(await aborted).toMatchObject({ code: "CANCELLED" });
  });
});

describe("?target=", () => {
  test("hands method, path, query and body to the operations and their answer back as it is", async () => {
    await using api = await runServer();
    api.operations.forwardReply = {
      status: 202,
      body: { type: "async", metadata: { fromAnother: "version" } },
    };
    const reply = await raw(api.socketPath, "POST", "/1.0/disks?target=n2", '{"path":"/dev/vdb","newer":1}');
    expect(reply).toEqual({ status: 202, body: { type: "async", metadata: { fromAnother: "version" } } });
    await raw(api.socketPath, "GET", "/1.0/jobs/j%201/wait?target=n2&timeout=3");
    expect(api.operations.forwarded).toEqual([
      { target: "n2", request: { method: "POST", path: "/1.0/disks", body: { path: "/dev/vdb", newer: 1 } } },
      { target: "n2", request: { method: "GET", path: "/1.0/jobs/j%201/wait?timeout=3", body: null } },
    ]);
    expect(api.operations.calls).toEqual([]);
  });

  test("this node itself answers itself", async () => {
    await using api = await runServer();
    expect((await raw(api.socketPath, "GET", "/1.0/mesh?target=n1")).status).toBe(200);
  });

  test("an unreachable member is a coded error", async () => {
    await using api = await runServer();
    const { status, body } = await raw(api.socketPath, "GET", "/1.0/mesh?target=n3");
    expect([status, body.metadata.code]).toEqual([502, "PEER_UNREACHABLE"]);
  });

  test("what was forwarded is answered by inject, and goes no further", async () => {
    await using api = await runServer();
    const answer = await api.server.inject({ method: "POST", path: "/1.0/mesh/deny", body: { node: "n4" } });
    expect(answer).toMatchObject({ status: 200, body: { metadata: [{ name: "n4" }] } });
    const again = await api.server.inject({ method: "GET", path: "/1.0/mesh?target=n3", body: null });
    expect(again).toMatchObject({ status: 400, body: { metadata: { code: "USAGE" } } });
    expect(api.operations.forwarded).toEqual([]);
  });
});

test("the OpenAPI document has every endpoint once", async () => {
  await using api = await runServer();
  const { body } = await raw(api.socketPath, "GET", "/1.0/openapi.json");
  expect(body.openapi).toBe("3.1.0");
  const described = Object.entries(
    body.paths as Record<string, Record<string, { operationId: string }>>,
  ).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId }]) => `${operationId} ${method} ${path}`),
  );
  const expected = Object.entries(endpoints).map(
    ([name, { method, path }]) => `${name} ${method.toLowerCase()} ${path}`,
  );
  expect(described.sort()).toEqual(
    [...expected, "events get /1.0/events", "metrics get /1.0/metrics"].sort(),
  );
  const references = [...JSON.stringify(body).matchAll(/"\$ref":"#\/components\/schemas\/([^"]*)"/g)];
  expect(new Set(references.map(([, name]) => name))).toEqual(new Set(Object.keys(body.components.schemas)));
  expect(
    body.paths["/1.0/mesh"].get.responses["200"].content["application/json"].schema.properties.metadata,
  ).toHaveProperty("properties.lease.properties.quorum.enum", ["ok", "lost", "none"]);
});
