import { describe, expect, it } from "vitest";
import { type ForwardDeps, forwardTo } from "../../../../src/daemon/cluster/forward.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import { type PeerId, peerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import type { Deadline } from "../../../../src/mesh/host/deadline.ts";

const peer: PeerId = peerId(`12D3KooW${"b".repeat(44)}`);
const signal = new AbortController().signal;
const request = { method: "GET", path: "/1.0/jobs/1/wait?timeout=30", body: null };

/** A member that answers with this, and the deadlines that it was given. */
function member(reply: Json, change: Partial<ForwardDeps> = {}): { deps: ForwardDeps; given: Deadline[] } {
  const given: Deadline[] = [];
  const deps: ForwardDeps = {
    request: async (_peer, _method, _body, deadline) => {
      given.push(deadline);
      return reply;
    },
    reaches: () => true,
    hasFailed: () => false,
    next: async () => undefined,
    ...change,
  };
  return { deps, given };
}

describe("a request handed to another member", () => {
  it("has the time that it has here", async () => {
    const { deps, given } = member({ status: 200, body: { a: 1 } });
    const reply = await forwardTo(deps, peer, request, { deadlineMs: 31_900, signal });
    expect(reply).toEqual({ status: 200, body: { a: 1 } });
    expect(given).toEqual([{ deadlineMs: 31_900, signal }]);
  });

  it.each<[string, Json]>([
    ["nothing", null],
    ["a list", []],
    ["no status", { body: {} }],
    ["a status that is none", { status: "200" }],
  ])("with an answer that cannot be read (%s) is PEER_UNREACHABLE", async (_what, reply) => {
    const { deps } = member(reply);
    await expect(forwardTo(deps, peer, request, { deadlineMs: 1_000, signal })).rejects.toMatchObject({
      code: "PEER_UNREACHABLE",
    });
  });

  it("waits for one whose daemon has just been started anew", async () => {
    let looks = 0;
    const { deps, given } = member(
      { status: 200 },
      { next: async () => void looks++, reaches: () => looks > 2 },
    );
    await forwardTo(deps, peer, request, { deadlineMs: 10_000, signal });
    expect(looks).toBe(3);
    expect(given[0]?.deadlineMs).toBeLessThan(10_000);
  });

  it("is not held back by one that has failed, nor for longer than half of its time", async () => {
    let looks = 0;
    const unreachable = {
      next: async (_signal: AbortSignal, ms: number) => {
        looks += 1;
        await new Promise((resolve) => setTimeout(resolve, ms));
      },
      reaches: () => false,
      request: async () => {
        throw new MicrocephError("PEER_UNREACHABLE", "not connected");
      },
    };
    const gone = member(null, { ...unreachable, hasFailed: () => true }).deps;
    const code = { code: "PEER_UNREACHABLE" };
    await expect(forwardTo(gone, peer, request, { deadlineMs: 10_000, signal })).rejects.toMatchObject(code);
    expect(looks).toBe(0);
    const silent = member(null, unreachable).deps;
    await expect(forwardTo(silent, peer, request, { deadlineMs: 60, signal })).rejects.toMatchObject(code);
    expect(looks).toBeGreaterThan(0);
  });
});
