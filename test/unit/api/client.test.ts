import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ApiClient, jobError } from "../../../src/api/client.ts";
import type { Job } from "../../../src/api/contract/jobs.ts";
import { MicrocephError } from "../../../src/errors/microceph-error.ts";
import { runServer } from "./running-server.ts";
import { fsid } from "./stub-operations.ts";

async function codeOf(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => "no error",
    (thrown: unknown) => thrown,
  );
  return error instanceof MicrocephError ? error.code : String(error);
}

test("every call reaches its operation and brings its answer", async () => {
  await using api = await runServer();
  const { client, operations } = api;
  expect((await client.server()).name).toBe("n1");
  expect(await client.ready()).toEqual({ ready: true, storage: true, waitingFor: null });
  expect((await client.status()).health?.status).toBe("HEALTH_OK");
  expect(await client.health()).toEqual({ conditions: [] });
  expect((await client.mesh()).cluster?.fsid).toBe(fsid);
  expect(await client.mesh()).not.toHaveProperty("health");
  expect((await client.approve({ all: true }))[0]?.name).toBe("n4");
  expect(operations.inputOf("approve")).toEqual({ nodes: [], all: true });
  expect((await client.deny("n4"))[0]?.name).toBe("n4");
  expect((await client.admission()).mode).toBe("auto");
  expect(await client.setAdmission({ mode: "closed" })).toEqual({ mode: "closed", until: null });
  expect((await client.fingerprint()).fingerprints[0]?.words).toBe("quiet-moss-tin-harbor");
  expect((await client.join({ cluster: "microceph" })).state).toBe("member");
  expect(operations.inputOf("join")).toEqual({ cluster: "microceph" });
  expect((await client.release()).state).toBe("member");
  expect(await client.members()).toHaveLength(3);
  expect(await client.disks()).toHaveLength(3);
  expect((await client.availableDisks())[0]?.type).toBe("scsi");
  expect((await client.addDisks({ path: "loop,1G,2" })).state).toBe("running");
  expect(operations.inputOf("addDisks")).toMatchObject({ path: "loop,1G,2", wipe: false });
  expect(await client.services()).toHaveLength(1);
  expect((await client.jobs()).map((job) => job.id)).toEqual(["job-1"]);
  expect((await client.job("job-1")).kind).toBe("disk.add");
  expect((await client.waitForJob("job-1", 2)).step).toBe("preparing");
  expect(operations.inputOf("waitForJob")).toEqual({ id: "job-1", timeout: 2 });
  expect(await client.settings()).toEqual({ rbd_default_features: "63" });
  expect(await client.setSetting("cluster_network", "10.0.0.0/24")).toEqual({
    key: "cluster_network",
    value: "10.0.0.0/24",
  });
  expect((await client.setting("cluster_network")).value).toBe("10.0.0.0/24");
  expect((await client.journal(5))[0]?.kind).toBe("cluster.found");
  expect(operations.inputOf("journal")).toEqual({ limit: 5 });
  expect(await codeOf(client.bootstrap({}))).toBe("ALREADY_INITIALIZED");
});

test("a target goes along with every call", async () => {
  await using api = await runServer();
  const far = api.client.withTarget("n 2");
  expect(await codeOf(far.mesh())).toBe("PEER_UNREACHABLE");
  expect(await codeOf(far.waitForJob("j", 0))).toBe("PEER_UNREACHABLE");
  expect(api.operations.forwarded.map(({ target, request }) => [target, request.path])).toEqual([
    ["n 2", "/1.0/mesh"],
    ["n 2", "/1.0/jobs/j/wait?timeout=0"],
  ]);
  expect(api.client.withTarget(undefined)).toBe(api.client);
});

describe("faults of the connection are coded", () => {
  test("no socket, and a socket nobody answers on", async () => {
    await using api = await runServer();
    expect(await codeOf(new ApiClient({ socketPath: `${api.socketPath}.none` }).mesh())).toBe(
      "DAEMON_NOT_RUNNING",
    );
    await api.server.stop();
    expect(await codeOf(api.client.mesh())).toBe("DAEMON_NOT_RUNNING");
  });

  test("a daemon that does not answer", async () => {
    await using api = await runServer();
    api.operations.mesh = () => new Promise(() => undefined);
    expect(await codeOf(api.client.mesh({ deadlineMs: 40 }))).toBe("DEADLINE_EXCEEDED");
  });

  test("a caller that gives up", async () => {
    await using api = await runServer();
    api.operations.mesh = () => new Promise(() => undefined);
    expect(await codeOf(api.client.mesh({ signal: AbortSignal.timeout(20) }))).toBe("CANCELLED");
  });

  const strange: [string, string, string][] = [
    ["something that is no API", "<html>", "INTERNAL"],
    ["JSON that is no envelope", "[]", "INTERNAL"],
    [
      "a code of a newer daemon",
      '{"type":"error","error":"new","metadata":{"code":"FROM_THE_FUTURE"}}',
      "INTERNAL",
    ],
  ];
  test.each(strange)("%s", async (_name, content, code) => {
    await using api = await runServer();
    await using foreign = await listening(join(api.stateDir, "other.socket"), content);
    expect(await codeOf(new ApiClient({ socketPath: foreign.path }).mesh())).toBe(code);
  });
});

describe("jobs", () => {
  test("are watched to their end", async () => {
    await using api = await runServer();
    api.operations.jobSteps = ["one", "two"];
    const looks: string[] = [];
    const done = await api.client.finishJob(await api.client.addDisks({ path: "/dev/vdb" }), {
      onLook: (job) => looks.push(job?.step ?? "away"),
    });
    expect(done).toMatchObject({
      state: "success",
      result: { report: [{ path: "/dev/vdb", report: "Success" }] },
    });
    expect(looks).toEqual(["starting", "one", "two", "done"]);
  });

  test("survive a restart of the daemon meanwhile", async () => {
    await using api = await runServer();
    const job = await api.client.addDisks({ path: "/dev/vdb" });
    await api.server.stop();
    const looks: string[] = [];
    const done = await api.client.finishJob(job, {
      onLook: (look) => {
        looks.push(look?.step ?? "away");
        if (!look) void api.server.start();
      },
    });
    expect(done.state).toBe("success");
    expect(looks).toEqual(["starting", "away", "preparing", "done"]);
  });

  test("a daemon that stays away is an error", async () => {
    await using api = await runServer();
    const job = await api.client.addDisks({ path: "/dev/vdb" });
    await api.server.stop();
    expect(await codeOf(api.client.finishJob(job, { patienceMs: 0 }))).toBe("DAEMON_NOT_RUNNING");
  });

  test("a failed one has its own code", () => {
    const failed = { id: "j", error: { code: "DISK_FULL", message: "no room" } } as Job;
    expect(jobError(failed)).toMatchObject({ code: "DISK_FULL", message: "no room" });
    expect(jobError({ ...failed, error: { code: "NEWER", message: "?" } }).code).toBe("INTERNAL");
  });
});

describe("events", () => {
  test("replay what came after a number, then go on, and end with the server", async () => {
    await using api = await runServer();
    api.operations.emit("daemon.started", { version: "1" });
    api.operations.emit("claim.released", { reason: "umlaut ü" });
    const seen: string[] = [];
    for await (const event of api.client.events({ since: 1 })) {
      seen.push(`${event.seq} ${event.type} ${JSON.stringify(event.data)}`);
      if (event.seq === 2) api.operations.emit("quorum.lost", {});
      if (event.seq === 3) void api.server.stop();
    }
    expect(seen).toEqual(['2 claim.released {"reason":"umlaut ü"}', "3 quorum.lost {}"]);
  });

  test("a reader that leaves is forgotten", async () => {
    await using api = await runServer();
    const leaving = new AbortController();
    const ended = (async () => {
      for await (const _event of api.client.events({ since: 0, signal: leaving.signal })) leaving.abort();
    })();
    while (api.operations.listenerCount === 0) await new Promise(setImmediate);
    api.operations.emit("quorum.lost", {});
    await ended;
    while (api.operations.listenerCount > 0) await new Promise(setImmediate);
  });

  test("end after those that are kept when nobody wants to follow", async () => {
    await using api = await runServer();
    api.operations.emit("quorum.lost", {});
    api.operations.emit("quorum.restored", {});
    const all = await Array.fromAsync(api.client.events({ follow: false }));
    expect(all.map(({ type }) => type)).toEqual(["quorum.lost", "quorum.restored"]);
    expect(await Array.fromAsync(api.client.events({ follow: false, since: 2 }))).toEqual([]);
  });

  test("metrics come as they are", async () => {
    await using api = await runServer();
    expect(await api.client.metrics()).toBe(api.operations.metrics());
  });

  test("without a daemon that is said", async () => {
    const none = new ApiClient({ socketPath: "/nonexistent/control.socket" });
    expect(await codeOf(none.events().next())).toBe("DAEMON_NOT_RUNNING");
  });
});

async function listening(
  path: string,
  content: string,
): Promise<AsyncDisposable & { readonly path: string }> {
  const server: Server = createServer((_request, reply) => reply.end(content));
  await new Promise<void>((resolve) => server.listen({ path }, resolve));
  return {
    path,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
