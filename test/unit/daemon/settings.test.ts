import { hostname } from "node:os";
import { describe, expect, it } from "vitest";
import { type DaemonSettings, daemonUsage, parseSettings } from "../../../src/daemon/settings.ts";

function parsed(args: readonly string[], environment: Record<string, string> = {}): DaemonSettings {
  const settings = parseSettings(args, environment);
  if (typeof settings === "string") throw new Error(`only ${settings}`);
  return settings;
}

describe("settings of microcephd", () => {
  it("has a default for everything", () => {
    expect(parsed([])).toEqual({
      stateDir: "/var/lib/microceph",
      name: hostname().split(".")[0],
      admission: undefined,
      expect: 3,
      windowShut: false,
      extraCephConfig: undefined,
      leaseTtlSeconds: 10,
      lobbyPort: 7443,
      meshPort: 7444,
      interfaces: undefined,
      clusterName: "microceph",
      logLevel: "info",
      runner: "process",
      peers: [],
    });
  });

  it.each<[string[], Partial<DaemonSettings>]>([
    [["--state-dir", "/srv/m"], { stateDir: "/srv/m" }],
    [["--name", "n1.example.org"], { name: "n1" }],
    [["--admission", "closed"], { admission: "closed" }],
    [["--expect", "2"], { expect: 2 }],
    [["--window-shut"], { windowShut: true }],
    [["--extra-ceph-config", "/f"], { extraCephConfig: "/f" }],
    [["--lease-ttl", "60"], { leaseTtlSeconds: 60 }],
    [["--lobby-port", "1", "--mesh-port", "65535"], { lobbyPort: 1, meshPort: 65_535 }],
    [["--interface", "eth0", "--interface", "eth1"], { interfaces: ["eth0", "eth1"] }],
    [["--cluster-name", "büro 2"], { clusterName: "büro 2" }],
    [["--log-level", "debug"], { logLevel: "debug" }],
    [["--runner", "systemd"], { runner: "systemd" }],
    [
      ["--peer", "10.0.0.7", "--peer", "[fd00::7]:99", "--lobby-port", "5"],
      {
        lobbyPort: 5,
        peers: [
          { address: "10.0.0.7", port: 5 },
          { address: "fd00::7", port: 99 },
        ],
      },
    ],
  ])("%j", (args, settings) => {
    expect(parsed(args)).toMatchObject(settings);
  });

  it.each<[Record<string, string>, string[], Partial<DaemonSettings>]>([
    [{ MICROCEPH_STATE_DIR: "/e" }, [], { stateDir: "/e" }],
    [{ MICROCEPH_STATE_DIR: "/e" }, ["--state-dir", "/f"], { stateDir: "/f" }],
    [{ MICROCEPH_EXPECT: "5" }, [], { expect: 5 }],
    [{ MICROCEPH_EXPECT: "5" }, ["--expect", "2"], { expect: 2 }],
    [{ MICROCEPH_ADMISSION: "approve" }, [], { admission: "approve" }],
    [{ MICROCEPH_WINDOW: "shut" }, [], { windowShut: true }],
    [{ MICROCEPH_WINDOW: "open" }, [], { windowShut: false }],
    [{ MICROCEPH_LOG_LEVEL: "warn" }, [], { logLevel: "warn" }],
    [{ MICROCEPH_RUNNER: "systemd" }, [], { runner: "systemd" }],
    [{ MICROCEPH_RUNNER: "systemd" }, ["--runner", "process"], { runner: "process" }],
  ])("environment %j with %j", (environment, args, settings) => {
    expect(parsed(args, environment)).toMatchObject(settings);
  });

  it.each([
    ["a relative state directory", ["--state-dir", "here"]],
    ["a state directory too long for sockets", ["--state-dir", `/${"a".repeat(60)}`]],
    ["one that is too long in bytes", ["--state-dir", `/${"ä".repeat(30)}`]],
    ["an unknown mode", ["--admission", "open"]],
    ["too few nodes", ["--expect", "1"]],
    ["a number that is none", ["--expect", "two"]],
    ["half a node", ["--expect", "2.5"]],
    ["nothing for a number", ["--expect", ""]],
    ["a lease too short", ["--lease-ttl", "1"]],
    ["a lease too long", ["--lease-ttl", "61"]],
    ["port 0", ["--lobby-port", "0"]],
    ["a port too high", ["--mesh-port", "65536"]],
    ["one port for both doors", ["--lobby-port", "7444"]],
    ["a log level that is none", ["--log-level", "loud"]],
    ["a name too long for the lobby", ["--name", "n".repeat(64)]],
    ["a name that steers a terminal", ["--name", "n\u001b[2J"]],
    ["a cluster's name too long for the lobby", ["--cluster-name", "c".repeat(64)]],
    ["an empty name of a cluster", ["--cluster-name", " "]],
    ["an unknown flag", ["--force"]],
    ["a flag without its value", ["--state-dir"]],
    ["a word too many", ["start"]],
  ])("refuses %s", (_what, args) => {
    expect(() => parseSettings(args, {})).toThrow(expect.objectContaining({ code: "USAGE" }));
  });

  it("refuses as much from the environment", () => {
    for (const environment of [
      { MICROCEPH_EXPECT: "0" },
      { MICROCEPH_ADMISSION: "x" },
      { MICROCEPH_LOG_LEVEL: "x" },
    ]) {
      expect(() => parseSettings([], environment), JSON.stringify(environment)).toThrow(
        expect.objectContaining({ code: "USAGE" }),
      );
    }
  });

  it.each(["--help", "-h"])("%s wins over what is wrong otherwise", (flag) => {
    expect(parseSettings([flag, "--expect", "0"], {})).toBe("help");
    expect(parseSettings(["--version", "--expect", "0"], {})).toBe("version");
  });

  it("explains every flag", () => {
    for (const flag of [
      "state-dir",
      "expect",
      "admission",
      "window-shut",
      "interface",
      "name",
      "lease-ttl",
    ]) {
      expect(daemonUsage).toContain(`--${flag}`);
    }
  });
});
