// The lab's hosts: names, devices, network faults, kills and pauses. The daemon is a stand-in here.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { macAddress } from "../../scripts/lab/lab-switch.ts";
import { checkout } from "../../scripts/lab/layout.ts";
import { isRootless } from "../../scripts/lab/machine.ts";
import { commandLine } from "../../scripts/lab/processes.ts";
import { startAvahi } from "./support/avahi.ts";
import { Lab } from "./support/lab.ts";
import { labSuite, rootTest } from "./support/lab-suite.ts";

/** Block devices that one of the tests gives to n1. */
const given = isRootless() ? 0 : 2;
const standIn = join(checkout, "test", "lab", "support", "microcephd-stand-in");

labSuite("a lab of three hosts", () => {
  let lab: Lab;
  let ips: string[];
  const reaches = async (from: string, to: string): Promise<boolean> =>
    (await lab.exec(from, ["ping", "-c", "1", "-W", "1", to])).exitCode === 0;
  const commands = (node: string): string[] => lab.processes(node).map((one) => one.args.join(" "));

  beforeAll(async () => {
    process.env.MICROCEPH_LAB_DAEMON = standIn;
    const options = { stateBytes: 32 * 2 ** 20, clock: true, steps: true };
    lab = await Lab.up("tool", { nodes: 3, admission: "approve", expect: 2, ...options });
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

  rootTest("shows a disk to its node only", "block devices", async () => {
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

  it("loses packets of one node, and carries them one way only", async () => {
    const pings = async (from: string, to: string): Promise<number> => {
      const { stdout } = await lab.exec(from, ["ping", "-q", "-c", "100", "-i", "0.002", "-W", "1", to]);
      return Number(/([0-9]+) received/.exec(stdout)?.[1]);
    };
    await lab.loss("n2", 50);
    const received = await pings("n1", ips[1] ?? "");
    // Both ways: a quarter of them on average, and within nine standard deviations.
    expect(received).toBeGreaterThan(0);
    expect(received).toBeLessThan(65);
    expect(await pings("n1", ips[2] ?? "")).toBe(100);
    await lab.loss("n2", 100);
    expect(await reaches("n1", ips[1] ?? "")).toBe(false);
    await lab.loss("n2", 0);
    expect(await pings("n1", ips[1] ?? "")).toBe(100);

    const heard = async (node: string): Promise<number> =>
      Number(await lab.run(node, ["cat", "/sys/class/net/eth0/statistics/rx_packets"]));
    await lab.cutOneWay("n1", "n2");
    expect(await reaches("n2", ips[0] ?? "")).toBe(false);
    expect(await reaches("n1", ips[2] ?? "")).toBe(true);
    const before = await heard("n1");
    // Known already, so that nothing needs an answer before the packets go out.
    await lab.run("n2", [
      "ip",
      "neigh",
      "replace",
      ips[0] ?? "",
      "lladdr",
      macAddress(lab.hosts.record().number, "n1"),
      "dev",
      "eth0",
    ]);
    await lab.exec("n2", ["ping", "-c", "5", "-i", "0.01", "-W", "1", ips[0] ?? ""]);
    expect((await heard("n1")) - before).toBeGreaterThanOrEqual(5);
    await lab.heal();
    expect(await reaches("n2", ips[0] ?? "")).toBe(true);
  });

  it("fills the state of one node to its last byte, and gives the room back", async () => {
    await lab.fill("n1");
    const write = ["dd", "if=/dev/zero", "of=/var/lib/microceph/more", "bs=1", "count=1"];
    expect((await lab.exec("n1", write)).stderr).toMatch(/No space left/);
    expect((await lab.exec("n2", write)).exitCode).toBe(0);
    await lab.drain("n1");
    expect((await lab.exec("n1", write)).exitCode).toBe(0);
  });

  it("sets the clock that a daemon sees, and none else", async () => {
    const seen = async (): Promise<number> => {
      const { body } = await lab.api("n1", "GET", "/");
      return ((body as { now: number }).now - Date.now()) / 1000;
    };
    // To a minute: the answer itself takes time.
    const isSet = async (to: number): Promise<void> => {
      expect(Math.abs((await seen()) - to)).toBeLessThan(60);
    };
    await isSet(0);
    await lab.clock("n1", 86_400);
    await isSet(86_400);
    await lab.clock("n1", -3_600);
    await isSet(-3_600);
    expect(Math.abs(Number(await lab.run("n1", ["date", "+%s"])) - Date.now() / 1000)).toBeLessThan(60);
    await lab.clock("n1", 0);
  });

  it("ends a daemon at the step it is told, once", async () => {
    const { pid } = await lab.node("n2");
    await lab.crashAtStep("n2", 2);
    await lab.api("n2", "GET", "/write");
    expect((await lab.node("n2")).pid).toBe(pid);
    await lab.api("n2", "GET", "/write").catch(() => undefined);
    expect(lab.crashedAt("n2")).toEqual({ number: 2, name: "rename written" });
    expect((await lab.node("n2")).pid).toBeNull();
    await lab.start("n2");
    for (let write = 0; write < 4; write += 1) await lab.api("n2", "GET", "/write");
    expect((await lab.node("n2")).pid).not.toBeNull();
  });

  it("stops the processes of one program", async () => {
    const stopped = async (): Promise<string[]> =>
      (await lab.run("n1", ["ps", "-eo", "stat=,args="]))
        .split("\n")
        .filter((line) => line.startsWith("T"))
        .map((line) => line.split(/\s+/)[1] ?? "");
    await lab.pause("n1", "etcd");
    expect(new Set(await stopped())).toEqual(new Set(["etcd"]));
    expect((await lab.node("n1")).state).toBe("running");
    await lab.resume("n1", "etcd");
    expect(await stopped()).toEqual([]);
    await expect(lab.pause("n1", "radosgw")).rejects.toThrow(/no radosgw runs/);
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

  rootTest("carries mDNS between hosts that run avahi", "avahi and its own user", async () => {
    for (const node of ["n1", "n2"]) await startAvahi(lab, node);
    const published = await lab.exec("n1", [
      "sh",
      "-c",
      "setsid avahi-publish -s web _test._tcp 80 a=b >/dev/null 2>&1 &",
    ]);
    expect(published.exitCode).toBe(0);
    const found = await lab.waitFor(
      "n2 to resolve the service of n1",
      async (note) => {
        const seen = (await lab.exec("n2", ["avahi-browse", "-rtp", "_test._tcp"])).stdout;
        note(seen);
        return /^=;.*$/m.exec(seen)?.[0];
      },
      { deadlineMs: 20_000 },
    );
    expect(found).toMatch(/;web;_test\._tcp;local;n1\.local;.*;80;"a=b"$/);
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
    expect((await lab.node("n1")).disks).toHaveLength(given);
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
    expect((await lab.run("n1", ["find", "/dev", "-type", "b"])).split("\n")).toHaveLength(given + 1);
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
