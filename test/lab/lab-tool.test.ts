// The lab itself: hosts, disks, network faults and a clean end. The daemon is a stand-in here.
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
import { loopDevices } from "../../scripts/lab/node-disks.ts";
import { allPids, commandLine } from "../../scripts/lab/processes.ts";
import { capture, run } from "../../scripts/lab/run.ts";
import { Lab } from "./support/lab.ts";
import { labSuite } from "./support/lab-suite.ts";

const standIn = join(checkout, "test", "lab", "support", "microcephd-stand-in");

/** The tool as people call it. */
function tool(root: string, ...args: string[]) {
  return capture("sh", [join(checkout, "scripts", "lab.sh"), ...args], {
    deadlineMs: 120_000,
    env: { PATH: process.env.PATH ?? "", MICROCEPH_LAB_ROOT: root, MICROCEPH_LAB_DAEMON: standIn },
  });
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

labSuite("a lab of three hosts", () => {
  let lab: Lab;
  let ips: string[];
  const reaches = async (from: string, to: string): Promise<boolean> =>
    (await lab.exec(from, ["ping", "-c", "1", "-W", "1", to])).exitCode === 0;
  const commands = (node: string): string[] => lab.processes(node).map((one) => one.args.join(" "));

  beforeAll(async () => {
    process.env.MICROCEPH_LAB_DAEMON = standIn;
    lab = await Lab.up("tool", { nodes: 3, admission: "approve", expect: 2 });
    ips = (await lab.status()).nodes.map((node) => node.ip);
  });
  afterAll(async () => {
    await lab?.down();
    delete process.env.MICROCEPH_LAB_DAEMON;
  });

  it("starts each daemon with what was asked for", async () => {
    const { body } = await lab.api("n2", "GET", "/1.0");
    expect(body).toMatchObject({
      path: "/1.0",
      args: { "state-dir": "/var/lib/microceph", admission: "approve", expect: "2" },
    });
    const status = await lab.status();
    expect(status.nodes.map((node) => [node.name, node.state])).toEqual([
      ["n1", "running"],
      ["n2", "running"],
      ["n3", "running"],
    ]);
    expect(commandLine(status.nodes[1]?.pid ?? 0).join(" ")).toContain("microcephd-stand-in");
  });

  it("gives every host its own name, addresses, devices and state", async () => {
    expect(ips.map((ip) => ip.split(".").at(-1))).toEqual(["11", "12", "13"]);
    for (const [index, node] of ["n1", "n2", "n3"].entries()) {
      expect(await lab.run(node, ["hostname"])).toBe(`${node}\n`);
      const addresses = await lab.run(node, ["ip", "-br", "address", "show", "dev", "eth0"]);
      expect(addresses).toContain(`${ips[index]}/24`);
      expect(addresses).toMatch(/fd77:.*\/64/);
      expect(addresses).toMatch(/fe80::.*\/64/);
      expect(await lab.run(node, ["ip", "-6", "address", "show", "tentative"])).toBe("");
      expect(await lab.run(node, ["ip", "route", "show", "default"])).toBe("");
      expect(await lab.run(node, ["find", "/dev", "-type", "b"])).toBe("");
      expect(await lab.run(node, ["ls", "/sys/class/net"])).toBe("eth0\nlo\n");
      await lab.run(node, [
        "sh",
        "-c",
        "echo $(hostname) >/var/lib/microceph/mine; echo x >/etc/ceph/$(hostname)",
      ]);
    }
    for (const node of ["n1", "n2", "n3"]) {
      expect(await lab.run(node, ["cat", "/var/lib/microceph/mine"])).toBe(`${node}\n`);
      expect(await lab.run(node, ["ls", "/etc/ceph"])).toBe(`${node}\n`);
    }
    expect(await lab.run("n1", ["cat", "/etc/hosts"])).toContain(`${ips[0]} n1`);
    expect(existsSync("/etc/ceph/n1")).toBe(false);
  });

  it("passes input, output and the exit code of a command", async () => {
    const result = await lab.exec("n1", ["sh", "-c", "cat; echo no >&2; exit 7"], { input: "yes" });
    expect(result).toEqual({ exitCode: 7, stdout: "yes", stderr: "no\n" });
    expect((await lab.exec("n1", ["no-such-program"])).exitCode).toBe(127);
    const environment = await lab.run("n1", ["env"]);
    expect(environment).toContain(`PATH=${checkout}/bin:`);
    expect(environment).toContain("CEPH_CONF=/var/lib/microceph/conf/ceph.conf");
  });

  it("shows a disk to its node only", async () => {
    const disks = await lab.disk("n1", "64M", 2);
    expect(disks).toHaveLength(2);
    expect((await lab.node("n1")).disks).toEqual(disks);
    expect((await lab.run("n1", ["find", "/dev", "-type", "b"])).trim().split("\n").sort()).toEqual(
      [...disks].sort(),
    );
    expect(await lab.run("n1", ["blockdev", "--getsize64", disks[0] ?? ""])).toBe("67108864\n");
    expect(await lab.run("n1", ["lsblk", "--noheadings", "--output", "SIZE"])).toMatch(/^\s*64M\n\s*64M\n$/);
    expect((await lab.exec("n2", ["stat", disks[0] ?? ""])).exitCode).toBe(1);
    expect((await lab.exec("n2", ["lsblk"])).stdout).toBe("");
  });

  it("pulls a cable and puts it back", async () => {
    expect(await reaches("n1", ips[1] ?? "")).toBe(true);
    await lab.cut("n2");
    expect((await lab.node("n2")).state).toBe("cut");
    expect(await reaches("n1", ips[1] ?? "")).toBe(false);
    expect(await lab.run("n2", ["cat", "/sys/class/net/eth0/carrier"])).toBe("0\n");
    await lab.heal("n2");
    expect((await lab.node("n2")).state).toBe("running");
    expect(await reaches("n1", ips[1] ?? "")).toBe(true);
    const address6 = /fd77:[0-9a-f:]+/.exec(
      await lab.run("n1", ["ip", "-6", "address", "show", "dev", "eth0"]),
    );
    expect(await reaches("n2", address6?.[0] ?? "")).toBe(true);
  });

  it("splits the network and joins it", async () => {
    await lab.partition(["n1", "n2"], ["n3"]);
    expect(await reaches("n1", ips[1] ?? "")).toBe(true);
    expect(await reaches("n1", ips[2] ?? "")).toBe(false);
    expect(await reaches("n3", ips[1] ?? "")).toBe(false);
    // A broken trunk takes no carrier away.
    expect(await lab.run("n3", ["cat", "/sys/class/net/eth0/carrier"])).toBe("1\n");
    expect((await lab.status()).nodes.map((node) => node.segment)).toEqual([0, 0, 1]);
    await lab.partition(["n2"]);
    expect(await reaches("n1", ips[1] ?? "")).toBe(false);
    expect(await reaches("n1", ips[2] ?? "")).toBe(true);
    await lab.heal("n1");
    expect(await reaches("n1", ips[1] ?? "")).toBe(true);
    await expect(lab.partition(["n1"], ["n1", "n2"])).rejects.toThrow(/twice/);
    await expect(lab.partition(["n1", "n2", "n3"])).rejects.toThrow(/both sides/);
  });

  it("carries IPv6 multicast between hosts", async () => {
    const heard = await lab.exec("n3", [
      "timeout",
      "5",
      "ping",
      "-6",
      "-c",
      "3",
      "-i",
      "0.2",
      "ff02::1%eth0",
    ]);
    // n1, n2 and the sender itself.
    expect(new Set(heard.stdout.match(/from fe80[^:]*::[0-9a-f:]+/g))).toHaveLength(3);
  });

  it("stops the daemon with its children, and nothing of Ceph", async () => {
    const states = async (): Promise<Record<string, string>> => {
      const lines = (await lab.run("n1", ["ps", "-eo", "stat=,args="])).trim().split("\n");
      const of = (name: RegExp): string => lines.find((line) => name.test(line))?.trim()[0] ?? "gone";
      return { daemon: of(/stand-in\.ts/), etcd: of(/ etcd /), ceph: of(/ ceph /), osd: of(/ ceph-osd /) };
    };
    await lab.pause("n1");
    expect(await states()).toEqual({ daemon: "T", etcd: "T", ceph: "T", osd: "S" });
    expect((await lab.node("n1")).state).toBe("paused");
    await lab.resume("n1");
    expect(await states()).toEqual({ daemon: "S", etcd: "S", ceph: "S", osd: "S" });
    expect((await lab.node("n1")).state).toBe("running");
  });

  it("kills the daemon, Ceph, or everything, and starts the daemon again", async () => {
    const osd = () => commands("n1").some((line) => line.startsWith("ceph-osd"));
    const osdRuns = () => lab.waitFor("the OSD of n1", async () => osd(), { deadlineMs: 5000 });
    await osdRuns();
    await lab.kill("n1", "ceph");
    expect(osd()).toBe(false);
    expect((await lab.node("n1")).state).toBe("running");
    await lab.kill("n1", "daemon");
    expect(await lab.node("n1")).toMatchObject({ state: "stopped", pid: null });
    await lab.start("n1");
    expect((await lab.node("n1")).state).toBe("running");
    await osdRuns();
    await lab.run("n1", ["touch", "/run/old"]);
    await lab.kill("n1", "all");
    expect(commands("n1").filter((line) => !/node-init|^sleep 2147483647/.test(line))).toEqual([]);
    expect(commands("n2").some((line) => line.startsWith("ceph-osd"))).toBe(true);
    await lab.start("n1");
    expect((await lab.exec("n1", ["stat", "/run/old"])).exitCode).toBe(1);
    expect((await lab.node("n1")).disks).toHaveLength(2);
  });

  it("starts the daemon once", async () => {
    const { pid } = await lab.node("n3");
    await lab.start("n3");
    await lab.hosts.up({ nodes: 3 });
    expect((await lab.node("n3")).pid).toBe(pid);
    expect(commands("n3").filter((line) => line.includes("stand-in"))).toHaveLength(1);
  });

  it("reaps orphans", async () => {
    await lab.run("n1", ["sh", "-c", "(sh -c 'sleep 0.1' &) ; exit 0"]);
    const gone = async () => !(await lab.run("n1", ["ps", "-eo", "args="])).match(/sleep 0\.1|defunct/);
    await lab.waitFor("the orphan to be gone, and no zombie left", gone, { deadlineMs: 5000 });
  });

  it("gives a host another address", async () => {
    const ip = (ips[2] ?? "").replace(/[0-9]+$/, "99");
    await lab.renumber("n3", ip);
    expect(await reaches("n1", ip)).toBe(true);
    expect(await reaches("n1", ips[2] ?? "")).toBe(false);
    expect((await lab.node("n3")).ip).toBe(ip);
    await expect(lab.renumber("n2", ip)).rejects.toMatchObject({ code: "ADDRESS_IN_USE" });
    await expect(lab.renumber("n2", "10.77.0.999")).rejects.toMatchObject({ code: "USAGE" });
    await lab.renumber("n3", ips[2] ?? "");
    expect(await reaches("n1", ips[2] ?? "")).toBe(true);
  });

  it("makes a host again that was lost, with its disks and its state", async () => {
    const { holder } = lab.hosts.node("n1");
    process.kill(holder, "SIGKILL");
    await lab.waitFor("n1 to be gone", async () => !existsSync(`/proc/${holder}/ns/pid`), {
      deadlineMs: 5000,
    });
    await expect(lab.exec("n1", ["true"])).rejects.toMatchObject({ code: "NODE_DOWN" });
    await lab.hosts.up();
    expect(await lab.run("n1", ["cat", "/var/lib/microceph/mine"])).toBe("n1\n");
    expect((await lab.run("n1", ["find", "/dev", "-type", "b"])).trim().split("\n")).toHaveLength(2);
    expect(await reaches("n2", ips[0] ?? "")).toBe(true);
  });

  it("adds a host, and says what it refuses", async () => {
    await lab.add("n4");
    expect(await reaches("n4", ips[0] ?? "")).toBe(true);
    await expect(lab.add("n4")).rejects.toMatchObject({ code: "NODE_EXISTS", exitCode: 4 });
    await expect(lab.exec("n9", ["true"])).rejects.toMatchObject({ code: "NODE_UNKNOWN" });
    await expect(lab.disk("n1", "7 parsecs")).rejects.toMatchObject({ code: "USAGE" });
  });
});

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
    const disk = await tool(root, "disk", "n1", "1G", "--name", "red");
    expect(disk.stdout).toMatch(/^\/dev\/loop[0-9]+\n$/);
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
    const child = spawn("sh", [join(checkout, "scripts", "lab.sh"), "up", "--nodes", "3", "--name", "red"], {
      env: { PATH: process.env.PATH ?? "", MICROCEPH_LAB_ROOT: root, MICROCEPH_LAB_DAEMON: standIn },
      stdio: "ignore",
    });
    await delay(after);
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    expect((await tool(root, "down", "--name", "red")).exitCode).toBe(0);
    expect(await traces(root)).toEqual([]);
    expect(await switchesOf(join(root, "red"))).toEqual([]);
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

  it("finds loop devices whose file was deleted, and hosts whose record is gone", async () => {
    await tool(root, "up", "--nodes", "1", "--name", "red");
    await tool(root, "disk", "n1", "64M", "--name", "red");
    await run("rm", ["-rf", join(root, "red"), join(root, "numbers.json")]);
    expect((await tool(root, "down", "--name", "red")).exitCode).toBe(0);
    expect(await traces(root)).toEqual([]);
    expect(await switchesOf(join(root, "red"))).toEqual([]);
  });

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
