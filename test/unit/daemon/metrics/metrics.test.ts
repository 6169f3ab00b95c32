import { describe, expect, it } from "vitest";
import type { EventLog } from "../../../../src/daemon/events/event-log.ts";
import { cephMetrics } from "../../../../src/daemon/metrics/ceph.ts";
import { loopAtEase, nextLoopState } from "../../../../src/daemon/metrics/loop-slow.ts";
import { LoopWatch } from "../../../../src/daemon/metrics/loop-watch.ts";
import { meshMetrics } from "../../../../src/daemon/metrics/mesh.ts";
import { processMetrics } from "../../../../src/daemon/metrics/process.ts";
import { countBy, type Metric, renderMetrics } from "../../../../src/daemon/metrics/registry.ts";
import { stateMetrics } from "../../../../src/daemon/metrics/state.ts";
import type { LobbyHost } from "../../../../src/mesh/lobby/lobby-host.ts";

const events = { counters: () => ({ emitted: 3, lost: 0 }) } as unknown as EventLog;
const lobby = { counters: () => ({ answered: 2, "dropped.rate": 1 }) } as unknown as LobbyHost;
const loop = new LoopWatch(() => undefined);

describe("the text that scrapers read", () => {
  it("has help, type, labels in quotes, and nothing of what has no value", () => {
    const metrics: Metric[] = [
      { name: "microceph_a", kind: "gauge", help: "A.", read: () => 1.5 },
      { name: "microceph_b_total", kind: "counter", help: "B.", read: () => null },
      {
        name: "microceph_c",
        kind: "gauge",
        help: "C.",
        read: () => [{ labels: { kind: 'a"b\\c\nd', state: "x" }, value: Number.POSITIVE_INFINITY }],
      },
    ];
    expect(renderMetrics(metrics)).toBe(
      "# HELP microceph_a A.\n# TYPE microceph_a gauge\nmicroceph_a 1.5\n" +
        "# HELP microceph_c C.\n# TYPE microceph_c gauge\n" +
        'microceph_c{kind="a\\"b\\\\c\\nd",state="x"} +Inf\n',
    );
  });

  it("counts by labels", () => {
    expect(countBy(["b", "a", "b"], (state) => ({ state }))).toEqual([
      { labels: { state: "a" }, value: 1 },
      { labels: { state: "b" }, value: 2 },
    ]);
  });
});

describe("what is declared", () => {
  const all = [
    ...processMetrics({ loop, events, version: "1", startedAt: 0 }),
    ...meshMetrics({ lobby, cluster: () => null }),
    ...stateMetrics(
      () => null,
      () => 0,
    ),
    ...cephMetrics(() => null),
  ];

  it("has one name each, and counters are named so", () => {
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
    for (const { name, kind } of all) {
      expect(name).toMatch(/^microceph_[a-z_]+$/);
      expect(name.endsWith("_total"), name).toBe(kind === "counter");
      expect(name, "base units only").not.toMatch(/_(ms|milliseconds|kb|mb|percent)(_|$)/);
    }
  });

  it("can be read on a node that is no member", () => {
    const text = renderMetrics(all);
    expect(text).toContain('microceph_lobby_requests_total{outcome="dropped.rate"} 1\n');
    expect(text).toContain("microceph_events_emitted_total 3\n");
    expect(text).not.toContain("microceph_lease_held");
  });
});

describe("an event loop is slow", () => {
  const after = (...p99: number[]): boolean =>
    p99.reduce((state, one) => nextLoopState(state, { p50: 0, p99: one, max: one }), loopAtEase).slow;

  it.each<[string, number[], boolean]>([
    ["never", [0, 0.01], false],
    ["not after one burst", [0.9, 0.01, 0.9, 0.01, 0.9], false],
    ["not after two bad windows", [0.9, 0.9], false],
    ["after three in a row", [0.3, 0.3, 0.3], true],
    ["still while it is neither bad nor good", [0.3, 0.3, 0.3, 0.2, 0.2, 0.2, 0.2], true],
    ["still after two good ones", [0.3, 0.3, 0.3, 0, 0], true],
    ["no more after three good ones", [0.3, 0.3, 0.3, 0, 0, 0], false],
  ])("%s", (_when, windows, slow) => expect(after(...windows)).toBe(slow));
});
