import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CephCommands } from "../../../../src/ceph/command/commands.ts";
import { NodeIngress, sharedAddresses } from "../../../../src/ceph/control/ingress.ts";
import { descriptionOf, type IngressSettings } from "../../../../src/ceph/daemons/ingress-config.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import { handle } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import { type FakeNode, fakeNode, nothing } from "../daemons/fake-node.ts";

const self = handle("n1");
const settings = { vip: "10.0.0.100", prefix: 24, port: 80 };
const backends = [{ handle: handle("n2"), address: "10.0.0.2", port: 8080, tlsPort: null }];
const number = (revision: number) => ({ generation: 1, revision });
let fake: FakeNode;
let ingress: NodeIngress;
let memory: Map<string, Json>;
let link: string | null;
let missing: string;
let server: Server | undefined;
/** What the monitors keep, unless they are silent; and whether haproxy refuses what it is asked to check. */
let secrets: Map<string, string>;
let silent: boolean;
let refuses: boolean;

beforeEach(async () => {
  missing = "";
  secrets = new Map();
  silent = false;
  refuses = false;
  refuses = false;
  link = "eth0";
  memory = new Map();
  fake = await fakeNode(async (program, args) => {
    if (program === missing) throw new MicrocephError("MISSING_PROGRAM", `${program} is not installed`);
    if (program === "haproxy" && args[0] === "-c" && refuses)
      throw new MicrocephError("PROGRAM_FAILED", "haproxy ended with 1");
    return nothing;
  });
  const secret = async (key: string): Promise<string | undefined> => {
    if (silent) throw new MicrocephError("CEPH_UNREACHABLE", "the monitors do not answer");
    return secrets.get(key);
  };
  ingress = new NodeIngress(
    self,
    {
      ...fake.deps,
      memory: {
        get: (name) => memory.get(name),
        put: (name, value) => void memory.set(name, value),
        delete: (name) => void memory.delete(name),
      },
      interfaceIn: () => link,
    },
    () => ({ secret }) as unknown as CephCommands,
  );
});

afterEach(async () => {
  server?.close();
  server = undefined;
  await fake.remove();
});

const rest = { s3: true, ranks: [] };
const shared = (): string[] => [...sharedAddresses({ get: (name) => memory.get(name) })];
const config = (file: string): Promise<string> =>
  readFile(join(fake.deps.paths.dataDir("ingress", self), file), "utf8");

/** What it starts is the test's own listener. */
function place(revision: number, confirm = listen, told: IngressSettings = settings): Promise<void> {
  const signal = new AbortController().signal;
  const front = { backends, ...rest, certificate: null };
  return ingress.place({ settings: told, front, by: number(revision), confirm, signal });
}

async function listen(): Promise<void> {
  if (server !== undefined) return;
  await mkdir(fake.deps.paths.run, { recursive: true });
  const listening = createServer((socket) => socket.destroy());
  server = listening;
  await new Promise<void>((resolve) => listening.listen(join(fake.deps.paths.run, "haproxy.sock"), resolve));
}

describe("the ingress of a node", () => {
  it("is haproxy before the gateways, and keepalived; its address is never the node's own", async () => {
    await place(5);
    expect([...fake.units.keys()]).toEqual(["ingress.n1", "ingress-vip.n1"]);
    expect(await config("haproxy.cfg")).toContain("server n2 10.0.0.2:8080 check");
    expect(await config("keepalived.conf")).toContain("interface eth0");
    expect(shared()).toEqual(["10.0.0.100"]);
  });

  it("starts at boot before the gateways that were known last", async () => {
    await place(5);
    fake.units.clear();
    const third = { handle: handle("n3"), address: "10.0.0.3", port: 8080, tlsPort: null };
    await ingress.follow({ backends: [third], ...rest, certificate: null });
    fake.units.clear();
    await ingress.start();
    expect(fake.units.size).toBe(2);
    expect(await config("haproxy.cfg")).toContain("server n3 10.0.0.3:8080 check");
  });

  it("starts at boot before NFS gateways, whether one of each rank was known or not", async () => {
    await place(5, listen, { ...settings, nfsPort: 2049 });
    const nfs = { handle: handle("n3"), address: "10.0.0.3", port: 12_049, tlsPort: null, rank: 4 };
    await ingress.follow({ backends: [nfs], s3: false, ranks: [0, 4], certificate: null });
    const before = await config("haproxy.cfg");
    expect(before).toContain("backend nfs-1\n  mode tcp\n  server n3 10.0.0.3:12049");
    await rm(join(fake.deps.paths.dataDir("ingress", self), "haproxy.cfg"));
    await ingress.start();
    expect(await config("haproxy.cfg")).toBe(before);
  });

  describe("before gateways that speak TLS", () => {
    const encrypted = [{ handle: handle("n2"), address: "10.0.0.2", port: null, tlsPort: 8443 }];
    const [first, second] = ["1".repeat(64), "2".repeat(64)] as const;
    const keep = (digest: string, name: string): void => {
      const pair = { certificate: `${name}\n`, key: `key of ${name}\n` };
      const text = Buffer.from(JSON.stringify(pair)).toString("base64");
      secrets.set(`microceph/rgw-certificate/${digest}`, text);
    };
    const folder = (): string => fake.deps.paths.dataDir("ingress", self);
    const pems = async (): Promise<string[]> =>
      (await readdir(folder())).filter((name) => /pem|tried/.test(name));

    it("shows their certificate, the next one as soon as one gateway does, and keeps no other", async () => {
      await place(5);
      keep(first, "one");
      keep(second, "two");
      await ingress.follow({ backends: encrypted, ...rest, certificate: first });
      expect(await config("haproxy.cfg")).toContain(`ssl crt ${folder()}/${"1".repeat(16)}.pem`);
      expect(await config(`${"1".repeat(16)}.pem`)).toBe("one\nkey of one\n");
      expect((await stat(join(folder(), `${"1".repeat(16)}.pem`))).mode & 0o777).toBe(0o600);
      await ingress.follow({ backends: encrypted, ...rest, certificate: second });
      expect(await config("haproxy.cfg")).toContain(`ssl crt ${folder()}/${"2".repeat(16)}.pem`);
      expect(await pems()).toEqual([`${"2".repeat(16)}.pem`]);
      // At boot no monitor is asked.
      silent = true;
      await ingress.start();
      expect(await config("haproxy.cfg")).toContain(`ssl crt ${folder()}/${"2".repeat(16)}.pem`);
      await ingress.follow({ backends, ...rest, certificate: null });
      expect(await pems()).toEqual([]);
    });

    it("passes TLS on while the monitors do not answer, and says so, to be asked again", async () => {
      await place(5);
      silent = true;
      const front = { backends: encrypted, ...rest, certificate: first };
      await expect(ingress.follow(front)).rejects.toMatchObject({ code: "CEPH_UNREACHABLE" });
      expect(await config("haproxy.cfg")).toContain("check-ssl");
      silent = false;
      keep(first, "one");
      await ingress.follow(front);
      expect(await config("haproxy.cfg")).toContain("ssl crt");
    });

    it.each([
      ["nobody has the certificate", () => undefined],
      [
        "haproxy does not take it",
        () => {
          keep(first, "one");
          refuses = true;
        },
      ],
    ])("passes TLS on where %s", async (_what, change) => {
      await place(5);
      change();
      await ingress.follow({ backends: encrypted, ...rest, certificate: first });
      expect(await config("haproxy.cfg")).toContain("check-ssl");
      expect(await pems()).toEqual([]);
    });
  });

  it.each<[string, () => void, string]>([
    ["a program is missing", () => (missing = "keepalived"), "MISSING_PROGRAM"],
    ["it has no interface in the network", () => (link = null), "ADDRESS_UNAVAILABLE"],
  ])("is not begun where %s", async (_what, change, code) => {
    change();
    await expect(place(5)).rejects.toMatchObject({ code });
    expect([fake.units.size, shared()]).toEqual([0, []]);
  });

  it("is not begun once the decision is overtaken", async () => {
    await expect(place(5, () => Promise.reject(new Error("overtaken")))).rejects.toThrow("overtaken");
    expect([fake.units.size, shared()]).toEqual([0, []]);
  });

  it("has two addresses that are not its own while one takes the place of the other", async () => {
    await place(5);
    let meanwhile: string[] = [];
    const look = async (): Promise<void> => {
      const { ensure } = fake.deps.runner;
      fake.deps.runner.ensure = (...args) => {
        meanwhile = shared();
        return ensure(...args);
      };
    };
    await place(6, look, { ...settings, vip: "10.0.0.101" });
    expect([meanwhile, shared()]).toEqual([["10.0.0.100", "10.0.0.101"], ["10.0.0.101"]]);
  });

  it("tells haproxy again when that did not hear of other gateways, and not when it runs with them", async () => {
    await place(5);
    await new Promise((resolve) => server?.close(resolve));
    let description = "";
    server = createServer((socket) => socket.once("data", () => socket.end(`description: ${description}\n`)));
    await new Promise<void>((resolve) => server?.listen(join(fake.deps.paths.run, "haproxy.sock"), resolve));
    const master = spawn("sh", ["-c", "trap 'echo told' USR2; echo ready; while :; do sleep 0.05; done"]);
    const { ensure } = fake.deps.runner;
    fake.deps.runner.ensure = async (...args) => {
      const { action, status } = await ensure(...args);
      return { action, status: { ...status, pid: master.pid ?? null } };
    };
    let told = 0;
    await once(master.stdout, "data");
    master.stdout.on("data", () => {
      told += 1;
      // The first is lost.
      if (told === 2) config("haproxy.cfg").then((text) => (description = descriptionOf(text) ?? ""));
    });
    try {
      const third = { handle: handle("n3"), address: "10.0.0.3", port: 8080, tlsPort: null };
      const front = { backends: [third], ...rest, certificate: null };
      await ingress.follow(front);
      expect(told).toBe(2);
      await ingress.follow(front);
      expect(told).toBe(2);
    } finally {
      master.kill("SIGKILL");
    }
  });

  it("goes for a later decision only; who has none follows nothing", async () => {
    await place(5);
    expect(await ingress.drop(number(4))).toBe(false);
    expect(ingress.isHere).toBe(true);
    expect(await ingress.drop(number(6))).toBe(true);
    expect(fake.calls).toContainEqual(["ip", "addr", "del", "10.0.0.100/24", "dev", "eth0"]);
    expect(ingress.isHere).toBe(false);
    await ingress.follow({ backends, ...rest, certificate: null });
    await ingress.start();
    expect([fake.units.size, shared()]).toEqual([0, []]);
  });
});
