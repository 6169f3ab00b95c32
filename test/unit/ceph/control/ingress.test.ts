import { mkdir, readFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NodeIngress, sharedAddresses } from "../../../../src/ceph/control/ingress.ts";
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

beforeEach(async () => {
  missing = "";
  link = "eth0";
  memory = new Map();
  fake = await fakeNode(async (program) => {
    if (program === missing) throw new MicrocephError("MISSING_PROGRAM", `${program} is not installed`);
    return nothing;
  });
  ingress = new NodeIngress(self, {
    ...fake.deps,
    memory: {
      get: (name) => memory.get(name),
      put: (name, value) => void memory.set(name, value),
      delete: (name) => void memory.delete(name),
    },
    interfaceIn: () => link,
  });
});

afterEach(async () => {
  server?.close();
  server = undefined;
  await fake.remove();
});

const shared = (): string[] => [...sharedAddresses({ get: (name) => memory.get(name) })];
const config = (file: string): Promise<string> =>
  readFile(join(fake.deps.paths.dataDir("ingress", self), file), "utf8");

/** What it starts is the test's own listener. */
function place(revision: number, confirm = listen, told = settings): Promise<void> {
  const signal = new AbortController().signal;
  return ingress.place({ settings: told, backends, by: number(revision), confirm, signal });
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
    await ingress.follow([{ handle: handle("n3"), address: "10.0.0.3", port: 8080, tlsPort: null }]);
    fake.units.clear();
    await ingress.start();
    expect(fake.units.size).toBe(2);
    expect(await config("haproxy.cfg")).toContain("server n3 10.0.0.3:8080 check");
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

  it("goes for a later decision only; who has none follows nothing", async () => {
    await place(5);
    expect(await ingress.drop(number(4))).toBe(false);
    expect(ingress.isHere).toBe(true);
    expect(await ingress.drop(number(6))).toBe(true);
    expect(fake.calls).toContainEqual(["ip", "addr", "del", "10.0.0.100/24", "dev", "eth0"]);
    expect(ingress.isHere).toBe(false);
    await ingress.follow(backends);
    await ingress.start();
    expect([fake.units.size, shared()]).toEqual([0, []]);
  });
});
