import { Buffer } from "node:buffer";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CephPaths } from "../../../../src/ceph/config/ceph-paths.ts";
import { OsdReports } from "../../../../src/ceph/daemons/osd-reports.ts";
import { type OsdId, osdId } from "../../../../src/ids/ids.ts";

let folder: string;
let server: Server;
let asked: string[];
let errors: unknown[];
let osds: () => Promise<readonly OsdId[]>;
let reports: OsdReports;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "reports-"));
  asked = [];
  errors = [];
  server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (chunk) => {
      asked.push(JSON.parse(chunk.toString().slice(0, -1)).prefix);
      // Its answer is a number.
      socket.end(Buffer.concat([Buffer.from([0, 0, 0, 2]), Buffer.from("17")]));
    });
  });
  await new Promise<void>((ready) => server.listen(join(folder, "osd.1"), ready));
  osds = async () => [osdId(0), osdId(1)];
  reports = new OsdReports({
    paths: () =>
      ({ adminSocket: (type: string, id: string | number) => join(folder, `${type}.${id}`) }) as CephPaths,
    osds: () => osds(),
    onError: (error) => errors.push(error),
  });
});
afterEach(async () => {
  reports.stop();
  server.close();
  await rm(folder, { recursive: true });
});

const patience = { timeout: 20_000 };

describe("the OSDs of a node", () => {
  it("report some times after each new OSD map, and not after one that was seen; one that is down is no matter", async () => {
    reports.mapSeen(7);
    reports.mapSeen(7);
    await vi.waitFor(() => expect(asked.length).toBeGreaterThan(1), patience);
    // All are over by then.
    await delay(2_000);
    const first = asked.length;
    expect(first).toBeLessThanOrEqual(6);
    reports.mapSeen(7);
    await delay(600);
    expect(asked.length).toBe(first);
    reports.mapSeen(8);
    await vi.waitFor(() => expect(asked.length).toBeGreaterThan(first), patience);
    expect(new Set(asked)).toEqual(new Set(["flush_pg_stats"]));
    expect(errors).toEqual([]);
  });

  it("that cannot be listed are told of, and asked next time", async () => {
    const list = osds;
    osds = () => {
      osds = list;
      return Promise.reject(new Error("no folder"));
    };
    reports.mapSeen(1);
    await vi.waitFor(() => expect(asked.length).toBeGreaterThan(0), patience);
    expect(errors).toHaveLength(1);
  });
});
