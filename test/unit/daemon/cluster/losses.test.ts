import { describe, expect, it } from "vitest";
import { steadyMs } from "../../../../src/ceph/plan/spells.ts";
import { checkSetting, defaultGrace, graceOf, Losses } from "../../../../src/daemon/cluster/losses.ts";
import type { PeerId } from "../../../../src/ids/ids.ts";
import type { PresenceState } from "../../../../src/mesh/presence/presence.ts";

const peer = (n: number): PeerId => `peer-${n}` as PeerId;

function world(settings: Record<string, string> = {}) {
  let now = 0;
  const states = new Map<PeerId, PresenceState>([
    [peer(1), "alive"],
    [peer(2), "alive"],
  ]);
  const losses = new Losses({ now: () => now, setting: (name) => settings[name] });
  const note = (): void => losses.noteMembers(states.keys(), (one) => states.get(one));
  note();
  return {
    losses,
    set: (n: number, state: PresenceState): void => {
      states.set(peer(n), state);
      note();
    },
    pass: (ms: number): void => {
      now += ms;
    },
  };
}

describe("Losses", () => {
  it("takes a member for lost after the grace time, and no longer once it has been back for a while", () => {
    const { losses, set, pass } = world();
    pass(60_000);
    set(2, "suspect");
    set(2, "failed");
    pass(defaultGrace.monitor * 1000 - 1);
    expect(losses.isLost(peer(2), "monitor")).toBe(false);
    pass(1);
    expect([losses.isLost(peer(2), "monitor"), losses.isLost(peer(1), "monitor")]).toEqual([true, false]);
    set(2, "alive");
    expect(losses.isSteady(peer(2))).toBe(false);
    pass(steadyMs);
    expect([losses.isLost(peer(2), "monitor"), losses.isSteady(peer(2))]).toEqual([false, true]);
  });

  it("follows the settings, each for its kind", () => {
    const { losses, set, pass } = world({ "grace.monitor": "30" });
    set(2, "failed");
    pass(30_000);
    expect([losses.isLost(peer(2), "monitor"), losses.isLost(peer(2), "service")]).toEqual([true, false]);
  });

  it("takes a monitor for lost that is decided on and stays out of quorum", () => {
    const { losses, pass } = world({ "grace.monitor": "10" });
    losses.noteMonitors(new Set(["n1", "n2"]), ["n1"]);
    pass(10_000);
    losses.noteMonitors(new Set(["n1", "n2"]), ["n1"]);
    expect(["n1", "n2", "n3"].map((name) => losses.isMonitorLost(name))).toEqual([false, true, false]);
    losses.noteMonitors(new Set(["n1"]), ["n1"]);
    expect(losses.isMonitorLost("n2")).toBe(false);
  });
});

describe("grace times", () => {
  it.each([undefined, "", "ten", "9", "-60", "1e9", "99999999", "60s"])(
    "%s is none: the default holds",
    (text) => {
      expect(graceOf("monitor", text)).toBe(defaultGrace.monitor);
    },
  );

  it("are refused when they could not be followed; other settings are not ours", () => {
    checkSetting("grace.monitor", "300");
    checkSetting("something.else", "60s");
    expect(() => checkSetting("grace.service", "5")).toThrow(/whole seconds from 10/);
  });
});
