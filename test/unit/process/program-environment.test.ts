import { describe, expect, it } from "vitest";
import { programEnvironment } from "../../../src/process/program-environment.ts";

const system = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" };

describe("the environment of programs", () => {
  it("is a system's, whoever started the daemon", () => {
    const own = { PATH: "/opt/bin", LD_LIBRARY_PATH: "/opt/lib", PYTHONPATH: "/opt/py", HOME: "/root" };
    expect(programEnvironment(own)).toEqual(system);
    expect(programEnvironment({ ...own, MICROCEPH_PROGRAMS: "yes" })).toEqual(system);
  });

  it("has the daemon's places where its package says so, and nothing else of the daemon's", () => {
    const own = {
      MICROCEPH_PROGRAMS: "inherit",
      PATH: "/snap/bin",
      PYTHONHOME: "/snap/usr",
      LANG: "C",
      SNAP: "/snap",
    };
    expect(programEnvironment(own)).toEqual({ ...system, PATH: "/snap/bin", PYTHONHOME: "/snap/usr" });
    expect(programEnvironment({ MICROCEPH_PROGRAMS: "inherit" })).toEqual(system);
  });
});
