import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeCephKey } from "../../../../src/ceph/config/keyring.ts";
import { NodeGateway } from "../../../../src/ceph/control/gateway.ts";
import { type GatewaySettings, rgwSettings } from "../../../../src/ceph/daemons/rgw.ts";
import { handle } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import { type FakeNode, fakeNode } from "../daemons/fake-node.ts";
import { testListener } from "./test-listener.ts";

const key = makeCephKey((size) => new Uint8Array(size), 0);
const self = handle("n1");
const number = (revision: number) => ({ generation: 1, revision });
let fake: FakeNode;
let gateway: NodeGateway;
let memory: Map<string, Json>;
let port = 0;
const { listen, stopListening } = testListener();

beforeEach(async () => {
  fake = await fakeNode();
  memory = new Map();
  gateway = new NodeGateway(self, {
    ...fake.deps,
    memory: {
      get: (name) => memory.get(name),
      put: (name, value) => void memory.set(name, value),
      delete: (name) => void memory.delete(name),
    },
  });
  port = await listen(0);
  await stopListening();
});

afterEach(async () => {
  await stopListening();
  await fake.remove();
});

/** What it starts is the test's own listener. */
function place(
  revision: number,
  confirm = async (): Promise<void> => void (await listen(port)),
  told: GatewaySettings = { port },
): Promise<void> {
  const signal = new AbortController().signal;
  const pair = told.tls && { certificate: `certificate ${told.tls.certificate[0]}`, key: "secret" };
  return gateway.place({ key, settings: told, pair, by: number(revision), confirm, signal });
}

describe("the gateway of a node", () => {
  it("is started at its port, and is found there again at boot", async () => {
    await place(5);
    expect([...fake.units.keys()]).toEqual(["rgw.n1"]);
    const spec = fake.units.get("rgw.n1");
    expect(spec?.argv).toEqual([
      ...["radosgw", "-f", "-n", "client.rgw.n1", "-c", fake.deps.paths.cephConf],
      ...[
        "--keyring",
        join(fake.deps.paths.dataDir("rgw", "n1"), "keyring"),
        `--rgw-frontends=beast port=${port}`,
      ],
    ]);
    fake.units.clear();
    await gateway.start();
    expect(fake.units.get("rgw.n1")).toEqual(spec);
  });

  it("speaks TLS with the certificate that it was given last, and keeps no other's key", async () => {
    const tls = (letter: string): GatewaySettings => ({
      port: null,
      tls: { port, certificate: letter.repeat(64) },
    });
    await place(5, undefined, tls("a"));
    const folder = fake.deps.paths.dataDir("rgw", "n1");
    const base = join(folder, "a".repeat(16));
    expect(fake.units.get("rgw.n1")?.argv.at(-1)).toBe(
      `--rgw-frontends=beast ssl_port=${port} ssl_certificate=${base}.crt ssl_private_key=${base}.key`,
    );
    expect((await stat(`${base}.key`)).mode & 0o777).toBe(0o600);
    await stopListening();
    await place(6, undefined, tls("b"));
    const files = (await readdir(folder)).sort();
    expect(files).toEqual([`${"b".repeat(16)}.crt`, `${"b".repeat(16)}.key`, "keyring", "settings.json"]);
    await stopListening();
    fake.units.clear();
    await gateway.start();
    expect(fake.units.get("rgw.n1")?.argv.at(-1)).toContain(`${"b".repeat(16)}.crt`);
  });

  it("is not begun where another program listens, nor once the decision is overtaken", async () => {
    await listen(port);
    await expect(place(5)).rejects.toMatchObject({ code: "PORT_IN_USE" });
    await stopListening();
    await expect(place(5, () => Promise.reject(new Error("overtaken")))).rejects.toThrow("overtaken");
    expect([fake.units.size, await rgwSettings(fake.deps, self)]).toEqual([0, null]);
  });

  it("goes for a later decision only, and then does not start at boot", async () => {
    await place(5);
    expect(await gateway.drop(number(4))).toBe(false);
    expect(fake.units.size).toBe(1);
    expect(await gateway.drop(number(6))).toBe(true);
    expect(await gateway.drop(number(6))).toBe(false);
    await gateway.start();
    expect([fake.units.size, await rgwSettings(fake.deps, self)]).toEqual([0, null]);
  });

  it("that never ran is taken back; the one before it is not", async () => {
    await place(5);
    // The runner of this test says of no unit that it runs.
    expect(await gateway.undo({ port: port + 1 })).toBe(true);
    expect(fake.units.size).toBe(1);
    expect(await gateway.undo({ port })).toBe(true);
    expect(fake.units.size).toBe(0);
  });
});
