import pino from "pino";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { CephCommands } from "../../../src/ceph/command/commands.ts";
import { CephView } from "../../../src/daemon/ceph-view.ts";
import { MicrocephError } from "../../../src/errors/microceph-error.ts";

let asked: string[];
let epoch: number | null;
let answers: boolean;
let up: number;
let looks: unknown[];
let view: CephView;

const status = () => ({
  fsid: "5c9f0d3c-9b1e-4c57-8d0b-0e0e3c1f8a11",
  health: { status: "HEALTH_OK", checks: [] },
  quorum: ["n1"],
  monitors: 1,
  epochs: { monitors: 4, osds: epoch },
  osds: { total: 1, up, in: 1 },
  pgs: { total: 1, states: {}, pools: 1, objects: 0 },
  bytes: { data: 0, used: 0, available: 0, total: 0 },
  mgr: { available: true, standbys: 0 },
});
const ceph = {
  status: async () => {
    asked.push("status");
    if (!answers) throw new MicrocephError("DEADLINE_EXCEEDED", "no monitor answers");
    return status();
  },
  pools: async () => {
    asked.push("pools");
    return [{ id: 1, name: "p", size: 1 }];
  },
  osdTree: async () => {
    asked.push("tree");
    return { osds: [{ id: 0, up: up > 0, reweight: 1, host: "n1" }] };
  },
} as unknown as CephCommands;

beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  looks = [];
  [epoch, answers, up] = [7, true, 1];
  view = new CephView({
    ceph: () => ceph,
    now: Date.now,
    steadyNow: () => performance.now(),
    log: pino({ level: "silent" }),
    onChange: () => undefined,
    onLook: (look) => looks.push(look),
  });
});
afterEach(async () => {
  await view.stop();
  vi.useRealTimers();
});

const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

it("asks at once, and for pools and tree only when the OSD map has another epoch", async () => {
  view.start();
  await settle();
  expect(asked).toEqual(["status", "pools", "tree"]);
  expect(view.storageReady).toBe(true);
  expect(looks).toMatchObject([{ epochs: { monitors: 4 }, snapshot: { quorum: ["n1"] } }]);
  await vi.advanceTimersByTimeAsync(1000);
  view.refresh();
  await settle();
  expect(asked.slice(3)).toEqual(["status"]);
  epoch = 8;
  up = 0;
  await vi.advanceTimersByTimeAsync(1000);
  view.refresh();
  await settle();
  expect(asked.slice(4)).toEqual(["status", "pools", "tree"]);
  expect(view.storageReady).toBe(false);
});

it("asks for all of it where the epoch is not told, and after a silence of the monitors", async () => {
  epoch = null;
  view.start();
  await settle();
  await vi.advanceTimersByTimeAsync(15_000);
  expect(asked).toEqual(["status", "pools", "tree", "status", "pools", "tree"]);
  epoch = 7;
  await vi.advanceTimersByTimeAsync(15_000);
  answers = false;
  await vi.advanceTimersByTimeAsync(15_000);
  expect(looks.at(-1)).toBeNull();
  expect(view.misses).toBe(1);
  answers = true;
  asked = [];
  await vi.advanceTimersByTimeAsync(3_000);
  expect(asked).toEqual(["status", "pools", "tree"]);
});

it("looks four times a second at most, however often it is told to, and always once after the last word", async () => {
  view.start();
  await settle();
  asked = [];
  for (let ms = 0; ms < 1000; ms += 10) {
    view.refresh();
    await vi.advanceTimersByTimeAsync(10);
  }
  expect(asked.length).toBeGreaterThanOrEqual(3);
  expect(asked.length).toBeLessThanOrEqual(5);
  asked = [];
  epoch = 9;
  view.refresh();
  await vi.advanceTimersByTimeAsync(250);
  expect(asked).toContain("tree");
  await vi.advanceTimersByTimeAsync(5_000);
  expect(asked.filter((what) => what === "status").length).toBeLessThanOrEqual(2);
});
