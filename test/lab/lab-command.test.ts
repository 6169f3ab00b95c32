// The lab as a command: several labs at once, crashes of the tool, refusals. The daemon is a stand-in here.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { LabHosts } from "../../scripts/lab/lab-hosts.ts";
import { switchesOf } from "../../scripts/lab/lab-switch.ts";
import { checkout } from "../../scripts/lab/layout.ts";
import { isRootless } from "../../scripts/lab/machine.ts";
import { loopDevices } from "../../scripts/lab/node-disks.ts";
import { allPids, commandLine } from "../../scripts/lab/processes.ts";
import { capture, run } from "../../scripts/lab/run.ts";
import { labSuite, rootTest } from "./support/lab-suite.ts";

const standIn = join(checkout, "test", "lab", "support", "microcephd-stand-in");

/** The tool as people call it. */
function tool(root: string, ...args: string[]) {
  return capture("sh", [join(checkout, "scripts", "lab.sh"), ...args], {
    deadlineMs: 120_000,
    env: { PATH: process.env.PATH ?? "", MICROCEPH_LAB_ROOT: root, MICROCEPH_LAB_DAEMON: standIn },
  });
}

/** Switches of all labs on this machine. */
function switches(): string[] {
  if (!existsSync("/run/netns")) return [];
  return readdirSync("/run/netns").filter((name) => name.startsWith("mcl"));
}

/** Everything on this machine that belongs to labs below `dir`. */
async function traces(dir: string): Promise<string[]> {
  return [
    ...allPids()
      .filter((pid) => commandLine(pid).some((arg) => arg.startsWith(`${dir}/`) && !arg.includes("lab.sh")))
      .map((pid) => `process ${pid}: ${commandLine(pid).join(" ")}`),
    ...(await loopDevices(dir)).map((device) => `loop${device.loop}: ${device.file}`),
    ...(existsSync(dir) ? readdirSync(dir).map((name) => `file ${name}`) : []),
  ];
}

labSuite("the lab as a command", () => {
  let root: string;
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "mc lab-"));
  });
  afterAll(async () => {
    for (const name of ["red", "blue"]) await new LabHosts(name, { root }).down();
    rmSync(root, { recursive: true, force: true });
  });

  it("keeps two labs side by side, and takes one down without a trace", async () => {
    for (const name of ["red", "blue"]) {
      const up = await tool(root, "up", "--nodes", "2", "--name", name);
      expect(up, up.stderr).toMatchObject({ exitCode: 0 });
    }
    const red = JSON.parse((await tool(root, "status", "--json", "--name", "red")).stdout);
    const blue = JSON.parse((await tool(root, "--name", "blue", "status", "--json")).stdout);
    expect(red.nodes[0].ip).not.toBe(blue.nodes[0].ip);
    const crossed = await tool(
      root,
      "exec",
      "n1",
      "--name",
      "red",
      "--",
      "ping",
      "-c1",
      "-W1",
      blue.nodes[0].ip,
    );
    expect(crossed.exitCode).not.toBe(0);
    if (!isRootless()) {
      const disk = await tool(root, "disk", "n1", "1G", "--name", "red");
      expect(disk.stdout).toMatch(/^\/dev\/loop[0-9]+\n$/);
    }
    expect((await tool(root, "exec", "n1", "--name", "red", "--", "sh", "-c", "exit 9")).exitCode).toBe(9);

    expect((await tool(root, "down", "--name", "red")).exitCode).toBe(0);
    expect(await traces(join(root, "red"))).toEqual([]);
    expect(await switchesOf(join(root, "red"))).toEqual([]);
    const left = JSON.parse((await tool(root, "status", "--json", "--name", "blue")).stdout);
    expect(left).toEqual(blue);
    expect((await tool(root, "down", "--name", "blue")).exitCode).toBe(0);
    expect(existsSync(root)).toBe(false);
    expect((await tool(root, "down", "--name", "blue")).exitCode).toBe(0);
  });

  // At each of these moments the tool is killed while it makes a lab.
  it.each([30, 150, 250, 350, 500, 700])("leaves nothing after SIGKILL at %d ms and down", async (after) => {
    const before = switches();
    const child = spawn("sh", [join(checkout, "scripts", "lab.sh"), "up", "--nodes", "3", "--name", "red"], {
      env: { PATH: process.env.PATH ?? "", MICROCEPH_LAB_ROOT: root, MICROCEPH_LAB_DAEMON: standIn },
      stdio: "ignore",
    });
    await delay(after);
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    expect((await tool(root, "down", "--name", "red")).exitCode).toBe(0);
    expect(await traces(root)).toEqual([]);
    expect(switches()).toEqual(before);
  });

  it("completes what a killed run left", async () => {
    const child = spawn("sh", [join(checkout, "scripts", "lab.sh"), "up", "--nodes", "3", "--name", "red"], {
      env: { PATH: process.env.PATH ?? "", MICROCEPH_LAB_ROOT: root, MICROCEPH_LAB_DAEMON: standIn },
      stdio: "ignore",
    });
    await delay(280);
    child.kill("SIGKILL");
    const up = await tool(root, "up", "--nodes", "3", "--name", "red");
    expect(up, up.stderr).toMatchObject({ exitCode: 0 });
    const status = JSON.parse((await tool(root, "status", "--json", "--name", "red")).stdout);
    expect(status.nodes.map((node: { state: string }) => node.state)).toEqual([
      "running",
      "running",
      "running",
    ]);
  });

  rootTest(
    "finds loop devices whose file was deleted, and hosts whose record is gone",
    "block devices",
    async () => {
      await tool(root, "up", "--nodes", "1", "--name", "red");
      await tool(root, "disk", "n1", "64M", "--name", "red");
      await run("rm", ["-rf", join(root, "red"), join(root, "numbers.json")]);
      expect((await tool(root, "down", "--name", "red")).exitCode).toBe(0);
      expect(await traces(root)).toEqual([]);
      expect(await switchesOf(join(root, "red"))).toEqual([]);
    },
  );

  it("says why a daemon does not come up", async () => {
    const up = await tool(root, "up", "--nodes", "1", "--admission", "closed", "--name", "blue");
    expect(up.exitCode).toBe(1);
    expect(up.stderr).toMatch(/microcephd on n1 ended/);
    expect(up.stderr).toContain("stand-in: told to fail");
  });

  it("refuses what it does not understand", async () => {
    const usage = await tool(root, "fly");
    expect(usage).toMatchObject({ exitCode: 2, stdout: "" });
    expect(usage.stderr).toMatch(/^Error: there is no verb "fly".* \[USAGE\]$/m);
    const absent = await tool(root, "exec", "n1", "--name", "green", "--", "true");
    expect(absent).toMatchObject({ exitCode: 3 });
    expect(absent.stderr).toMatch(/LAB_NOT_UP/);
    expect((await tool(root, "status", "--json", "--name", "green")).stdout).toBe(
      '{"lab":"green","nodes":[]}\n',
    );
  });
});
