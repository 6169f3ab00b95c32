import { Buffer } from "node:buffer";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CephPaths } from "../../../../src/ceph/config/ceph-paths.ts";
import { BuildPace, hasten, slowDown } from "../../../../src/ceph/daemons/build-pace.ts";
import { waitOsdUp } from "../../../../src/ceph/daemons/osd.ts";
import { osdId } from "../../../../src/ids/ids.ts";

let folder: string;
let server: Server | undefined;
/** What the daemon has in the layer that nothing stores. */
let set: Map<string, string>;
/** What it has read in its configuration file. */
let ofFile: Map<string, string>;
/** What an OSD says of its state. */
let state: () => string;
const paths = { adminSocket: (type: string, id: string) => join(folder, `${type}.${id}`) } as CephPaths;

async function daemon(name: string): Promise<void> {
  server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (chunk) => {
      const request = JSON.parse(chunk.toString().slice(0, -1));
      if (request.prefix === "config set") set.set(request.var, request.val[0]);
      if (request.prefix === "config unset") set.delete(request.var);
      const value = set.get(request.var) ?? ofFile.get(request.var) ?? "2.000000";
      const answers: Record<string, () => object> = {
        "config get": () => ({ [request.var]: value }),
        status: () => ({ state: state() }),
      };
      const answer = answers[request.prefix]?.() ?? { success: "" };
      const body = Buffer.from(JSON.stringify(answer));
      const length = Buffer.alloc(4);
      length.writeUInt32BE(body.length);
      socket.end(Buffer.concat([length, body]));
    });
  });
  await new Promise<void>((ready) => server?.listen(join(folder, name), ready));
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pace-"));
  set = new Map();
  ofFile = new Map();
  state = () => "active";
});
afterEach(async () => {
  vi.useRealTimers();
  server?.close();
  server = undefined;
  await rm(folder, { recursive: true });
});

describe("timers for the time of building", () => {
  it.each([
    ["mon", "paxos_propose_interval", "0.02"],
    ["mgr", "mgr_tick_period", "1"],
  ] as const)("are set in a %s and put back", async (type, name, value) => {
    await daemon(`${type}.n1`);
    expect(await hasten(paths, type, "n1")).toBe(true);
    expect(set.get(name)).toBe(value);
    expect(await slowDown(paths, type, "n1")).toBe(true);
    expect([...set]).toEqual([]);
  });

  it("are put back in a monitor that joined, whose file said to ask often", async () => {
    await daemon("mon.n1");
    ofFile.set("mon_probe_timeout", "0.100000");
    for (const _again of [1, 2]) {
      expect(await slowDown(paths, "mon", "n1")).toBe(true);
      expect([...set]).toEqual([["mon_probe_timeout", "2"]]);
    }
  });

  it("are set in an OSD until it is up, or is not waited for any more", async () => {
    await daemon("osd.3");
    const seen: (string | undefined)[] = [];
    state = () => (seen.push(set.get("bdev_aio_poll_ms")) > 2 ? "active" : "booting");
    await waitOsdUp({ paths }, osdId(3), { deadlineMs: 10_000, intervalMs: 1 });
    expect(seen).toEqual([undefined, "2", "2"]);
    expect([...set]).toEqual([]);

    state = () => "booting";
    await expect(waitOsdUp({ paths }, osdId(3), { deadlineMs: 20, intervalMs: 1 })).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
    });
    expect([...set]).toEqual([]);
  });

  it("are no matter where there is no such daemon", async () => {
    expect(await slowDown(paths, "mon", "n1")).toBe(false);
  });
});

describe("the end of the building", () => {
  it("comes when nothing was decided for a while, and again after the next decision", () => {
    vi.useFakeTimers();
    const slow = vi.fn(async () => undefined);
    const pace = new BuildPace({ quietMs: 1000, slowDown: slow, onError: () => undefined });
    pace.look(1);
    vi.advanceTimersByTime(900);
    pace.look(2);
    vi.advanceTimersByTime(900);
    expect(slow).not.toHaveBeenCalled();
    expect(pace.isOver).toBe(false);
    pace.look(2);
    vi.advanceTimersByTime(100);
    expect(slow).toHaveBeenCalledTimes(1);
    expect(pace.isOver).toBe(true);
    vi.advanceTimersByTime(10_000);
    expect(slow).toHaveBeenCalledTimes(1);
    pace.look(3);
    expect(pace.isOver).toBe(false);
    vi.advanceTimersByTime(1000);
    expect(slow).toHaveBeenCalledTimes(2);
    pace.look(4);
    pace.stop();
    vi.advanceTimersByTime(1000);
    expect(slow).toHaveBeenCalledTimes(2);
  });
});
