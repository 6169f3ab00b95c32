import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const hooks = join(import.meta.dirname, "..", "..", "..", "snap", "hooks");
let folder: string;

/** A stand-in for a program of the snap or of snapd: it notes its words, and does what `body` says. */
function program(path: string, body: string): void {
  const file = join(folder, path);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, `#!/bin/sh\necho "\${0##*/} $*" >>"${folder}/calls"\n${body}\n`);
  chmodSync(file, 0o755);
}

/** Run a hook with these settings; what it called besides reading settings. */
function hook(
  name: string,
  settings: Readonly<Record<string, string>> = {},
): { readonly code: number | null; readonly said: string; readonly calls: readonly string[] } {
  rmSync(join(folder, "calls"), { force: true });
  rmSync(join(folder, "settings"), { recursive: true, force: true });
  mkdirSync(join(folder, "settings"));
  for (const [key, value] of Object.entries(settings)) writeFileSync(join(folder, "settings", key), value);
  const { status, stderr } = spawnSync("sh", [join(hooks, name)], {
    encoding: "utf8",
    env: {
      PATH: `${folder}/bin:/usr/bin:/bin`,
      ...{ SNAP: folder, SNAP_DATA: join(folder, "data"), SNAP_COMMON: join(folder, "common") },
      SNAP_INSTANCE_NAME: "microceph",
    },
  });
  const calls = existsSync(join(folder, "calls"))
    ? readFileSync(join(folder, "calls"), "utf8").split("\n")
    : [];
  const told = calls.filter((call) => call !== "" && !/^(?:snapctl (?:get|services)|microcephd) /.test(call));
  return { code: status, said: stderr, calls: told };
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "snap-hooks-"));
  for (const name of ["data", "common"]) mkdirSync(join(folder, name));
  const active = "printf 'Service Startup Current Notes\\nmicroceph.daemon enabled %s -\\n'";
  program(
    "bin/snapctl",
    `case $1 in get) cat "${folder}/settings/$2" 2>/dev/null || echo ;; services) ${active} "$(cat "${folder}/current")" ;; esac`,
  );
  program("bin/microceph", "exit 0");
  program("bin/metadata", "exit 0");
  cpSync(join(hooks, "..", "local", "bin", "settings"), join(folder, "bin/settings"));
  program(
    "usr/lib/microceph-mesh/bin/microcephd",
    'case $1 in --no-*) echo "Error: $1 is unknown" >&2; exit 2 ;; esac',
  );
  writeFileSync(join(folder, "current"), "active");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("the hook configure", () => {
  it.each([
    ["admission", "everyone", "admission is auto, approve or closed"],
    ["expect", "1", "expect is a number"],
    ["expect", "1001", "expect is a number"],
    ["expect", "3; reboot", "expect is a number"],
    ["expect", "99999999999999999999", "expect is a number"],
    ["window", "open", "window is shut"],
    ["log-level", "loud", "log-level is error"],
    ["interfaces", "eth0,$(reboot)", "interfaces is a list"],
    ["interfaces", "--state-dir", "interfaces is a list"],
    ["interfaces", "eth0,,eth1", "interfaces is a list"],
    ["options", "--lease-ttl 20; reboot", "options are words"],
    ["options", "--lease-ttl 20\n--peer x", "options are words"],
    ["options", "--no-such-option", "--no-such-option is unknown"],
    ["refresh-when-unhealthy", "yes", "refresh-when-unhealthy is true or false"],
  ])("refuses %s=%j", (key, value, text) => {
    const { code, said, calls } = hook("configure", { [key]: value });
    expect(code).not.toBe(0);
    expect(said).toContain(text);
    expect(calls).toEqual([]);
  });

  it("restarts the daemon for what it was not started with, and not for what concerns refreshes", () => {
    const settings = {
      ...{ admission: "approve", expect: "5", interfaces: "eth1,br-lan.7", options: "--lease-ttl 20" },
    };
    expect(hook("configure", settings)).toMatchObject({
      code: 0,
      calls: ["snapctl restart microceph.daemon"],
    });
    const line =
      "admission=approve expect=5 window= log-level= interfaces=eth1,br-lan.7 options=--lease-ttl 20 ";
    writeFileSync(join(folder, "data", "applied-settings"), line);
    const more = { ...settings, "refresh-when-unhealthy": "true" };
    expect(hook("configure", more)).toMatchObject({ code: 0, calls: [] });
    expect(hook("configure").calls).toEqual(["snapctl restart microceph.daemon"]);
  });

  it("leaves a daemon alone that was stopped", () => {
    writeFileSync(join(folder, "current"), "inactive");
    expect(hook("configure", { window: "shut" })).toMatchObject({ code: 0, calls: [] });
  });
});

describe("the hook install", () => {
  it("takes over what was laid ready, and nothing that is no setting", () => {
    expect(hook("install")).toMatchObject({ code: 0, calls: ["metadata "] });
    const preset = join(folder, "common", "preset");
    writeFileSync(preset, "# an office\n\nadmission=approve\noptions=--peer a=b\n");
    const expected = ["snapctl set admission=approve", "snapctl set options=--peer a=b", "metadata "];
    expect(hook("install")).toMatchObject({ code: 0, calls: expected });
    writeFileSync(preset, "admision=approve\n");
    expect(hook("install")).toMatchObject({
      code: 1,
      calls: [],
      said: expect.stringContaining('no setting "admision"'),
    });
  });
});

describe("the hook pre-refresh", () => {
  it("refuses while something is in the way, and says how it is done all the same", () => {
    expect(hook("pre-refresh")).toMatchObject({ code: 0, calls: ["microceph cluster upgrade check"] });
    program("bin/microceph", 'echo "Error: PG_DEGRADED [UPGRADE_BLOCKED]" >&2; exit 4');
    const refused = hook("pre-refresh");
    expect(refused.code).toBe(1);
    expect(refused.said).toContain("PG_DEGRADED");
    expect(refused.said).toContain("snap set microceph refresh-when-unhealthy=true");
    expect(hook("pre-refresh", { "refresh-when-unhealthy": "true" })).toMatchObject({ code: 0, calls: [] });
    writeFileSync(join(folder, "current"), "inactive");
    expect(hook("pre-refresh")).toMatchObject({ code: 0, calls: [] });
  });
});

describe("the hook check-health", () => {
  it("tells snapd how it is, in no more characters than snapd takes", () => {
    expect(hook("check-health").calls.at(-1)).toBe("snapctl set-health okay");
    program("bin/microceph", `[ "$1" = mesh ] || { echo "Error: ${"x".repeat(90)}" >&2; exit 4; }`);
    expect(hook("check-health").calls.at(-1)).toBe(
      `snapctl set-health error ${"x".repeat(70)} --code=cluster-unhealthy`,
    );
    writeFileSync(join(folder, "current"), "inactive");
    expect(hook("check-health").calls.at(-1)).toMatch(
      /^snapctl set-health blocked .* --code=daemon-stopped$/,
    );
  });
});
