import { describe, expect, it } from "vitest";
import { ClusterRuntime } from "../../../../src/daemon/cluster/cluster-runtime.ts";
import { type PeerId, peerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import type { Deadline } from "../../../../src/mesh/host/deadline.ts";

const peer: PeerId = peerId(`12D3KooW${"b".repeat(44)}`);
const signal = new AbortController().signal;
const request = { method: "GET", path: "/1.0/jobs/1/wait?timeout=30", body: null };

/** The member's answer to a request of the API, with the deadline that it was given. */
function forwarded(reply: Json): {
  given: () => Deadline | undefined;
  result: ReturnType<ClusterRuntime["forward"]>;
} {
  let given: Deadline | undefined;
  const mesh = {
    request: async (_peer: PeerId, _method: string, _body: Json, deadline: Deadline) => {
      given = deadline;
      return reply;
    },
  };
  const { forward } = ClusterRuntime.prototype;
  const runtime = { mesh } as unknown as ClusterRuntime;
  return { result: forward.call(runtime, peer, request, { deadlineMs: 31_900, signal }), given: () => given };
}

describe("a request handed to another member", () => {
  it("has the time that it has here", async () => {
    const { result, given } = forwarded({ status: 200, body: { a: 1 } });
    expect(await result).toEqual({ status: 200, body: { a: 1 } });
    expect(given()).toMatchObject({ deadlineMs: 31_900 });
  });

  it.each<[string, Json]>([
    ["nothing", null],
    ["a list", []],
    ["no status", { body: {} }],
    ["a status that is none", { status: "200" }],
  ])("with an answer that cannot be read (%s) is PEER_UNREACHABLE", async (_what, reply) => {
    await expect(forwarded(reply).result).rejects.toMatchObject({ code: "PEER_UNREACHABLE" });
  });
});
